"""Channels without processes: what a node gets and gives has been through the wire format."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from remotemedia.core import wire
from remotemedia.core.loans import Loan, Loans, ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from remotemedia.core.data import RuntimeData

__all__ = ["MemoryOutlet", "Transfer", "transfer"]


class Transfer(NamedTuple):
    """A message that was sent.

    Attributes:
        data: As it is received: its arrays are read-only views of `memory`.
        memory: The whole message.
    """

    data: RuntimeData
    memory: NDArray[np.uint8]


def transfer(data: RuntimeData, port: str, sequence: int) -> Transfer:
    """Send data through memory as a channel would.

    Raises:
        DataError: The data can't be expressed in the wire format.
    """
    message = wire.Message(data)
    room = np.empty(message.size + wire.ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % wire.ALIGNMENT
    memory = room[begin : begin + message.size]
    message.write(memory, sequence, time.monotonic_ns())
    received = wire.decode(memoryview(memory).toreadonly()).data
    assert received is not None  # noqa: S101 - only the end of a stream has none
    received.port = port
    return Transfer(received, memory)


class MemoryOutlet:
    """An output of a node whose items stay in this process.

    Args:
        port: The output's name.
        deliver: Gets each item, as its receiver would.

    Attributes:
        port: The output's name.
        loans: Those that it lends.
    """

    def __init__(self, port: str, deliver: Callable[[RuntimeData], None]) -> None:
        self.port = port
        self.loans = Loans(port)
        self._deliver = deliver
        self._sequence = 0

    async def send(self, data: RuntimeData) -> None:
        """Send an item."""
        self.send_now(data)

    def send_now(self, data: RuntimeData) -> bool:
        """Send an item; there is always room.

        Raises:
            DataError: It can't be expressed in the wire format.
            LoanError: It is a loan that was sent already.
        """
        loan: Loan | None = data._loan  # noqa: SLF001 - set by `loan`
        is_loan = loan is not None and loan.is_sent_by(self.loans, data)
        sent = transfer(data, self.port, self._sequence).data
        if loan is not None and is_loan:
            loan.hand_over()
        self._sequence += 1
        self._deliver(sent)
        return True

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Give `blank` a payload that the node fills; see `remotemedia.core.loans`."""
        self.loans.check_room()
        ordinary(blank)
        blank._loan = Loan(self.loans, blank.payload, self)  # noqa: SLF001 - as a channel does
        return blank

    def forgive_loans(self) -> None:
        """Let go of those that are held by the traceback of an exception: a test keeps it."""
        self.loans.out.clear()
