"""Lending: slices of a channel whose payload a node fills in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core import wire
from remotemedia.runtime.channels.space import LOAN_HEAD, Window
from remotemedia.runtime.forks import left_behind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Lent", "lay_out", "size_of"]

# How much further a payload lies for each named array: its header describes them all.
_HEAD_EACH = 64


@left_behind
class Lent(Window):
    """The memory of a slice that was lent; noted for as long as it is neither sent nor let go.

    Attributes:
        sample: The slice, until it is sent.
        offset: Where in it the payload begins.
    """

    __slots__ = ("_all", "offset", "sample")

    sample: Any  # iceoryx2 has no types
    offset: int
    _all: dict[int, int]

    @classmethod
    def of(cls, sample: Any, offset: int, nbytes: int, lent: dict[int, int]) -> Lent:  # noqa: ANN401
        """Note a slice that is lent.

        Args:
            sample: The slice.
            offset: Where in it the payload will begin.
            nbytes: Its length.
            lent: The lengths of all that are out, by identity.
        """
        self = cls.from_address(sample.payload_ptr)
        self.sample, self.offset, self._all = sample, offset, lent
        lent[id(self)] = nbytes
        return self

    def array(self, like: NDArray[Any], offset: int) -> NDArray[Any]:
        """Return an array of the shape and dtype of another one, which lies at `offset`."""
        memory: Any = self  # numpy's types know less of buffers than numpy does
        return np.ndarray(like.shape, like.dtype, memory, offset)

    def take(self) -> Any:  # noqa: ANN401
        """Return the slice, to be sent."""
        sample, self.sample = self.sample, None
        del self._all[id(self)]
        return sample

    def __del__(self) -> None:
        if self.sample is not None:
            del self._all[id(self)]


def size_of(named: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
    """Return where in a slice several arrays of a loan begin, and how long the slice has to be."""
    names = sum(len(name.encode()) + _HEAD_EACH for name in named)
    offset = end = wire.aligned(LOAN_HEAD + names)
    for array in named.values():
        end = wire.aligned(end) + array.nbytes
    return offset, end


def lay_out(named: Mapping[str, NDArray[Any]], lent: Lent) -> dict[str, NDArray[Any]]:
    """Return arrays like several others in memory that is lent."""
    arrays = {}
    at = lent.offset
    for name, array in named.items():
        at = wire.aligned(at)
        arrays[name] = lent.array(array, at)
        at += array.nbytes
    return arrays
