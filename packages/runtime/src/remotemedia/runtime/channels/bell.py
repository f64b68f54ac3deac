"""Bells: how one process wakes another.

A bell is an eventfd that every process of the session holds. It costs less than an iceoryx2
notification, needs no name, and the kernel removes it with its last holder. Rings add up until the
owner has heard them, so a ring between looking and waiting is never missed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AsyncBell", "Bell", "BlockingBell", "ring"]


def ring(fd: int) -> None:
    """Wake the owner of the bell; cheap, and never blocks."""
    os.eventfd_write(fd, 1)


class Bell(ABC):
    """The owner's side of a bell.

    Args:
        fd: The eventfd.

    Attributes:
        fault: Once set, every wait raises what it returns: there is nothing to wait for any more.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.fault: Callable[[], BaseException] | None = None

    def break_with(self, fault: Callable[[], BaseException]) -> None:
        """Make the wait that is going on, and all later ones, raise; from any thread."""
        self.fault = fault
        ring(self.fd)

    async def wait(self) -> None:
        """Return when the bell was rung since the last wait, at once if it already was."""
        if self.fault is None:
            await self._wait()
        if self.fault is not None:
            raise self.fault()

    @abstractmethod
    async def _wait(self) -> None: ...


class AsyncBell(Bell):
    """A bell that is awaited in an event loop, of asyncio or trio."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        os.set_blocking(fd, False)

    async def _wait(self) -> None:
        await anyio.wait_readable(self.fd)
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:  # heard by another task in the meantime: look again all the same
            return


class BlockingBell(Bell):
    """A bell that its owner's thread sleeps on with the GIL released: the shortest way.

    `wait` never suspends the coroutine, so that one can be run without an event loop.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        os.set_blocking(fd, True)

    async def _wait(self) -> None:
        os.eventfd_read(self.fd)
