"""Bells: how one process wakes another.

A bell is an eventfd that every process of the session holds. It costs less than an iceoryx2
notification, needs no name, and the kernel removes it with its last holder. Rings add up until the
owner has heard them, so a ring between looking and waiting is never missed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["AsyncBell", "Bell", "Bells", "BlockingBell"]


class Bells:
    """The bells of a session: their descriptors, which close when nothing can use them any more.

    Args:
        fds: Eventfds; owned from here on.
    """

    def __init__(self, fds: Sequence[int]) -> None:
        self.fds: tuple[int, ...] = tuple(fds)

    @classmethod
    def create(cls, count: int) -> Bells:
        """Make new bells."""
        return cls([os.eventfd(0, os.EFD_CLOEXEC) for _ in range(count)])

    def ring(self, number: int) -> None:
        """Wake the owner of a bell; cheap, and never blocks."""
        os.eventfd_write(self.fds[number], 1)

    def __del__(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Bell(ABC):
    """The owner's side of a bell.

    Args:
        bells: The session's bells.
        number: Which of them.

    Attributes:
        fault: Once set, every wait raises what it returns: there is nothing to wait for any more.
    """

    def __init__(self, bells: Bells, number: int) -> None:
        self._bells, self._number = bells, number
        self.fd: int = bells.fds[number]
        self.fault: Callable[[], BaseException] | None = None

    def break_with(self, fault: Callable[[], BaseException]) -> None:
        """Make the wait that is going on, and all later ones, raise; from any thread."""
        self.fault = fault
        self.ring()

    def ring(self) -> None:
        """Wake whoever waits, from any thread."""
        self._bells.ring(self._number)

    async def wait(self) -> None:
        """Return when the bell was rung since the last wait, at once if it already was."""
        if self.fault is None and (waiting := self._wait()) is not None:
            await waiting
        if self.fault is not None:
            raise self.fault()

    @abstractmethod
    def _wait(self) -> Awaitable[None] | None:
        """Block until the bell is rung, or return what can be awaited instead."""


class AsyncBell(Bell):
    """A bell that is awaited in an event loop, of asyncio or trio."""

    def __init__(self, bells: Bells, number: int) -> None:
        super().__init__(bells, number)
        os.set_blocking(self.fd, False)
        from anyio import wait_readable  # node processes have bells too, and no need for anyio

        self._wait_readable = wait_readable

    async def _wait(self) -> None:
        await self._wait_readable(self.fd)
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:  # heard by another task in the meantime: look again all the same
            return


class BlockingBell(Bell):
    """A bell that its owner's thread sleeps on with the GIL released: the shortest way.

    `wait` never suspends the coroutine, so that one can be run without an event loop.
    """

    def __init__(self, bells: Bells, number: int) -> None:
        super().__init__(bells, number)
        os.set_blocking(self.fd, True)

    def _wait(self) -> None:
        os.eventfd_read(self.fd)
