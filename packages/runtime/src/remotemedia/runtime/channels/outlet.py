"""Outlet: the sending end of an output port, for all its consumers."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core import wire
from remotemedia.core.errors import ChannelFullError, LoanError
from remotemedia.core.loans import Loan, Loans, ordinary
from remotemedia.runtime.channels.space import MAX_LOANS, Space, copy_to, view_of
from remotemedia.runtime.channels.writer import Consumer, Writer
from remotemedia.runtime.forks import left_behind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.channels.bell import Bell, Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.node_record import NodeRecord
    from remotemedia.runtime.channels.plan import OutletPlan

__all__ = ["Outlet"]

# Where a loan's payload lies, and how much further for each named array: whatever header it will
# get has to fit before it.
_LOAN_OFFSET, _LOAN_OFFSET_EACH = 512, 64


@left_behind
class _Lent:
    """A sample that was lent; noted for as long as it is neither sent nor let go."""

    __slots__ = ("_all", "sample")

    def __init__(self, sample: Any, lent: set[int]) -> None:  # noqa: ANN401 - iceoryx2 has no types
        self.sample, self._all = sample, lent
        lent.add(id(self))

    def take(self) -> Any:  # noqa: ANN401
        """Return the sample, to be sent."""
        sample, self.sample = self.sample, None
        self._all.discard(id(self))
        return sample

    def __del__(self) -> None:
        self._all.discard(id(self))


@left_behind
class Outlet:
    """Sends data to all consumers of one output port, each by its own policy.

    Args:
        space: This process's access to iceoryx2.
        plan: The port and its consumers.
        ledger: The session's counters.
        bells: The session's bells.
        room: The bell that is rung when a consumer has taken something.
        node: The record of the node that sends; None for the application.

    Attributes:
        port: The port's name.
        loans: Those that are out.
    """

    def __init__(
        self,
        space: Space,
        plan: OutletPlan,
        ledger: Ledger,
        bells: Bells,
        room: Bell,
        node: NodeRecord | None = None,
    ) -> None:
        self.port = plan.port
        self._room, self._node = room, node
        self._writers = [Writer(space, channel, ledger, bells) for channel in plan.channels]
        self._counted = [
            consumer
            for writer in self._writers
            for consumer in writer.consumers
            if consumer.is_counted
        ]
        self._max_bytes = min((writer.max_bytes for writer in self._writers), default=sys.maxsize)
        self.loans = Loans(plan.port)
        self._lent: set[int] = set()

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
        if self._node is not None:
            self._node.sent()

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Give `blank` a writable payload in shared memory.

        Raises:
            ChannelFullError: It is larger than the channel may ever hold.
            LoanError: Too many loans are out at once.
        """
        if not self._writers:  # nobody listens: ordinary memory will do
            return ordinary(blank)
        payload = blank.payload
        if isinstance(payload, dict):
            offset, places, end = _layout(payload)
        else:
            offset, end = _LOAN_OFFSET, _LOAN_OFFSET + payload.nbytes
        if end > self._max_bytes:
            raise self._too_large(end)
        self.loans.check_room()
        if len(self._lent) >= MAX_LOANS:
            raise LoanError(
                f"output {self.port!r} has no memory left to lend: arrays of {MAX_LOANS} loans "
                "that were dropped are still held"
            )
        lent = _Lent(self._writers[0].take(end), self._lent)
        memory = view_of(lent.sample.payload_ptr, end, lent)
        if isinstance(payload, dict):
            blank.payload = {
                name: np.ndarray(array.shape, array.dtype, memory, places[name])
                for name, array in payload.items()
            }
        else:
            blank.payload = np.ndarray(payload.shape, payload.dtype, memory, offset)
        # The runtime's side of the contract.
        blank._loan = Loan(self.loans, blank.payload, (lent, offset))  # noqa: SLF001
        return blank

    def check_loans(self) -> None:
        """Make sure that no loan outlives the item that it was taken for.

        Raises:
            LoanError: One does.
        """
        self.loans.check_none()

    def end(self) -> None:
        """Tell every consumer that nothing more will come."""
        for writer in self._writers:
            writer.end()

    def _send_loan(self, data: RuntimeData, message: wire.Message) -> list[Writer]:
        """Send a loan where it lies; returns the writers that still need a copy of it."""
        loan: Loan = data._loan  # noqa: SLF001
        if not loan.is_sent_by(self.loans, data):
            return self._writers
        _, offset = loan.memory
        if not message.moved_to(offset):
            return self._writers  # its header has outgrown its place
        first, *others = self._writers
        for writer in others:
            writer.send(message)
        lent, _ = loan.hand_over()
        sample = lent.take()
        if first.admits(message.size):
            copy_to(sample.payload_ptr, message.head(first.sequence, time.monotonic_ns()))
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
        if self._node is not None:
            self._node.waiting(since)
        try:
            while not consumer.has_room(size):
                await self._room.wait()
        finally:
            waited = time.monotonic_ns() - since
            record.waiting(0)
            record.blocked(waited)
            if self._node is not None:
                self._node.waited(waited)


def _layout(arrays: dict[str, NDArray[Any]]) -> tuple[int, dict[str, int], int]:
    """Return where in a loan the payload begins, where each array lies, and where it ends."""
    names = sum(len(name.encode()) + _LOAN_OFFSET_EACH for name in arrays)
    offset = end = wire.aligned(_LOAN_OFFSET + names)
    places = {}
    for name, array in arrays.items():
        places[name] = wire.aligned(end)
        end = places[name] + array.nbytes
    return offset, places, end
