"""WatchedSession: what a session tells of itself, and to whom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from remotemedia.core.errors import SessionClosed, SessionError, near
from remotemedia.runtime.forks import left_behind
from remotemedia.runtime.monitoring import SessionMeter, SessionMetrics, SessionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remotemedia.core.errors import ItemTimeout, NodeError, ProcessCrashError
    from remotemedia.runtime.channels.ledger import ChannelStats
    from remotemedia.runtime.node_status import NodeStatus
    from remotemedia.runtime.supervisor import SessionSupervisor

__all__ = ["State", "WatchedSession"]

State = Literal["new", "initializing", "ready", "running", "closed"]


@left_behind
class WatchedSession:
    """The part of a session that only tells: it changes nothing, and waits for nothing.

    Args:
        session_id: Its name.
        crash_callbacks: What the runtime has called when a node's process crashes.
    """

    def __init__(
        self, session_id: str, crash_callbacks: Sequence[Callable[[ProcessCrashError], object]]
    ) -> None:
        self.session_id = session_id
        self._state: State = "new"
        self._is_here = True  # and not in the process that this one was forked from
        self._supervisor: SessionSupervisor | None = None
        self._meter: SessionMeter | None = None
        self._crash_callbacks = list(crash_callbacks)
        self._error_callbacks: list[Callable[[NodeError], object]] = []
        self._stuck_callbacks: list[Callable[[ItemTimeout], object]] = []

    def on_process_crash(self, callback: Callable[[ProcessCrashError], object]) -> None:
        """Have `callback` called, in the runtime's thread, when a node's process crashes."""
        self._crash_callbacks.append(callback)

    def on_node_error(self, callback: Callable[[NodeError], object]) -> None:
        """Have `callback` called, in the runtime's thread, when a node skips an item.

        That is when its `process` raises and the pipeline says `on_error="continue"`.
        """
        self._error_callbacks.append(callback)

    def on_node_stuck(self, callback: Callable[[ItemTimeout], object]) -> None:
        """Have `callback` called, in the runtime's thread, when an item takes a node too long.

        That is when it takes longer than the node's `item_timeout_secs`, once for each item.
        """
        self._stuck_callbacks.append(callback)

    @property
    def node_errors(self) -> list[NodeError]:
        """Errors of items that were skipped: the last hundred, in the order they happened."""
        return [] if self._supervisor is None else list(self._supervisor.node_errors)

    async def get_status(self) -> SessionStatus:
        """Return what the session and its nodes are doing."""
        supervisor = self._supervisor
        nodes: dict[str, NodeStatus] = {}
        if supervisor is not None and self._meter is not None:
            for node, status in supervisor.status.items():
                nodes[node] = self._meter.status(node)
                nodes[node].message = status.message
        failed = supervisor is not None and supervisor.error is not None
        return SessionStatus("failed" if failed else self._state, nodes)

    async def get_metrics(self) -> SessionMetrics:
        """Return what the nodes have done, and what their processes use.

        That is cheap enough to be asked ten times a second.
        """
        if self._meter is None:
            return SessionMetrics.empty()
        return self._meter.metrics()

    async def get_channel_stats(self, channel: str) -> ChannelStats:
        """Return what has happened on a channel.

        Args:
            channel: `asr_to_s2s`; where two nodes share more than one edge, the second and later
                ones are `asr.text_to_s2s.input`. The application is called `app`.
        """
        links = self._watched.wiring.links
        if channel not in links:
            raise SessionError(f"no channel {channel!r}; {near(channel, links)}")
        link = links[channel]
        return self._watched.ledger.record(link.index).stats(link, time.monotonic_ns())

    @property
    def channels(self) -> list[str]:
        """Names of the channels."""
        return [*self._watched.wiring.links]

    # ---- inside

    def _adopt(self, supervisor: SessionSupervisor) -> None:
        """Tell of what this one watches from now on."""
        supervisor.on_crash = self._crash_callbacks
        supervisor.on_node_error = self._error_callbacks
        supervisor.on_node_stuck = self._stuck_callbacks
        self._meter = SessionMeter(supervisor.description, supervisor.ledger)
        self._supervisor = supervisor

    @property
    def _watched(self) -> SessionSupervisor:
        if self._supervisor is None:
            raise self._not("initialized", "call initialize() first")
        return self._supervisor

    def _leave_behind(self) -> None:
        self._state, self._is_here = "closed", False
        self._supervisor = None

    def _not(self, wanted: str, advice: str) -> SessionError:
        if not self._is_here:
            return SessionClosed(
                f"session {self.session_id!r} belongs to the parent process; make one of your own"
            )
        supervisor = self._supervisor
        if supervisor is not None and supervisor.error is not None:
            raise supervisor.fault()
        if self._state == "closed" or (supervisor is not None and supervisor.is_over):
            return SessionClosed(f"session {self.session_id!r} is closed")
        return SessionError(f"session {self.session_id!r} is not {wanted}; {advice}")
