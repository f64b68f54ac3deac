"""Prefault: has memory mapped before it is needed, so that nobody waits for it then."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

__all__ = ["populate_for_reading", "populate_for_writing"]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23


def populate_for_reading(address: int, nbytes: int) -> None:
    """Have this process see memory that another one has written; only ever makes it faster."""
    _advise(address, nbytes, _MADV_POPULATE_READ)


def populate_for_writing(address: int, nbytes: int) -> None:
    """Have the kernel provide memory.

    Raises:
        OSError: There is none left. Without this, whoever touches it first is killed by SIGBUS.
    """
    error = _advise(address, nbytes, _MADV_POPULATE_WRITE)
    # EINVAL: the kernel is older than 5.14, and provides memory when it is touched.
    if error and error != errno.EINVAL:
        raise OSError(error, os.strerror(error))


def _advise(address: int, nbytes: int, advice: int) -> int:
    begin = address & -mmap.PAGESIZE
    if _libc.madvise(begin, address + nbytes - begin, advice) == 0:
        return 0
    return ctypes.get_errno()
