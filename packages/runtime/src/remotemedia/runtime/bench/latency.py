"""What a hop costs, through the framework, raw iceoryx2 and others, in alternating rounds.

Where the scheduler puts the two processes changes everything, and other work on the machine comes
and goes. So all systems take turns in many short rounds, and what counts is the median of the
rounds' medians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remotemedia.runtime.bench.hop import Hop
from remotemedia.runtime.bench.rows import LatencyRow, median, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from remotemedia.runtime.bench.pair import Pair
    from remotemedia.runtime.bench.payload import Mode

__all__ = ["OURS", "OURS_COROUTINE", "OURS_SPINNING", "RAW", "Measured", "latency"]

RAW = "raw iceoryx2"
OURS, OURS_COROUTINE = "remotemedia", "remotemedia, coroutine"
OURS_SPINNING = "remotemedia, spinning"
_WARM_UP = 5


@dataclass
class Measured:
    """What one system needed, round by round.

    Attributes:
        name: The system.
        rounds: The times of each round, in nanoseconds.
        first: The very first message, in nanoseconds.
        alone: Messages after it, each sent when the processes had gone to sleep, in nanoseconds.
    """

    name: str
    rounds: list[list[int]] = field(default_factory=list)
    first: int | None = None
    alone: list[int] = field(default_factory=list)

    @property
    def p50_us(self) -> float:
        """The median of the rounds' medians."""
        return median([median(times) for times in self.rounds]) / 1000

    def row(self, size: int, mode: Mode, raw: Measured | None) -> LatencyRow:
        """Return the result, beside the baseline's."""
        times = [ns for times in self.rounds for ns in times]
        base = None if raw is None else raw.p50_us
        return LatencyRow(
            system=self.name,
            size=size,
            mode=mode,
            p50_us=round(self.p50_us, 2),
            p99_us=round(percentile(times, 0.99) / 1000, 2),
            first_us=None if self.first is None else round(self.first / 1000, 2),
            alone_us=round(median(self.alone) / 1000, 2) if self.alone else None,
            raw_p50_us=None if base is None else round(base, 2),
            ratio=None if base is None else round(self.p50_us / base, 3),
            messages=len(times),
        )


def count_for(size: int) -> int:
    """Return how many messages a round has: few enough that it lasts some ten milliseconds."""
    return max(3, min(200, (40 << 20) // (size + 200_000)))


async def latency(
    variants: Sequence[tuple[str, Callable[[int, Mode], Hop]]],
    pairs: Sequence[Pair],
    sizes: Sequence[int],
    modes: Sequence[Mode],
    rounds: int,
) -> list[LatencyRow]:
    """Measure every system at every size and mode.

    Args:
        variants: The ways through the framework, by name.
        pairs: The other systems; raw iceoryx2 first.
        sizes: Bytes of the messages.
        modes: How they are written.
        rounds: How often each system has its turn.
    """
    rows: list[LatencyRow] = []
    for mode in modes:
        for size in sizes:
            rows += await _one(variants, pairs, size, mode, rounds)
    return rows


async def _one(
    variants: Sequence[tuple[str, Callable[[int, Mode], Hop]]],
    pairs: Sequence[Pair],
    size: int,
    mode: Mode,
    rounds: int,
) -> Iterator[LatencyRow]:
    hops = [(Measured(name), make(size, mode)) for name, make in variants]
    others = [(Measured(pair.name), pair) for pair in pairs if mode in pair.modes]
    count = count_for(size)
    opened: list[Hop] = []
    try:
        for measured, hop in hops:
            await hop.open()
            opened.append(hop)
            measured.first = (await hop.ping(1))[0]
            for _ in range(_WARM_UP):
                measured.alone += await hop.ping(1)
            await hop.ping(_WARM_UP)
        for _, pair in others:
            pair.ping(size, mode, _WARM_UP)
        for _ in range(rounds):
            for measured, pair in others:
                measured.rounds.append(pair.ping(size, mode, count))
            for measured, hop in hops:
                measured.rounds.append(await hop.ping(count))
    finally:
        for hop in opened:
            await hop.close()
    raw = next((measured for measured, _ in others if measured.name == RAW), None)
    return (measured.row(size, mode, raw) for measured, _ in (*hops, *others))
