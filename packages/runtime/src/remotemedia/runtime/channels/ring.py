"""Ring: what may wait in the queues of a channel that pushes out its oldest message."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.channels.consumer import Consumer

__all__ = ["Ring"]


class _Waiting(NamedTuple):
    """A message that may wait in a queue.

    Attributes:
        sequence: Its number among the messages.
        position: Its number among all that was pushed, fillers included.
        nbytes: Its size.
    """

    sequence: int
    position: int
    nbytes: int


class Ring:
    """Follows what a channel's queues hold, which all have the same length.

    A message has certainly left every queue when as many others as a queue holds were pushed after
    it, whatever the consumers do.

    Args:
        length: How many messages a queue holds.
        max_bytes: How much memory they and what consumers hold may take.
        consumers: Those of the channel.
    """

    def __init__(self, length: int, max_bytes: int, consumers: Sequence[Consumer]) -> None:
        self._length, self._max_bytes, self._consumers = length, max_bytes, consumers
        self._waiting: deque[_Waiting] = deque()
        self._bytes = self._pushed = 0

    def pushed(self, sequence: int, nbytes: int) -> None:
        """Take note of a message that was sent."""
        self._waiting.append(_Waiting(sequence, self._pushed, nbytes))
        self._bytes += nbytes
        self.pushed_filler()
        for consumer in self._consumers:
            consumer.record.pushed_out_before(self._waiting[0].sequence)

    def pushed_filler(self) -> None:
        """Take note of a filler that was sent."""
        self._pushed += 1
        gone = self._pushed - self._length
        while self._waiting and self._waiting[0].position < gone:
            self._forget_oldest()

    def fillers_for(self, nbytes: int) -> int:
        """Return how many fillers have to be sent so that there is memory for a message."""
        held = sum(max(consumer.record.held_bytes, 0) for consumer in self._consumers)
        free = self._max_bytes - held - nbytes
        if self._bytes <= free:
            return 0
        taken = min(consumer.record.taken for consumer in self._consumers)
        while self._waiting and self._waiting[0].sequence < taken:
            self._forget_oldest()
        pushes = 0
        while self._waiting and self._bytes > free:
            pushes = self._waiting[0].position + self._length + 1 - self._pushed
            self._forget_oldest()
        return pushes

    def _forget_oldest(self) -> None:
        self._bytes -= self._waiting.popleft().nbytes
