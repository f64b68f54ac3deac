"""VirtualLoop: an event loop whose clock jumps to the next timer when nothing real is awaited."""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VirtualLoop", "is_idle_worker"]

# How long to look at threads that the node has started before their state is believed: one that
# was just given work still looks idle.
_LOOK_AGAIN_SECS = 0.05
# Threads of a test that runs under trio; a node never does.
_OF_THE_TEST = "Trio thread"
_EXECUTOR = ("futures", "thread.py")
# Modules in which a thread stands that waits for a lock, an event or a queue: for somebody else.
_WAITING = (("threading.py",), ("queue.py",), _EXECUTOR)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in which waiting for a timer takes no time.

    Its clock is what `asyncio.sleep`, `wait_for`, `timeout`, `call_later`, `loop.time()` and their
    likes in anyio go by. While a socket, a pipe, a child process or a thread has to be waited for,
    it runs as the real one does: what they take can't be known in advance.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._jobs = 0
        self._others = set(threading.enumerate())
        self._pool: ThreadPoolExecutor | None = None
        super().__init__(_Selector(self))
        self._own_files = len(self._selector.get_map())

    _selector: _Selector

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return super().time() + self._ahead

    def run_in_executor(  # type: ignore[override]  # what `func` takes does not matter here
        self,
        executor: Executor | None,
        func: Callable[..., Any],
        *args: Any,  # noqa: ANN401 - those of `func`
    ) -> asyncio.Future[Any]:
        """Run in a thread, and stay in real time until it is done."""
        if executor is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(thread_name_prefix="remotemedia-node-worker")
                self.set_default_executor(self._pool)
            executor = self._pool
        self._jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, future: asyncio.Future[Any]) -> None:
        del future
        self._jobs -= 1

    def may_jump(self) -> bool | None:
        """Say whether nothing real has to be waited for; None if only a second look can tell."""
        if self._jobs or len(self._selector.get_map()) > self._own_files:
            return False
        known = {*self._others, threading.current_thread(), *getattr(self._pool, "_threads", ())}
        started = [
            thread
            for thread in threading.enumerate()
            if thread not in known and not thread.name.startswith(_OF_THE_TEST)
        ]
        if not started:
            return True
        return None if all(_stands_in(thread, *_WAITING) for thread in started) else False

    def jump(self, seconds: float) -> None:
        """Move the clock."""
        self._ahead += seconds


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return super().select(None)
        may_jump = self._loop.may_jump()
        if may_jump is None:
            ready = super().select(min(timeout, _LOOK_AGAIN_SECS))
            may_jump = self._loop.may_jump() is not False
        if ready:
            return ready
        if may_jump:
            self._loop.jump(timeout)
            return []
        # A thread that ends without a word to the loop wakes nobody: look at it again.
        return super().select(min(timeout, _LOOK_AGAIN_SECS))


def is_idle_worker(thread: threading.Thread) -> bool:
    """Say whether a thread belongs to an executor and has nothing to do."""
    return _stands_in(thread, _EXECUTOR)


def runs_code_of(thread: threading.Thread, file: str) -> bool:
    """Say whether a thread is in the code of a file, or in something that it has called."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    return frame is not None


def _stands_in(thread: threading.Thread, *places: tuple[str, ...]) -> bool:
    """Say whether a thread is in one of these modules, named by the end of their paths."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    if frame is None:  # it has ended, or not begun
        return True
    parts = PurePath(frame.f_code.co_filename).parts
    return any(parts[-len(place) :] == place for place in places)
