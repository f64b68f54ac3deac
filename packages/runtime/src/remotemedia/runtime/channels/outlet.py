"""Outlet: the sending end of an output port, for all its consumers."""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from remotemedia.core import wire
from remotemedia.core.errors import ChannelFullError, LoanError
from remotemedia.runtime.channels.space import MAX_LOANS, Space, array_over
from remotemedia.runtime.channels.writer import Consumer, Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remotemedia.core.data import Payload, RuntimeData
    from remotemedia.runtime.channels.bell import Bell, Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.plan import OutletPlan

__all__ = ["Outlet"]

_HEADER_ROOM = 192  # a loan's metadata may grow by this much before it is sent


class _Loan:
    """Memory of a writer that a node fills in place."""

    __slots__ = ("__weakref__", "memory", "outlet", "payload", "payload_offset", "sample")

    def __init__(
        self,
        outlet: Outlet,
        sample: Any,  # noqa: ANN401 - iceoryx2 has no types
        memory: NDArray[np.uint8],
        payload_offset: int,
        payload: Payload,
    ) -> None:
        self.outlet, self.sample, self.memory = outlet, sample, memory
        self.payload_offset, self.payload = payload_offset, payload


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
        self._writers = [Writer(space, channel, ledger, bells) for channel in plan.channels]
        self._counted = [
            consumer
            for writer in self._writers
            for consumer in writer.consumers
            if consumer.is_counted
        ]
        self._max_bytes = min((writer.max_bytes for writer in self._writers), default=sys.maxsize)
        self._loans: weakref.WeakSet[_Loan] = weakref.WeakSet()

    async def send(self, data: RuntimeData) -> None:
        """Send `data` to every consumer; waits for room where an edge's policy is `block`.

        Raises:
            DataError: The data can't be expressed in the wire format.
            ChannelFullError: An edge of policy `error` has no room (then nobody got it), or the
                message is larger than the channel may ever hold.
            LoanError: It is a loan that was sent already.
        """
        message = wire.Message(data)
        size = message.size
        if size > self._max_bytes:
            raise self._too_large(size)
        for consumer in self._counted:
            if not consumer.has_room(size):
                await self._wait_for_room(size)
                break
        writers = self._writers
        if data._loan is not None:  # noqa: SLF001 - set by `loan`
            writers = self._send_loan(data, message)
        for writer in writers:
            writer.send(message)

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Give `blank` a writable payload in shared memory.

        Raises:
            ChannelFullError: It is larger than the channel may ever hold.
            LoanError: Too many loans are out at once.
        """
        if not self._writers:  # nobody listens: ordinary memory will do
            return _private(blank)
        message = wire.Message(blank, room=_HEADER_ROOM)
        if message.size > self._max_bytes:
            raise self._too_large(message.size)
        if len(self._loans) >= MAX_LOANS - 1:
            raise LoanError(
                f"{MAX_LOANS - 1} loans of output {self.port!r} are out; return or drop one first"
            )
        sample = self._writers[0].take(message.size)
        memory = array_over(sample.payload_ptr, message.size, sample, readonly=False)
        views = message.arrays_in(memory)
        names = blank.payload.keys() if isinstance(blank.payload, dict) else None
        blank.payload = views[0] if names is None else dict(zip(names, views))
        loan = _Loan(self, sample, memory, message.payload_offset, blank.payload)
        blank._loan = loan  # noqa: SLF001 - the runtime's side of the contract
        self._loans.add(loan)
        return blank

    def check_loans(self) -> None:
        """Make sure that no loan outlives the item that it was taken for.

        Raises:
            LoanError: One does.
        """
        if not self._loans:
            return
        kept = [loan for loan in self._loans if loan.sample is not None]
        if kept:
            raise LoanError(
                f"{len(kept)} loan(s) of output {self.port!r} were neither returned nor dropped "
                "when the item was done; take a loan for each item, or use an array of your own"
            )

    def end(self) -> None:
        """Tell every consumer that nothing more will come."""
        for writer in self._writers:
            writer.end()

    def _send_loan(self, data: RuntimeData, message: wire.Message) -> list[Writer]:
        """Send a loan where it lies; returns the writers that still need a copy of it."""
        loan: _Loan = data._loan  # noqa: SLF001
        if loan.outlet is not self or loan.payload is not data.payload:
            return self._writers
        if loan.sample is None:
            raise LoanError(f"this loan of output {self.port!r} was sent already; take a new one")
        if not message.moved_to(loan.payload_offset):
            return self._writers  # its header has outgrown its place
        first, *others = self._writers
        for writer in others:
            writer.send(message)
        head = message.head(first.sequence, time.monotonic_ns())
        memoryview(loan.memory)[: len(head)] = head
        sample, loan.sample = loan.sample, None
        _freeze(data)
        first.publish(sample, message.size)
        return []

    def _too_large(self, size: int) -> ChannelFullError:
        writer = min(self._writers, key=lambda writer: writer.max_bytes)
        return ChannelFullError(
            writer.consumers[0].link.name,
            f"{writer.max_bytes} bytes ({size} were to be sent)",
            "block",
            "shm_segment_size",
        )

    async def _wait_for_room(self, size: int) -> None:
        """Wait for every `block` consumer; an `error` consumer without room fails at once."""
        for consumer in self._counted:
            if consumer.link.policy == "error" and not consumer.has_room(size):
                raise ChannelFullError(
                    consumer.link.name,
                    f"{consumer.link.capacity} messages",
                    "error",
                    "channel_capacity",
                )
        for consumer in self._counted:
            if not consumer.has_room(size):
                await self._wait_for(consumer, size)

    async def _wait_for(self, consumer: Consumer, size: int) -> None:
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
