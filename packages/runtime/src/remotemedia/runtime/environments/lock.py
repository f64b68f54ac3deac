"""The lock of an environment: shared by those who use it, exclusive for who makes or removes it.

The kernel frees it when its last holder has ended, however that ended. A program that was started
with the lock's descriptor is a holder too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import TYPE_CHECKING

from remotemedia.runtime.environments.program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["EnvironmentLock"]

# Whoever gets the lock of a shared descriptor gets it for all who hold that descriptor, so another
# process can wait for it: unlike a thread, it can be ended.
_WAIT = "import fcntl, sys; fcntl.flock(int(sys.argv[1]), int(sys.argv[2]))"


class EnvironmentLock:
    """A lock file, opened.

    Args:
        path: The file; made if it can be.

    Attributes:
        fd: Its descriptor.

    Raises:
        OSError: It neither is there nor can be made.
    """

    fd: int = -1

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = _open(path)

    async def shared(self, on_wait: Callable[[str], object]) -> None:
        """Hold it together with others; `on_wait` hears who has to be waited for."""
        await self._take(fcntl.LOCK_SH, on_wait)

    async def exclusive(self, on_wait: Callable[[str], object]) -> None:
        """Hold it alone; `on_wait` hears who has to be waited for."""
        await self._take(fcntl.LOCK_EX, on_wait)
        with contextlib.suppress(OSError):  # it is for people only
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def is_free(self) -> bool:
        """Take it alone if nobody else holds it."""
        return self._try(fcntl.LOCK_EX) and self._is_current()

    def touch(self) -> None:
        """Note that the environment is used now."""
        with contextlib.suppress(OSError):  # of a cache that can only be read
            os.utime(self.fd)

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    __del__ = close

    async def _take(self, kind: int, on_wait: Callable[[str], object]) -> None:
        while True:
            if not self._try(kind):
                on_wait(os.pread(self.fd, 20, 0).decode("ascii", "replace"))
                await run_program(
                    [sys.executable, "-I", "-S", "-c", _WAIT, str(self.fd), str(kind)],
                    pass_fds=(self.fd,),
                )
            elif self._is_current():
                return
            else:  # it was removed, with its environment, before we had it
                self.close()
                self.fd = _open(self._path)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self.fd))
        except FileNotFoundError:
            return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # of a store that can only be read
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
