"""multiprocessing.Queue: what everyone has, and what most use first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remotemedia.runtime.bench.pair import End, Side, Transport
from remotemedia.runtime.bench.payload import COPIED, blank, read

if TYPE_CHECKING:
    from remotemedia.runtime.bench.payload import Mode

__all__ = ["MultiprocessingQueue"]


class MultiprocessingQueue(Transport):
    """A queue of arrays in each direction.

    Args:
        context: The context that starts the processes.
    """

    name = "multiprocessing.Queue"
    modes = (COPIED,)

    def __init__(self, context: Any) -> None:  # noqa: ANN401 - contexts have no common type
        self._queues = context.Queue(100), context.Queue(100)

    def open(self, side: Side) -> End:
        """Open one end."""
        there, back = self._queues
        return _QueueEnd(there, back) if side == "near" else _QueueEnd(back, there)


class _QueueEnd(End):
    def __init__(self, outgoing: Any, incoming: Any) -> None:  # noqa: ANN401
        self._outgoing, self._incoming = outgoing, incoming
        self._source = blank(1)

    def send(self, size: int, mode: Mode) -> None:
        """Put an array; it is pickled in a thread of the queue."""
        del mode
        if self._source.shape[0] != size:
            self._source = blank(size)
        self._outgoing.put(self._source)

    def receive(self) -> None:
        """Get one."""
        read(self._incoming.get())

    def close(self) -> None:
        """Don't wait for what nobody will read."""
        self._outgoing.cancel_join_thread()
