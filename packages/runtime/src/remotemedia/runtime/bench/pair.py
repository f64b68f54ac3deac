"""Two processes that play ping-pong over a transport: the baseline, and the other systems."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from remotemedia.runtime.processes.child import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from typing import TypeAlias

    from remotemedia.runtime.bench.payload import Mode

    Line: TypeAlias = Connection[Any, Any]

__all__ = ["End", "Pair", "ProcessPair", "Side", "Transport", "play"]

Side = Literal["near", "far"]
_SIDES: tuple[Side, Side] = ("near", "far")
_END_SECS = 5.0


class End(ABC):
    """One end of a transport, in the process that uses it. Everything blocks."""

    @abstractmethod
    def send(self, size: int, mode: Mode) -> None:
        """Send a message of this many bytes."""

    @abstractmethod
    def receive(self) -> None:
        """Wait for a message, and read one value in each of its pages."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Release everything."""


class Transport(ABC):
    """A way between two processes. Travels to both of them, so it holds only what can.

    Attributes:
        name: What tables and plots call it.
        modes: How it can send.
    """

    name: str
    modes: tuple[Mode, ...]

    @abstractmethod
    def open(self, side: Side) -> End:
        """Open one end; the other one opens at the same time, in another process."""


class Pair:
    """Both ends of a transport, and the lines to the processes that they are in.

    Args:
        name: What tables and plots call it.
        modes: How it can send.
        lines: To the near and to the far process.
    """

    def __init__(self, name: str, modes: tuple[Mode, ...], lines: Sequence[Line]) -> None:
        self.name, self.modes, self._lines = name, modes, lines
        for line in lines:
            line.recv()  # it is open

    def ping(self, size: int, mode: Mode, count: int) -> list[int]:
        """Send a message there and back, again and again; returns half of each time, in ns."""
        return [ns // 2 for ns in self._order("ping", size, mode, count)]

    def stream(self, size: int, mode: Mode, count: int) -> float:
        """Send messages one way; returns seconds from the first until the last was read."""
        return float(self._order("stream", size, mode, count))

    def close(self) -> None:
        """End both processes."""
        for line in self._lines:
            line.close()

    def _order(self, *order: object) -> Any:  # noqa: ANN401
        for line in reversed(self._lines):
            line.send(order)
        answer, _ = [line.recv() for line in self._lines]
        return answer


class ProcessPair(Pair):
    """A pair of processes that it starts itself.

    Args:
        transport: The way between them.
        context: What starts the processes; a transport may have objects that were made by it.
        pin: The CPUs that the two processes may run on; None leaves it to the scheduler.
    """

    def __init__(
        self,
        transport: Transport,
        context: Any,  # noqa: ANN401 - contexts have no common type
        pin: Sequence[int] | None = None,
    ) -> None:
        lines: list[Line] = []
        self._processes: list[Any] = []
        for side, cpu in zip(_SIDES, pin or (None, None), strict=True):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_live, args=(transport, side, theirs, os.getpid(), cpu), daemon=True
            )
            process.start()
            theirs.close()
            lines.append(ours)
            self._processes.append(process)
        super().__init__(transport.name, transport.modes, lines)

    def close(self) -> None:
        """End both processes, whatever they are doing."""
        super().close()
        for process in self._processes:
            process.join(_END_SECS)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def _live(transport: Transport, side: Side, line: Line, parent: int, cpu: int | None) -> None:
    die_with_parent(parent)
    if cpu is not None:
        os.sched_setaffinity(0, [cpu])
    play(transport.open(side), side, line)


def play(end: End, side: Side, line: Line) -> None:
    """Do what the line orders, until it is closed."""
    line.send("open")
    try:
        while True:
            what, size, mode, count = line.recv()
            line.send(_GAMES[what, side](end, size, mode, count))
    except EOFError:
        end.close()


def _ping(end: End, size: int, mode: Mode, count: int) -> list[int]:
    times = []
    for _ in range(count):
        began = time.perf_counter_ns()
        end.send(size, mode)
        end.receive()
        times.append(time.perf_counter_ns() - began)
    return times


def _pong(end: End, size: int, mode: Mode, count: int) -> None:
    for _ in range(count):
        end.receive()
        end.send(size, mode)


def _stream(end: End, size: int, mode: Mode, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        end.send(size, mode)
    end.receive()  # everything was read
    return time.perf_counter() - began


def _drain(end: End, size: int, mode: Mode, count: int) -> None:
    del size
    for _ in range(count):
        end.receive()
    end.send(1, mode)


_GAMES: dict[tuple[str, Side], Any] = {
    ("ping", "near"): _ping,
    ("ping", "far"): _pong,
    ("stream", "near"): _stream,
    ("stream", "far"): _drain,
}
