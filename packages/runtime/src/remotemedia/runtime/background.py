"""The runtime's thread: one event loop of its own in which all nodes of a process are watched.

Sessions are used from asyncio and from trio, from loops that block and loops that end early. What
watches over processes must not depend on any of them. It is also the thread that starts them, and
lives as long as the process: the kernel kills a node when the thread that started it ends.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from remotemedia.runtime.channels.bell import AsyncBell, Bells
from remotemedia.runtime.forks import left_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

__all__ = ["Background", "EventBox"]

_T = TypeVar("_T")


class EventBox:
    """Carries events from the runtime's thread to one coroutine of the application."""

    def __init__(self) -> None:
        self._events: deque[Any] = deque()
        self.bell = AsyncBell(Bells.create(1), 0)

    def put(self, *events: object) -> None:
        """Add events, from any thread, and wake the coroutine."""
        self._events.extend(events)
        self.bell.ring()

    def drain(self) -> list[Any]:
        """Return the events that have come."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events


@left_behind
class Background:
    """An event loop in a thread, shared by all runtimes of this process."""

    _shared: Background | None = None
    _guard = threading.Lock()

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._at_exit: set[Callable[[], Coroutine[Any, Any, None]]] = set()
        self._submitted: set[Future[Any]] = set()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="remotemedia-runtime", daemon=True
        )
        self._thread.start()
        ready.wait()
        atexit.register(self._end)

    @classmethod
    def shared(cls) -> Background:
        """Return the one of this process; a forked child gets its own."""
        with cls._guard:
            if cls._shared is None:
                cls._shared = cls()
            return cls._shared

    @classmethod
    def _forget(cls) -> None:
        cls._shared = None
        cls._guard = threading.Lock()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(ready.set)
        self.loop.run_forever()

    def at_exit(self, stop: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Have `stop` run when the interpreter ends; returns what takes that back."""
        self._at_exit.add(stop)
        return lambda: self._at_exit.discard(stop)

    def _end(self) -> None:
        if Background._shared is not self:  # we are a fork: nothing of this is ours
            return

        async def stop_all() -> None:
            await asyncio.gather(*(stop() for stop in tuple(self._at_exit)), return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop_all(), self.loop).result()

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run a coroutine in the runtime's thread, whether or not anybody waits for it."""
        future = self._run_threadsafe(coroutine)
        self._submitted.add(future)  # a loop alone does not keep its tasks alive
        future.add_done_callback(self._submitted.discard)
        return future

    def _run_threadsafe(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        # In a context of its own: the caller's says which event loop it has, say trio's.
        return contextvars.Context().run(asyncio.run_coroutine_threadsafe, coroutine, self.loop)

    @staticmethod
    async def until_done(future: Future[_T]) -> _T:
        """Wait in the caller's event loop for what was submitted; it goes on in any case."""
        box = EventBox()
        future.add_done_callback(lambda _: box.put())
        while not future.done():
            await box.bell.wait()
        return future.result()

    def wait(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the runtime's thread and block until it has ended.

        An exception in the caller's thread, as Ctrl-C raises one, cancels it.
        """
        ended = threading.Event()

        async def run() -> _T:
            try:
                return await coroutine
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(run(), self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            ended.wait()
            raise

    async def call(
        self,
        coroutine: Coroutine[Any, Any, _T],
        box: EventBox | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> _T:
        """Run a coroutine in the runtime's thread and wait for it in the caller's event loop.

        Args:
            coroutine: What to run; cancelled when the caller is.
            box: Where it puts events meanwhile.
            on_event: Called in the caller's loop with each of them.
        """
        inbox = box or EventBox()
        future = self._run_threadsafe(coroutine)
        future.add_done_callback(lambda _: inbox.put())

        def deliver() -> None:
            for event in inbox.drain():
                if on_event is not None:
                    on_event(event)

        try:
            while not future.done():
                await inbox.bell.wait()
                deliver()
            deliver()
        except BaseException:
            future.cancel()
            with anyio.CancelScope(shield=True):
                while not future.done():
                    await inbox.bell.wait()
            raise
        return future.result()


os.register_at_fork(after_in_child=Background._forget)  # noqa: SLF001 - the class's own affair
