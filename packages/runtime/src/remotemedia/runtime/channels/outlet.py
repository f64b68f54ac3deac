"""Outlet: the sending end of an output port, for all its consumers."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from remotemedia.core import wire
from remotemedia.core.errors import ChannelFullError, LoanError
from remotemedia.core.loans import Loan, Loans, ordinary
from remotemedia.runtime.channels.lending import Lent, lay_out, size_of
from remotemedia.runtime.channels.space import LOAN_HEAD, MAX_LOANS, Space
from remotemedia.runtime.channels.writer import Writer
from remotemedia.runtime.forks import left_behind

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.channels.bell import Bell, Bells
    from remotemedia.runtime.channels.consumer import Consumer
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.node_record import NodeRecord
    from remotemedia.runtime.channels.plan import OutletPlan

__all__ = ["Outlet"]


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
        self._others = self._writers[1:]  # a loan lies in the memory of the first
        self._counted = [
            consumer
            for writer in self._writers
            for consumer in writer.consumers
            if consumer.is_counted
        ]
        self._limit = min((channel.message_limit for channel in plan.channels), default=sys.maxsize)
        self.loans = Loans(plan.port)
        self._lent: dict[int, int] = {}

    async def send(self, data: RuntimeData) -> None:
        """Send `data` to every consumer; waits for room where an edge's policy is `block`.

        Raises:
            DataError: The data can't be expressed in the wire format.
            ChannelFullError: An edge of policy `error` has no room (then nobody got it), or the
                message is larger than the channel may ever hold.
            LoanError: It is a loan that was sent already.
        """
        while not self.send_now(data):
            await self._wait_for_room(wire.Message(data).size)

    def send_now(self, data: RuntimeData) -> bool:
        """Send `data` to every consumer, unless one has to be waited for: then nobody gets it.

        Returns:
            Whether it was sent.

        Raises:
            DataError, ChannelFullError, LoanError: As `send` does.
        """
        loan: Loan | None = data._loan  # noqa: SLF001 - set by `loan`
        if loan is not None and not loan.is_sent_by(self.loans, data):
            loan = None
        offset = 0 if loan is None else loan.memory.offset
        message = wire.Message(data, offset)
        size = message.size
        if size > self._limit:
            raise self._too_large(size)
        for consumer in self._counted:
            if not consumer.has_room(size):
                self._check_room(size)
                return False
        if loan is None:
            for writer in self._writers:
                writer.send(message)
        elif message.payload_offset == offset:
            self._send_loan(loan, message)
        else:  # its header has outgrown its place
            loan.settle()
            for writer in self._writers:
                writer.send(message)
        if self._node is not None:
            self._node.sent()
        return True

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Give `blank` a writable payload in shared memory.

        Raises:
            ChannelFullError: It is larger than the channel may ever hold.
            LoanError: Too many loans are out at once.
        """
        if not self._writers:  # nobody listens: ordinary memory will do
            return ordinary(blank)
        payload = blank.payload
        is_one = isinstance(payload, np.ndarray)
        offset, end = (LOAN_HEAD, LOAN_HEAD + payload.nbytes) if is_one else size_of(payload)
        if end > self._limit:
            raise self._too_large(end)
        if self._lent:
            self._check_loans_beside(end)
        lent = Lent.of(self._writers[0].take(end), offset, end, self._lent)
        blank.payload = payload = lent.array(payload, offset) if is_one else lay_out(payload, lent)
        # The runtime's side of the contract.
        blank._loan = Loan(self.loans, payload, lent)  # noqa: SLF001
        return blank

    def _check_loans_beside(self, nbytes: int) -> None:
        """Make sure that loans which are out leave room for one more."""
        self.loans.check_room()
        if len(self._lent) >= MAX_LOANS:
            raise LoanError(
                f"output {self.port!r} has no memory left to lend: arrays of {MAX_LOANS} loans "
                "that were dropped are still held"
            )
        taken = sum(self._lent.values())
        if nbytes + taken > self._limit:
            raise LoanError(
                f"loans of output {self.port!r} take {taken} bytes, and {nbytes} "
                f"more would be over the {self._limit} that it may lend; return or drop one "
                "first, or raise 'shm_segment_size'"
            )

    def prepare(self) -> None:
        """Provide memory for the first messages, once every consumer is there.

        Raises:
            ChannelFullError: The machine has none.
        """
        for writer in self._writers:
            writer.prepare()

    def end(self) -> None:
        """Tell every consumer that nothing more will come."""
        for writer in self._writers:
            writer.end()

    def _send_loan(self, loan: Loan, message: wire.Message) -> None:
        """Send a loan where it lies, and a copy of it by every other channel."""
        for writer in self._others:
            writer.send(message)
        first, size = self._writers[0], message.size
        lent: Lent = loan.memory
        sample = lent.take()
        if not first.may_refuse or first.admits(size):
            message.write_head(lent, first.sequence, time.monotonic_ns())
            first.publish(sample, size)
        loan.hand_over()

    def _too_large(self, size: int) -> ChannelFullError:
        writer = min(self._writers, key=lambda writer: writer.channel.message_limit)
        return ChannelFullError(
            writer.consumers[0].link.name,
            f"{writer.channel.max_bytes} bytes",
            "block",
            "shm_segment_size",
            f"a message may take half of them, and {size} were to be sent",
        )

    def _check_room(self, size: int) -> None:
        """Raise ChannelFullError where an `error` consumer has none."""
        for consumer in self._counted:
            if consumer.link.policy == "error" and not consumer.has_room(size):
                capacity, setting = consumer.lacks(size)
                raise ChannelFullError(consumer.link.name, capacity, "error", setting)

    async def _wait_for_room(self, size: int) -> None:
        """Wait for every `block` consumer."""
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
