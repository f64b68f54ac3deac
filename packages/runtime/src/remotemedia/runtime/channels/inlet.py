"""Inlet: the receiving end of one edge."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from remotemedia.core import wire
from remotemedia.runtime.channels.bell import ring
from remotemedia.runtime.channels.space import MAX_BORROWED, Space, array_over

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.channels.ledger import Ledger, Record
    from remotemedia.runtime.channels.plan import InletPlan

__all__ = ["Inlet"]

_HELD_AT_MOST = MAX_BORROWED - 8


class _Returns:
    """Counts what comes back from readers, in whichever thread their arrays are collected.

    A finalizer may run anywhere, also inside of this class: it only puts into a re-entrant queue,
    and whoever gets the lock adds up what is there.
    """

    def __init__(self, record: Record, room: int) -> None:
        self._record, self._room = record, room
        self._queue: SimpleQueue[int] = SimpleQueue()
        self._lock = threading.Lock()
        self.count = self.nbytes = 0

    def put(self, nbytes: int) -> None:
        self._queue.put(nbytes)
        while not self._queue.empty() and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()
            if self._record.is_waiting:
                ring(self._room)

    def _add_up(self) -> None:
        while True:
            try:
                nbytes = self._queue.get_nowait()
            except Empty:
                return
            self.count += 1
            self.nbytes += nbytes
            self._record.gave_back(nbytes)


class _Lease:
    """A received sample; tells when nobody reads it any more."""

    __slots__ = ("_nbytes", "_returns", "_sample")

    def __init__(self, sample: object, nbytes: int, returns: _Returns) -> None:
        self._sample, self._nbytes, self._returns = sample, nbytes, returns

    def __del__(self) -> None:
        self._sample = None  # the memory goes back before the credit for it does
        self._returns.put(self._nbytes)


class Inlet:
    """Takes messages from one edge, in order.

    Args:
        space: This process's access to iceoryx2.
        plan: The edge.
        ledger: The session's counters.
        bells: Descriptors of the session's bells.
    """

    def __init__(self, space: Space, plan: InletPlan, ledger: Ledger, bells: list[int]) -> None:
        self.plan = plan
        self.ended = False
        self._subscriber = space.subscriber(plan.channel, plan.link.capacity)
        self._record = ledger.record(plan.link.index)
        self._room = bells[plan.room]
        self._returns = _Returns(self._record, self._room)
        self._held_bytes_at_most = plan.channel.max_bytes // 2
        self._received = self._unrung = self._taken_bytes = self._next = 0
        self._batch = max(plan.link.capacity // 2, 1)

    def receive(self) -> RuntimeData | None:
        """Take the next message, without waiting.

        Returns:
            The data; None if nothing is there, or if the stream has ended (then `ended` is set).

        Raises:
            WireError: What arrived is no message; it is taken and counted.
        """
        sample = self._subscriber.receive()
        if sample is None:
            if self._unrung:
                self._ring()
            return None
        nbytes = getattr(sample, "__slice_len")  # noqa: B009 - the name would be mangled
        address = sample.payload_ptr
        held = self._received - self._returns.count
        held_bytes = self._taken_bytes - self._returns.nbytes
        lease = _Lease(sample, nbytes, self._returns)
        self._received += 1
        self._taken_bytes += nbytes
        memory = array_over(address, nbytes, lease, readonly=True)
        if held >= _HELD_AT_MOST or held_bytes + nbytes > self._held_bytes_at_most:
            memory = memory.copy()  # it keeps so much that the sender would run out of memory
            memory.flags.writeable = False
        del sample, lease
        stamp = None
        try:
            stamp, data = wire.decode(memory)
        finally:
            self._took(stamp, nbytes)
        if data is None:
            self.ended = True
        else:
            data.port = self.plan.port
        return data

    def _took(self, stamp: wire.Stamp | None, nbytes: int) -> None:
        latency = 0
        if stamp is not None:
            latency = time.monotonic_ns() - stamp.sent_ns
            if stamp.sequence > self._next:
                self._record.dropped(stamp.sequence - self._next)
            self._next = stamp.sequence + 1
        is_end = stamp is not None and stamp.kind == wire.END
        if not is_end:
            self._record.took(self._received, nbytes, latency)
        self._unrung += 1
        if self._unrung >= self._batch or self._record.is_waiting:
            self._ring()

    def _ring(self) -> None:
        self._unrung = 0
        ring(self._room)
