"""Stream: the items of one call of `process`, one at a time: the node waits until it is asked."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData

__all__ = ["Stream"]


class Stream:
    """What a node gives for one item, as it is asked for.

    Attributes:
        stopped: Nobody will ask any more.
    """

    def __init__(self) -> None:
        self.stopped: bool = False
        self._asked: SimpleQueue[Future[RuntimeData | None]] = SimpleQueue()
        self._current: Future[RuntimeData | None]

    # ---- the test's side

    def next(self) -> Future[RuntimeData | None]:
        """Ask for the next item; None is the end."""
        wanted: Future[RuntimeData | None] = Future()
        self._asked.put(wanted)
        return wanted

    def stop(self) -> None:
        """Have the node stop where it is."""
        self.stopped = True
        self.next()

    # ---- the node's side, in its thread

    def begin(self) -> None:
        """Wait until the first item is asked for."""
        self._current = self._asked.get()

    def offer(self, data: RuntimeData) -> None:
        """Give an item, and wait until another is asked for."""
        self._current.set_result(data)
        self._current = self._asked.get()

    def end(self, error: BaseException | None) -> None:
        """Say that there are no more, and why."""
        if error is None:
            self._current.set_result(None)
        else:
            self._current.set_exception(error)
