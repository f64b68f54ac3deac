"""Loans: the memory of an output that its node fills in place, and the rules for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.errors import LoanError

if TYPE_CHECKING:
    from remotemedia.core.data import Payload, RuntimeData

__all__ = ["MAX_LOANS_OUT", "Loan", "Loans", "ordinary", "too_early"]

#: How many loans of one output may be out at once.
MAX_LOANS_OUT = 15


class Loans:
    """The loans of one output.

    Args:
        port: The output's name.

    Attributes:
        port: The output's name.
        out: The identities of those that were neither sent nor dropped.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        self.out: set[int] = set()

    def check_room(self) -> None:
        """Raise LoanError if no more may be out."""
        if len(self.out) >= MAX_LOANS_OUT:
            raise LoanError(
                f"{MAX_LOANS_OUT} loans of output {self.port!r} are out; return or drop one first"
            )

    def check_none(self) -> None:
        """Raise LoanError if one outlives the item that it was taken for."""
        if self.out:
            raise LoanError(
                f"{len(self.out)} loan(s) of output {self.port!r} were neither returned nor "
                "dropped when the item was done; take a loan for each item, or use an array of "
                "your own"
            )


class Loan:
    """Memory that is lent.

    Args:
        loans: Those of its output.
        payload: What the node fills.
        memory: What holds the memory, and is handed over when it is sent.

    Attributes:
        memory: None from then on.
    """

    __slots__ = ("_loans", "_payload", "memory")

    def __init__(
        self,
        loans: Loans,
        payload: Payload,
        memory: Any,  # noqa: ANN401 - whatever lends
    ) -> None:
        self._loans, self._payload = loans, payload
        self.memory: Any = memory
        loans.out.add(id(self))

    def __del__(self) -> None:
        self._loans.out.discard(id(self))

    def is_sent_by(self, loans: Loans, data: RuntimeData) -> bool:
        """Say whether `data` is this loan, leaving by its own output.

        Raises:
            LoanError: It was sent already.
        """
        if self._loans is not loans or self._payload is not data.payload:
            self.settle()
            return False
        if self.memory is None:
            raise LoanError(f"this loan of output {loans.port!r} was sent already; take a new one")
        return True

    def settle(self) -> None:
        """Count it as returned, although what lies in it is sent as a copy."""
        self._loans.out.discard(id(self))

    def hand_over(self) -> Any:  # noqa: ANN401
        """Give up the memory, and make the node's view of it read-only: others read it now."""
        memory, self.memory = self.memory, None
        self._loans.out.discard(id(self))
        payload = self._payload
        for array in (payload,) if isinstance(payload, np.ndarray) else payload.values():
            array.setflags(write=False)
        return memory


def too_early() -> LoanError:
    """Return the error for a loan that is taken before the outputs are there."""
    return LoanError("outputs can't lend before the node is ready: take loans in process or finish")


def ordinary(blank: RuntimeData) -> RuntimeData:
    """Give `blank` a payload in ordinary memory, for an output that nobody listens to."""
    payload = blank.payload
    if isinstance(payload, dict):
        blank.payload = {name: np.empty(a.shape, a.dtype) for name, a in payload.items()}
    else:
        blank.payload = np.empty(payload.shape, payload.dtype)
    return blank
