"""NodeThread: the thread that a node under test lives in, so that a hang is the node's alone."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import queue
import sys
import threading
import traceback
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from remotemedia.core import loops, outputs
from remotemedia.core.loops import close_loop
from remotemedia.core.outputs import Stopped
from remotemedia.core.testing.clock import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["NodeThread"]

_T = TypeVar("_T")
_CANCELLED_WITHIN_SECS = 0.5
# A loaded machine may not let the thread run for a while; only what hangs in C waits for so long.
_INTERRUPTED_WITHIN_SECS = 2.0
_ENDED_WITHIN_SECS = 5.0
# Files whose frames are of no interest where they come before those of the node.
_THIS_PACKAGE = str(Path(__file__).parent)
_RUNNING = (threading.__file__, asyncio.__path__[0], str(loops.__file__), str(outputs.__file__))


class NodeThread:
    """A thread with an event loop of its own, which does one step after the other.

    Args:
        name: Of the thread.
        virtual_time: Whether waiting for a timer takes no time.

    Attributes:
        loop: Runs only while a step runs it.
    """

    def __init__(self, name: str, *, virtual_time: bool) -> None:
        self.loop: asyncio.AbstractEventLoop = (
            VirtualLoop() if virtual_time else asyncio.new_event_loop()
        )
        self._steps: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._steps = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, step: Callable[[], _T]) -> Future[_T]:
        """Have something done, after what was asked for before."""
        future: Future[_T] = Future()
        self._steps.put((future, step))
        return future

    def end(self) -> bool:
        """End the thread, with the tasks that are left in its loop; False if a step hangs."""
        self.leave()
        self._thread.join(_ENDED_WITHIN_SECS)
        return not self._thread.is_alive()

    def leave(self) -> None:
        """Leave it to itself: it ends when its step does."""
        self._steps.put(None)

    def interrupt(self, step: Future[Any]) -> bool:
        """End a step that takes too long, if Python code can end it; says whether it could."""
        tasks = self._tasks()
        for task in tasks:
            self.loop.call_soon_threadsafe(task.cancel)
        if tasks and _ends(step, _CANCELLED_WITHIN_SECS):
            return True
        if self._thread.ident is not None and self._thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(Stopped)
            )
        return _ends(step, _INTERRUPTED_WITHIN_SECS)

    def stack(self) -> str:
        """Return where the node is: the stacks of its thread and of what its loop waits for."""
        parts = [f"{task.get_name()} awaits:\n{_shown(_awaited(task))}" for task in self._tasks()]
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - documented
        if frame is not None and not (parts and frame.f_code.co_name == "select"):
            parts.append(_shown(traceback.extract_stack(frame)))
        return "\n".join(parts)

    def _tasks(self) -> list[asyncio.Task[Any]]:
        if not self.loop.is_running():
            return []
        return sorted(asyncio.all_tasks(self.loop), key=lambda task: task.get_name())

    def _run(self) -> None:
        # Threads that the node starts are to be what they are where it works in the main thread.
        self._thread._daemonic = False  # type: ignore[attr-defined] # noqa: SLF001
        asyncio.set_event_loop(self.loop)
        while self._do_next():
            pass
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        close_loop(self.loop)

    def _do_next(self) -> bool:
        try:
            asked = self._steps.get()
            if asked is None:
                return False
            future, step = asked
            try:
                result = step()
            except BaseException as error:  # noqa: BLE001 - a node may raise anything
                future.set_exception(error)
            else:
                future.set_result(result)
        except Stopped:  # an interruption that came when its step had just ended
            pass
        return True


def _ends(step: Future[Any], within: float) -> bool:
    ended = threading.Event()
    step.add_done_callback(lambda _: ended.set())
    return ended.wait(within)


def _awaited(task: asyncio.Task[Any]) -> list[traceback.FrameSummary]:
    """Return where a task stands, down to what it waits for."""
    frames: list[traceback.FrameSummary] = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        for kind, further in (("cr", "cr_await"), ("ag", "ag_await"), ("gi", "gi_yieldfrom")):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                frames += traceback.extract_stack(frame, 1)
                awaited = getattr(awaited, further)
                break
        else:
            # `async for` waits for a step of the generator, which does not say whose step it is.
            steps_of = gc.get_referents(awaited) if "async_generator" in str(type(awaited)) else ()
            awaited = next((found for found in steps_of if hasattr(found, "ag_frame")), None)
    return frames


def _shown(frames: Sequence[traceback.FrameSummary]) -> str:
    """Return a stack as text, without what runs the node."""
    of_node = list(frames)
    while of_node and of_node[0].filename.startswith((_THIS_PACKAGE, *_RUNNING)):
        del of_node[0]
    return "".join(traceback.format_list(of_node or list(frames)))
