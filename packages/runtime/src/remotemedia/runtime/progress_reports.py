"""ProgressReports: how nodes get on while a session initializes, also those that say nothing."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import msgspec
import psutil

from remotemedia.runtime.callbacks import call
from remotemedia.runtime.node_status import NodeState, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remotemedia.runtime.node_status import NodeStatus

__all__ = ["ProgressReports"]

# What was said last is told again after so long, with the time that has passed since.
_AGAIN_SECS = 1.0
_ON_THE_WAY = (NodeState.STARTING, NodeState.LOADING, NodeState.CONNECTING)


class ProgressReports:
    """Tells an application each step of its nodes, and once a second that a silent one lives.

    Args:
        status: The status of each node, kept up to date by whoever made it.

    Attributes:
        listener: Called with each report; its mistakes are its own.
    """

    def __init__(self, status: Mapping[str, NodeStatus]) -> None:
        self._status = status
        self.listener: Callable[[Progress], object] | None = None
        self._began = dict.fromkeys(status, time.monotonic())
        self._last: dict[str, Progress] = {}
        self._due: dict[str, float] = {}
        self._pulse: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to repeat what was told of nodes that say nothing, until `end`."""
        if self.listener is not None:
            self._pulse = asyncio.ensure_future(self._repeat())

    def end(self) -> None:
        """Repeat nothing any more."""
        if self._pulse is not None:
            self._pulse.cancel()

    def tell(self, node_id: str, fraction: float, message: str = "") -> None:
        """Tell a step of a node."""
        report = Progress(node_id, self._status[node_id].state.value, fraction, message)
        self._last[node_id] = report
        self._tell(report)

    def _tell(self, report: Progress) -> None:
        if self.listener is None:
            return
        now = time.monotonic()
        node = report.node_id
        self._due[node] = now + _AGAIN_SECS
        elapsed, used = now - self._began[node], _cpu_seconds(self._status[node].pid)
        call(self.listener, msgspec.structs.replace(report, elapsed=elapsed, cpu_seconds=used))

    async def _repeat(self) -> None:
        while True:
            now = time.monotonic()
            for node, status in self._status.items():
                if status.state in _ON_THE_WAY and self._due.get(node, now + 1) <= now:
                    self._tell(self._last[node])
            due = [at for at in self._due.values() if at > now]
            await asyncio.sleep(min(due, default=now + _AGAIN_SECS) - now)


def _cpu_seconds(pid: int | None) -> float | None:
    """Return the CPU time of a node's process; None where it has none of its own."""
    if pid in (None, os.getpid()):
        return None
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)
