"""SessionSupervisor: watches over the nodes of one session, in the runtime's thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from copy import copy
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.errors import (
    InitTimeout,
    NodeError,
    ProcessCrashError,
    RemoteMediaError,
    ResourceLimitError,
    SessionClosed,
)
from remotemedia.runtime.executors.base import NodeLaunch
from remotemedia.runtime.processes import messages as msg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remotemedia.runtime.channels.bell import Bell, Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.executors.base import Executor, RunningNode
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.wiring import Wiring

__all__ = ["NodeState", "NodeStatus", "Progress", "SessionSupervisor"]

_logger = logging.getLogger(__name__)
# A stack dump must not delay the report of a timeout by much.
_STACK_SECS = 1.0
# Of nodes that skip items; each was reported when it happened.
_KEPT_ERRORS = 100


class NodeState(str, Enum):
    """What a node is doing."""

    STARTING = "starting"
    LOADING = "loading"
    CONNECTING = "connecting"
    READY = "ready"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Progress(msgspec.Struct, frozen=True):
    """A step of a node on its way to ready.

    Attributes:
        node_id: The node.
        status: `starting`, `loading`, `connecting`, `ready` or `failed`.
        progress: From 0 to 1.
        message: What is being done, in a few words.
    """

    node_id: str
    status: str
    progress: float
    message: str = ""


@dataclass
class NodeStatus:
    """What a node is doing, since when, and where.

    Attributes:
        state: See `NodeState`.
        pid: Its process; None before there is one.
        since: When the state began, in `time.monotonic` seconds.
        message: What it last said about its progress.
    """

    state: NodeState = NodeState.STARTING
    pid: int | None = None
    since: float = field(default_factory=time.monotonic)
    message: str = ""


class SessionSupervisor:
    """Starts the nodes of a session, hears of everything that happens to them, and ends them.

    Args:
        session_id: The session.
        graph: Its pipeline.
        wiring: Its channels.
        bells: Its bells; let go of when the last node has ended.
        ledger: Its counters.
        executors: By name.
        config: Limits and deadlines.
    """

    def __init__(
        self,
        session_id: str,
        graph: Graph,
        wiring: Wiring,
        bells: Bells,
        ledger: Ledger,
        executors: Mapping[str, Executor],
        config: MultiprocessConfig,
    ) -> None:
        self.session_id, self.graph, self.wiring = session_id, graph, wiring
        self.config = config
        self.status = {node: NodeStatus() for node in graph.nodes}
        self.error: RemoteMediaError | None = None
        self.node_errors: deque[NodeError] = deque(maxlen=_KEPT_ERRORS)
        self.on_crash: list[Callable[[ProcessCrashError], object]] = []
        self.on_node_error: list[Callable[[NodeError], object]] = []
        self.on_progress: Callable[[Progress], object] | None = None
        self.app_bells: list[Bell] = []
        self._executors = executors
        self.ledger = ledger
        self._bells: Bells | None = bells
        self._launching: list[asyncio.Task[None]] = []
        self._running: dict[str, RunningNode] = {}
        self._alive: set[str] = set()
        self._changed = asyncio.Event()
        self._stopping = False
        self._stopped: asyncio.Future[None] | None = None
        self._ending: asyncio.Future[None] | None = None
        self._last_errors: dict[str, NodeError] = {}

    def fault(self) -> RemoteMediaError:
        """Return what to raise now that the session is over.

        A copy each time: several tasks may raise it, and an exception that was raised holds on to
        the frames that it went through, and with them to the session.
        """
        if self.error is not None:
            return copy(self.error)
        return SessionClosed(f"session {self.session_id!r} is closed")

    @property
    def is_over(self) -> bool:
        """Whether it has failed or is stopped: nothing can be sent any more."""
        return self._stopping or self.error is not None

    # ---- what the session asks for

    def check(self) -> list[NodeLaunch]:
        """Find out whether all nodes can be started.

        Raises:
            ResourceLimitError: There are too many.
            ProcessSpawnError: One can't be.
        """
        limit = self.config.max_processes_per_session
        count = len(self.graph.nodes)
        if limit is not None and count > limit:
            raise ResourceLimitError(
                f"session {self.session_id!r}",
                f"{count} processes",
                str(limit),
                "max_processes_per_session",
            )
        if self._bells is None:
            raise SessionClosed(f"session {self.session_id!r} is closed")
        launches = [
            NodeLaunch(
                self.session_id,
                node,
                self.wiring.endpoints[node.id],
                self.wiring.rooms[node.id],
                self.ledger.fd,
                self._bells.fds,
            )
            for node in self.graph.nodes.values()
        ]
        for launch in launches:
            self._executors[launch.node.executor].check(launch)
        return launches

    async def initialize(self) -> None:
        """Start all nodes at once, and return when every one is ready.

        Raises:
            RemoteMediaError: One failed, or took too long; all are gone then.
        """
        launches = self.check()
        try:
            for node in self.graph.nodes:
                self._report(node, NodeState.STARTING, 0.0)
            loop = asyncio.get_running_loop()
            self._launching = [loop.create_task(self._launch(launch)) for launch in launches]
            await asyncio.wait_for(self._all_ready(), self.config.init_timeout_secs)
        except asyncio.TimeoutError:
            self._fail(await self._timeout())
        except RemoteMediaError as error:
            self._fail(error)
        except BaseException:
            await self.stop()
            raise
        if self.error is not None:
            await self.stop()
            raise self.fault()
        if self._stopping:
            raise SessionClosed(f"session {self.session_id!r} was closed while it initialized")

    async def start(self) -> None:
        """Let all nodes work."""
        for node, running in self._running.items():
            self._set(node, NodeState.RUNNING)
            running.start()

    async def finished(self) -> None:
        """Return when every node has processed all of its input.

        Raises:
            RemoteMediaError: What ended the session before.
        """
        while not (self.error or self._stopping) and any(
            status.state is not NodeState.FINISHED for status in self.status.values()
        ):
            await self._next_change()
        if self.error is not None:
            raise self.fault()

    async def stop(self) -> None:
        """End all nodes at once: asked, then interrupted, then killed, under one deadline."""
        if self._stopped is not None:
            await asyncio.shield(self._stopped)
            return
        self._stopped = asyncio.get_running_loop().create_future()
        self._stopping = True
        # A task of its own: whoever asked may be cancelled, the nodes have to go all the same.
        self._ending = asyncio.ensure_future(self._ladder())
        self._ending.add_done_callback(self._set_stopped)
        await asyncio.shield(self._stopped)

    def _set_stopped(self, ladder: asyncio.Future[None]) -> None:
        if self._stopped is not None:
            self._stopped.set_result(None)
        ladder.result()  # a mistake of ours is to be seen

    async def _ladder(self) -> None:
        self._break()
        for task in self._launching:
            task.cancel()
        if self._launching:
            await asyncio.wait(self._launching)
        grace = self.config.cleanup_grace_period_secs
        for running in self._running.values():
            running.stop()
        if not await self._gone_within(grace * 0.7):
            for node in self._alive:
                self._running[node].terminate()
        if not await self._gone_within(grace * 0.3):
            for node in self._alive:
                _logger.warning(
                    "node %r of session %r did not stop within %g s and is killed",
                    node,
                    self.session_id,
                    grace,
                )
                self._running[node].kill()
            await self._gone_within(grace + 1.0)
        self.ledger.close()
        self._bells = None

    # ---- what the executors tell

    def said(self, node_id: str, message: msg.FromNode) -> None:
        """Take a node's message."""
        if isinstance(message, msg.Progress):
            self._report(node_id, NodeState(message.status), message.fraction, message.message)
        elif isinstance(message, msg.Ready):
            self._report(node_id, NodeState.READY, 1.0)
        elif isinstance(message, msg.Finished):
            self._set(node_id, NodeState.FINISHED)
            self._notify()
        elif isinstance(message, msg.Failed):
            self._node_failed(node_id, message)

    def ended(self, node_id: str, error: RemoteMediaError | None) -> None:
        """Take note that a node is gone."""
        self._alive.discard(node_id)
        failed = error is not None and not self._stopping
        if failed and error is not None:
            self._fail(self._last_errors.get(node_id, error))
        if self.status[node_id].state is not NodeState.FAILED:
            self._set(node_id, NodeState.STOPPED)
        self._notify()

    # ---- inside

    async def _launch(self, launch: NodeLaunch) -> None:
        node = launch.node.id
        running = await self._executors[launch.node.executor].launch(launch, self)
        self._running[node] = running
        self._alive.add(node)
        self.status[node].pid = running.pid

    async def _launched(self) -> None:
        """Wait until all nodes are launched; raises if one can't be."""
        done, _ = await asyncio.wait(self._launching, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]

    async def _all_ready(self) -> None:
        await self._launched()
        while not (self.error or self._stopping) and any(
            status.state is not NodeState.READY for status in self.status.values()
        ):
            await self._next_change()

    async def _gone_within(self, seconds: float) -> bool:
        async def gone() -> None:
            while self._alive:
                await self._next_change()

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(gone(), seconds)
        return not self._alive

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()

    async def _timeout(self) -> InitTimeout:
        late = next(n for n, s in self.status.items() if s.state is not NodeState.READY)
        stack = await self._running[late].stack(_STACK_SECS) if late in self._running else ""
        status = self.status[late]
        stage = f"{status.state.value}: {status.message}" if status.message else status.state.value
        return InitTimeout(late, self.config.init_timeout_secs, stage, stack)

    def _node_failed(self, node_id: str, failed: msg.Failed) -> None:
        error = NodeError(
            node_id, failed.stage, failed.type, failed.message, failed.traceback, failed.item
        )
        if failed.fatal and not self._stopping:
            self._last_errors[node_id] = error
            self._report(node_id, NodeState.FAILED, 0.0, error.summary)
            self._fail(error)
            return
        _logger.error("session %r: %s", self.session_id, error)
        self.node_errors.append(error)
        for callback in self.on_node_error:
            _call(callback, error)

    def _fail(self, error: RemoteMediaError) -> None:
        """End the session because of this error; only the first one counts."""
        if self.error is not None or self._stopping:
            return
        self.error = error
        self._break()
        if isinstance(error, ProcessCrashError):
            self._set(error.node_id, NodeState.FAILED)
            for callback in self.on_crash:
                _call(callback, error)
        self._notify()
        self._ending = asyncio.ensure_future(self.stop())

    def _break(self) -> None:
        for bell in self.app_bells:
            bell.break_with(self.fault)

    def _report(self, node_id: str, state: NodeState, fraction: float, message: str = "") -> None:
        self._set(node_id, state, message)
        if self.on_progress is not None and state is not NodeState.RUNNING:
            _call(self.on_progress, Progress(node_id, state.value, fraction, message))
        self._notify()

    def _set(self, node_id: str, state: NodeState, message: str = "") -> None:
        status = self.status[node_id]
        if status.state is not state:
            status.state, status.since = state, time.monotonic()
        status.message = message


def _call(callback: Callable[..., object], argument: object) -> None:
    """Call what the application has given; its mistakes are its own and must not end the watch."""
    try:
        callback(argument)
    except Exception:
        _logger.exception("a callback of the application failed")
