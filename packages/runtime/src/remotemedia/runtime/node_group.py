"""NodeGroup: the nodes of a session that run, started and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from remotemedia.runtime.executors.base import RunningNode

__all__ = ["NodeGroup"]

_logger = logging.getLogger(__name__)
# Of the grace period, nodes have this part to stop by themselves before they are interrupted.
_ASKED = 0.7


class NodeGroup:
    """The nodes of a session that run.

    Args:
        session_id: For messages.

    Attributes:
        running: What executors have started, by node id; also those that have ended.
        alive: Ids of those that have not ended.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self.running: dict[str, RunningNode] = {}
        self.alive: set[str] = set()
        self._launching: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def launch(self, launches: Iterable[Coroutine[None, None, None]]) -> None:
        """Start all nodes at once; returns when all are started.

        Raises:
            RemoteMediaError: One can't be.
        """
        self._launching = [asyncio.ensure_future(launch) for launch in launches]
        done, _ = await asyncio.wait(self._launching, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    def started(self, node_id: str, running: RunningNode) -> None:
        """Take on a node that runs."""
        self.running[node_id] = running
        self.alive.add(node_id)

    def ended(self, node_id: str) -> None:
        """Take note that nothing of a node runs any more."""
        self.alive.discard(node_id)
        self.notify()

    def kill(self, node_id: str) -> None:
        """End a node at once, whatever it is doing."""
        self.running[node_id].kill()

    def notify(self) -> None:
        """Have everyone look again who is in `until`."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at after each change."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def end(self, grace: float) -> None:
        """End all at once: asked, then interrupted, then killed, under one deadline.

        Args:
            grace: Seconds after which what is left is killed.
        """
        for task in self._launching:
            task.cancel()
        if self._launching:
            await asyncio.wait(self._launching)
        for running in self.running.values():
            running.stop()
        if not await self._gone_within(grace * _ASKED):
            for node in self.alive:
                self.running[node].terminate()
        if not await self._gone_within(grace * (1 - _ASKED)):
            for node in self.alive:
                _logger.warning(
                    "node %r of session %r did not stop within %g s and is killed",
                    node,
                    self._session_id,
                    grace,
                )
                self.kill(node)
            await self._gone_within(grace + 1.0)

    async def _gone_within(self, seconds: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.until(lambda: not self.alive), seconds)
        return not self.alive
