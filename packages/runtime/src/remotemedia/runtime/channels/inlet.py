"""Inlet: the receiving end of one edge."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from remotemedia.core import wire
from remotemedia.core.errors import WireError
from remotemedia.runtime.channels.plan import MAX_BORROWED
from remotemedia.runtime.channels.prefault import populate_for_reading
from remotemedia.runtime.channels.space import Space, Window, view_of
from remotemedia.runtime.forks import left_behind

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.channels.bell import Bells
    from remotemedia.runtime.channels.ledger import Ledger, Record
    from remotemedia.runtime.channels.plan import InletPlan

__all__ = ["Inlet"]

_HELD_AT_MOST = MAX_BORROWED - 8


class _Returns:
    """Counts what comes back from readers, in whichever thread their arrays are collected.

    A finalizer may run anywhere, also in the middle of this class's own methods: it only appends,
    and whoever gets the lock adds up what is there.
    """

    def __init__(self, record: Record, bells: Bells, room: int) -> None:
        self._record, self._bells, self._room = record, bells, room
        self._queue: deque[int] = deque()
        self._lock = threading.Lock()
        self.count = self.nbytes = 0

    def put(self, nbytes: int) -> None:
        queue, lock = self._queue, self._lock
        queue.append(nbytes)
        while queue and lock.acquire(False):  # noqa: FBT003 - by name it costs twice
            try:
                while queue:
                    self.nbytes += queue.popleft()
                    self.count += 1
                is_waited_for = self._record.gave_back(self.nbytes)
            finally:
                lock.release()
            if is_waited_for:
                self._bells.ring(self._room)


@left_behind
class _Lease(Window):
    """The memory of a received sample; tells when nobody reads it any more.

    Attributes:
        sample: What holds it.
        nbytes: Its length.
        returns: What is told; None of what no credit was given for, as it is no data.
    """

    __slots__ = ("nbytes", "returns", "sample")

    sample: object
    nbytes: int
    returns: _Returns | None

    def __del__(self) -> None:
        self.sample = None  # the memory goes back before the credit for it does
        if self.returns is not None:
            self.returns.put(self.nbytes)


_from_address = _Lease.from_address


@left_behind
class Inlet:
    """Takes messages from one edge, in order.

    Args:
        space: This process's access to iceoryx2.
        plan: The edge.
        ledger: The session's counters.
        bells: The session's bells.

    Attributes:
        plan: The edge.
        ended: Whether the stream has.
    """

    def __init__(self, space: Space, plan: InletPlan, ledger: Ledger, bells: Bells) -> None:
        self.plan, self._port = plan, plan.port
        self.ended = False
        self._receive = space.subscriber(plan.channel, plan.link.capacity).receive
        self._record = ledger.record(plan.link.index)
        self._bells = bells
        self._returns = _Returns(self._record, bells, plan.room)
        self._held_bytes_at_most = plan.channel.held_bytes
        self._received = self._unrung = self._taken_bytes = self._next = 0
        self._batch = max(plan.link.capacity // 2, 1)
        self._prepared = False

    def prepare(self) -> bool:
        """Map the memory that the producer has prepared, as far as it is there.

        What is sent later in that memory can be received also after the producer's end.

        Returns:
            Whether that was all of it.
        """
        while not self._prepared and (sample := self._receive()) is not None:
            nbytes = getattr(sample, "__slice_len")
            populate_for_reading(sample.payload_ptr, nbytes)
            filler = wire.decode(view_of(sample.payload_ptr, nbytes))
            self._prepared = filler.sequence == 0
        return self._prepared

    @property
    def waiting(self) -> int:
        """Messages that can be received now."""
        return self._record.occupancy(self.plan.link.capacity)

    def receive(self) -> RuntimeData | None:
        """Take the next message, without waiting.

        Returns:
            The data; None if nothing is there, or if the stream has ended (then `ended` is set).

        Raises:
            WireError: What arrived is no message; it is taken and counted.
        """
        while (sample := self._receive()) is not None:
            nbytes = getattr(sample, "__slice_len")
            returns = self._returns
            lease = _from_address(sample.payload_ptr)
            lease.sample, lease.nbytes, lease.returns = sample, nbytes, returns
            memory = memoryview(lease).toreadonly()
            if (
                self._received - returns.count >= _HELD_AT_MOST
                or self._taken_bytes - returns.nbytes + nbytes > self._held_bytes_at_most
            ):  # it keeps so much that the sender would run out
                self._record.holds(self._taken_bytes + nbytes)  # the copy takes a while
                memory = memoryview(bytes(memory[:nbytes]))
            del sample
            try:
                sequence, sent_ns, data, is_filler = wire.decode(memory, nbytes)
            except WireError:
                self._took(nbytes, 0)
                raise
            if data is not None:
                del lease
                if sequence > self._next:
                    self._record.dropped(sequence - self._next)
                self._next = sequence + 1
                self._took(nbytes, time.monotonic_ns() - sent_ns)
                data.port = self._port
                return data
            lease.returns = None
            if not is_filler:
                self._lost_before_end(sequence)
                return None
        if self._record.is_waiting:
            self._ring()
        return None

    def _lost_before_end(self, sent: int) -> None:
        """Take note of the end of the stream, and of what was pushed out by it."""
        self.ended = True
        if sent > self._next:
            self._record.dropped(sent - self._next)

    def _took(self, nbytes: int, latency_ns: int) -> None:
        self._received = received = self._received + 1
        self._taken_bytes = taken_bytes = self._taken_bytes + nbytes
        self._unrung += 1
        if self._record.took(received, taken_bytes, latency_ns) or self._unrung >= self._batch:
            self._ring()

    def _ring(self) -> None:
        self._unrung = 0
        self._bells.ring(self.plan.room)
