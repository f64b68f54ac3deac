"""What goes through a channel, one way and without loss, beside raw iceoryx2 in turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.runtime.bench.hop import Stream
from remotemedia.runtime.bench.rows import ThroughputRow, median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.bench.pair import Pair
    from remotemedia.runtime.bench.payload import Mode
    from remotemedia.runtime.runtime import Runtime

__all__ = ["throughput"]

_ROUND_BYTES = 1 << 30
_ROUND_MESSAGES = 20_000


async def throughput(
    runtime: Runtime,
    raw: Pair,
    cases: Sequence[tuple[int, Mode]],
    rounds: int,
    *,
    pin: Sequence[int] | None = None,
    share: float = 1.0,
) -> list[ThroughputRow]:
    """Measure each case.

    Args:
        runtime: Where the framework's side runs.
        raw: Raw iceoryx2.
        cases: Sizes in bytes, and how messages are written.
        rounds: How often each has its turn.
        pin: The CPUs of the two processes.
        share: Of the usual messages in a round, for a quick look.
    """
    rows: list[ThroughputRow] = []
    for size, mode in cases:
        usual = min(_ROUND_MESSAGES, max(_ROUND_BYTES // size, 20))
        count = max(int(usual * share), 10)
        stream = Stream(runtime, size, mode, pin=pin)
        ours: list[float] = []
        theirs: list[float] = []
        await stream.open()
        try:
            await stream.run(10)
            raw.stream(size, mode, 10)
            for _ in range(rounds):
                theirs.append(count / raw.stream(size, mode, count))
                ours.append(count / await stream.run(count))
        finally:
            await stream.close()
        base = median(theirs)
        for name, rate in (("remotemedia", median(ours)), (raw.name, base)):
            rows.append(
                ThroughputRow(
                    system=name,
                    size=size,
                    mode=mode,
                    messages_per_s=round(rate, 1),
                    gb_per_s=round(rate * size / 1e9, 3),
                    raw_messages_per_s=round(base, 1),
                    ratio=round(rate / base, 3),
                )
            )
    return rows
