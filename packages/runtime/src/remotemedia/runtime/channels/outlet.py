"""Outlet: the sending end of an output port, for all its consumers."""

from __future__ import annotations

import ctypes
import time
import weakref
from typing import TYPE_CHECKING, Any

from remotemedia.core import wire
from remotemedia.core.errors import ChannelFullError, LoanError
from remotemedia.runtime.channels.space import MAX_LOANS, Space, array_over, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.channels.bell import Bell, Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.plan import Channel, Link, OutletPlan

__all__ = ["Outlet"]

_HEADER_ROOM = 192  # a loan's metadata may grow by this much before it is sent


class _Consumer:
    """One consumer, as its producer sees it."""

    def __init__(self, link: Link, max_bytes: int, ledger: Ledger, bells: Bells) -> None:
        self.link = link
        self._bells = bells
        self.record = ledger.record(link.index)
        self.waits = link.policy == "block"
        self.counts = link.policy in ("block", "error")
        self._max_bytes = max_bytes
        self.sent = self.sent_bytes = 0

    def has_room(self, nbytes: int) -> bool:
        record = self.record
        if self.sent - record.taken >= self.link.capacity:
            return False
        in_flight = self.sent_bytes - record.returned_bytes
        return in_flight + nbytes <= self._max_bytes or in_flight == 0

    def put(self, nbytes: int) -> None:
        self.sent += 1
        self.sent_bytes += nbytes
        self.record.put(self.sent, self.sent_bytes)
        self.ring()

    def ring(self) -> None:
        self._bells.ring(self.link.bell)


class _Writer:
    """One service of the port, with the consumers that it reaches."""

    def __init__(
        self, space: Space, channel: Channel, ledger: Ledger, bells: Bells
    ) -> None:
        self.channel = channel
        self._publisher = space.publisher(channel)
        self.consumers = [
            _Consumer(link, channel.max_bytes, ledger, bells) for link in channel.links
        ]
        self._skips = channel.links[0].policy == "drop_newest"
        self.sequence = 0

    def skips(self, nbytes: int) -> bool:
        """Say whether the message is to be dropped; a `drop_newest` edge is alone in its channel."""
        if not self._skips or self.consumers[0].has_room(nbytes):
            return False
        self.consumers[0].record.skipped()
        return True

    def take(self, nbytes: int) -> Any:  # noqa: ANN401 - iceoryx2 has no types
        """Loan memory."""
        return self._publisher.loan_slice_uninit(nbytes)

    def publish(self, sample: Any, nbytes: int) -> None:  # noqa: ANN401
        """Send what was taken and written."""
        sample.assume_init().send()
        self.sequence += 1
        for consumer in self.consumers:
            consumer.put(nbytes)


class _Loan:
    """Memory of a writer that a node fills in place."""

    __slots__ = ("__weakref__", "memory", "outlet", "payload_offset", "sample")

    def __init__(
        self, outlet: Outlet, sample: Any, memory: NDArray[np.uint8], payload_offset: int  # noqa: ANN401
    ) -> None:
        self.outlet, self.sample, self.memory = outlet, sample, memory
        self.payload_offset = payload_offset


class Outlet:
    """Sends data to all consumers of one output port, each by its own policy.

    Args:
        space: This process's access to iceoryx2.
        plan: The port and its consumers.
        ledger: The session's counters.
        bells: The session's bells.
        room: The bell that is rung when a consumer has taken something.
    """

    def __init__(
        self, space: Space, plan: OutletPlan, ledger: Ledger, bells: Bells, room: Bell
    ) -> None:
        self.port = plan.port
        self._room = room
        self._writers = [_Writer(space, channel, ledger, bells) for channel in plan.channels]
        self._loans: weakref.WeakSet[_Loan] = weakref.WeakSet()

    async def send(self, data: RuntimeData) -> None:
        """Send `data` to every consumer; waits for room where an edge's policy is `block`.

        Raises:
            DataError: The data can't be expressed in the wire format.
            ChannelFullError: An edge of policy `error` has no room (then nobody got it), or the
                message is larger than the channel may ever hold.
            LoanError: It is a loan that was sent already.
        """
        loan = None if data._loan is None else self._loan_of(data)  # noqa: SLF001
        message = wire.Message(data)
        if loan is not None and not message.moved_to(loan.payload_offset):
            loan = None  # the header has outgrown its place: send a copy
        size = message.size
        if not self._has_room(size):
            self._check_size(size)
            await self._wait_for_room(size)
        for writer in self._writers:
            if writer.skips(size):
                continue
            if loan is not None and writer is self._writers[0]:
                head = message.head(writer.sequence, time.monotonic_ns())
                memoryview(loan.memory)[: len(head)] = head
                sample = loan.sample
            else:
                sample = writer.take(size)
                head = message.head(writer.sequence, time.monotonic_ns())
                write(sample.payload_ptr, message, head)
            writer.publish(sample, size)
        if loan is not None:
            loan.sample = None
            _freeze(data)

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Give `blank` a writable payload in shared memory.

        Raises:
            ChannelFullError: It is larger than the channel may ever hold.
            LoanError: Too many loans are out at once.
        """
        if not self._writers:  # nobody listens: ordinary memory will do
            return _private(blank)
        message = wire.Message(blank, room=_HEADER_ROOM)
        self._check_size(message.size)
        if len(self._loans) >= MAX_LOANS - 1:
            raise LoanError(
                f"{MAX_LOANS - 1} loans of output {self.port!r} are out; return or drop one first"
            )
        sample = self._writers[0].take(message.size)
        memory = array_over(sample.payload_ptr, message.size, sample, readonly=False)
        views = message.arrays_in(memory)
        names = blank.payload.keys() if isinstance(blank.payload, dict) else None
        blank.payload = views[0] if names is None else dict(zip(names, views))
        blank._loan = loan = _Loan(self, sample, memory, message.payload_offset)  # noqa: SLF001
        self._loans.add(loan)
        return blank

    def check_loans(self) -> None:
        """Make sure that no loan outlives the item that it was taken for.

        Raises:
            LoanError: One does.
        """
        kept = [loan for loan in self._loans if loan.sample is not None]
        if kept:
            raise LoanError(
                f"{len(kept)} loan(s) of output {self.port!r} were neither returned nor dropped "
                "when the item was done; take a loan for each item, or use an array of your own"
            )

    def end(self) -> None:
        """Tell every consumer that nothing more will come; their queues have a place for that."""
        for writer in self._writers:
            message = wire.end_of_stream(writer.sequence, time.monotonic_ns())
            sample = writer.take(len(message))
            ctypes.memmove(sample.payload_ptr, message, len(message))
            sample.assume_init().send()
            for consumer in writer.consumers:
                consumer.ring()

    def _loan_of(self, data: RuntimeData) -> _Loan | None:
        loan: _Loan | None = data._loan  # noqa: SLF001 - set by `loan` above
        if loan is None or loan.outlet is not self:
            return None
        if loan.sample is None:
            raise LoanError(f"this loan of output {self.port!r} was sent already; take a new one")
        return loan

    def _has_room(self, size: int) -> bool:
        for writer in self._writers:
            if size > writer.channel.max_bytes:
                return False
            for consumer in writer.consumers:
                if consumer.counts and not consumer.has_room(size):
                    return False
        return True

    def _check_size(self, size: int) -> None:
        for writer in self._writers:
            if size > writer.channel.max_bytes:
                raise ChannelFullError(
                    writer.consumers[0].link.name,
                    f"{writer.channel.max_bytes} bytes ({size} were to be sent)",
                    "block",
                    "shm_segment_size",
                )

    async def _wait_for_room(self, size: int) -> None:
        for writer in self._writers:
            for consumer in writer.consumers:
                if consumer.link.policy == "error" and not consumer.has_room(size):
                    raise ChannelFullError(
                        consumer.link.name,
                        f"{consumer.link.capacity} messages",
                        "error",
                        "channel_capacity",
                    )
        for writer in self._writers:
            for consumer in writer.consumers:
                if consumer.waits and not consumer.has_room(size):
                    await self._wait_for(consumer, size)

    async def _wait_for(self, consumer: _Consumer, size: int) -> None:
        since = time.monotonic_ns()
        record = consumer.record
        record.waiting(since)
        try:
            while not consumer.has_room(size):
                await self._room.wait()
        finally:
            record.waiting(0)
            record.blocked(time.monotonic_ns() - since)


def _private(blank: RuntimeData) -> RuntimeData:
    import numpy as np

    payload = blank.payload
    if isinstance(payload, dict):
        blank.payload = {name: np.empty(a.shape, a.dtype) for name, a in payload.items()}
    else:
        blank.payload = np.empty(payload.shape, payload.dtype)
    return blank


def _freeze(data: RuntimeData) -> None:
    """Make a sent loan read-only: its memory belongs to the readers now."""
    payload = data.payload
    for array in payload.values() if isinstance(payload, dict) else (payload,):
        array.flags.writeable = False
