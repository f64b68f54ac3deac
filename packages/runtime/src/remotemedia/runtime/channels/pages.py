"""Pages: what a channel's slots keep of the machine's memory, and how it is given back.

iceoryx2 gives each message a slot that is as large as the largest message so far, and a slot keeps
every page that was ever written. Small messages that wait let large ones go to ever new slots, so
that a channel of messages of all sizes would in the end hold as much as all its slots can. So a
writer counts, and has the kernel take back the pages of free slots when they are too many.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from typing import TYPE_CHECKING, Any

from remotemedia.runtime.channels.space import NoMemoryLeft

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COUNTED_BYTES", "Pages"]

#: Smaller messages are not counted: that would cost more than their pages.
COUNTED_BYTES = 1 << 18

_PAGE = mmap.PAGESIZE
_MADV_REMOVE = 9  # from Linux's mman-common.h; the mmap module has it only for its own mappings
_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Pages:
    """Counts what large messages have touched in one writer's slots.

    Args:
        loan: Takes a slot: its sample.
        slots: How many consumers can have at once.
        limit: Bytes that may be in flight; no more may stay touched, but for loans.

    Attributes:
        largest: The largest message that there are slots for, of those that are counted.
        crowded: Half of what may stay touched is: every message has to be told to `touch`, and
            gets a slot that is cut to its size.
    """

    def __init__(self, loan: Callable[[int], Any], slots: int, limit: int) -> None:
        self._loan, self._slots, self._limit = loan, slots, limit
        self._touched: dict[int, int] = {}  # bytes by the slot's address
        self._total = 0
        self.largest = 0
        self.crowded = False

    def outgrow(self, nbytes: int) -> None:
        """Give back what is free: iceoryx2 makes larger slots now, and no use of the others.

        They go when no consumer keeps one of them.
        """
        self._sweep()
        self._touched.clear()
        self._total = 0
        self.largest = 1 << (nbytes - 1).bit_length()

    def touch(self, address: int, nbytes: int) -> None:
        """Note that a message will be written to a slot, and give back what is too much."""
        known = self._touched.get(address, 0)
        if nbytes > known:
            if nbytes < COUNTED_BYTES:
                return
            self._touched[address] = nbytes
            self._total += nbytes - known
            if self._total > self._limit:
                self._sweep()
        elif self.crowded:  # it may be kept for long: what was touched behind its end is wasted
            _give_back(address + nbytes, known - nbytes)
            self._touched[address] = nbytes
            self._total -= known - nbytes
        self.crowded = self._total > self._limit // 2

    def _sweep(self) -> None:
        """Give back the pages of all slots that are free: those that can be taken now."""
        taken = []
        with contextlib.suppress(NoMemoryLeft):  # then all that are free have been taken
            for _ in range(self._slots):
                sample = self._loan(1)
                taken.append(sample)  # or the next one would be the same
                nbytes = self._touched.pop(sample.payload_ptr, 0)
                if nbytes:
                    _give_back(sample.payload_ptr, nbytes)
                    self._total -= nbytes


def _give_back(address: int, nbytes: int) -> None:
    start = (address + _PAGE - 1) // _PAGE * _PAGE
    end = (address + nbytes) // _PAGE * _PAGE
    if end > start and _madvise(start, end - start, _MADV_REMOVE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "shared memory of a channel")
