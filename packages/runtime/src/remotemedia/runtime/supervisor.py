"""SessionSupervisor: watches over the nodes of one session, in the runtime's thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from remotemedia.core.errors import (
    InitTimeout,
    ItemTimeout,
    NodeError,
    ProcessCrashError,
    RemoteMediaError,
    SessionClosed,
)
from remotemedia.runtime.callbacks import call
from remotemedia.runtime.executors.base import NodeLaunch
from remotemedia.runtime.forks import left_behind
from remotemedia.runtime.in_flight import InFlight
from remotemedia.runtime.item_watch import ItemWatch
from remotemedia.runtime.node_group import NodeGroup
from remotemedia.runtime.node_status import NodeState, NodeStatus
from remotemedia.runtime.output_watch import OutputWatch
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.memory import reason_of
from remotemedia.runtime.progress_reports import ProgressReports
from remotemedia.runtime.session_description import SessionDescription, SessionFile

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from remotemedia.runtime.channels.bell import Bell, Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.executors.base import Executor
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.wiring import Wiring

__all__ = ["SessionSupervisor"]

_logger = logging.getLogger(__name__)
# Of nodes that skip items; each was reported when it happened.
_KEPT_ERRORS = 100
_STATES = tuple(NodeState)


@left_behind
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
        self.session_id: str = session_id
        self.graph: Graph = graph
        self.wiring: Wiring = wiring
        self.config = config
        self.description: SessionDescription = SessionDescription.of(
            session_id, graph, wiring, ledger
        )
        self.status: dict[str, NodeStatus] = {node: NodeStatus() for node in graph.nodes}
        self._records = {n: ledger.node(d.record) for n, d in self.description.nodes.items()}
        for node in self.status:
            self._note(node)
        self.error: RemoteMediaError | None = None
        self.node_errors: deque[NodeError] = deque(maxlen=_KEPT_ERRORS)
        self.on_crash: list[Callable[[ProcessCrashError], object]] = []
        self.on_node_error: list[Callable[[NodeError], object]] = []
        self.on_node_stuck: list[Callable[[ItemTimeout], object]] = []
        self.progress: ProgressReports = ProgressReports(self.status)
        self._app_bells: list[Bell] = []
        self._file: SessionFile | None = None
        self._executors = executors
        self.ledger = ledger
        self._bells: Bells | None = bells
        self._nodes = NodeGroup(session_id)
        self._connected: set[str] = set()
        self._deadline = 0.0
        self._watches: list[ItemWatch | OutputWatch] = []
        self._stopping = False
        self._stopped: asyncio.Future[None] | None = None
        self._ending: asyncio.Future[None] | None = None
        self._last_errors: dict[str, RemoteMediaError] = {}

    def fault(self) -> RemoteMediaError:
        """Return what to raise now that the session is over.

        A copy each time: several tasks may raise it, and an exception that was raised holds on to
        the frames that it went through, and with them to the session.
        """
        if self.error is not None:
            error = copy(self.error)
            error.__cause__ = self.error.__cause__
            return error
        return SessionClosed(f"session {self.session_id!r} is closed")

    @property
    def is_over(self) -> bool:
        """Whether it has failed or is stopped: nothing can be sent any more."""
        return self._stopping or self.error is not None

    # ---- what the session asks for

    def check(self) -> list[NodeLaunch]:
        """Find out whether all nodes can be started.

        Raises:
            ProcessSpawnError: One can't be.
        """
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

    async def launch(self) -> None:
        """Start the processes of all nodes at once, and return when all have begun to load.

        Raises:
            RemoteMediaError: One failed, or took too long; then all are being ended.
        """
        launches = self.check()
        self._deadline = time.monotonic() + self.config.init_timeout_secs
        self._file = SessionFile.publish(
            self.wiring.application.root, self.wiring.session, self.description
        )
        await self._in_time(self._all_launched(launches))

    async def connect(self) -> None:
        """Return when all nodes have initialized and opened their channels.

        Raises:
            RemoteMediaError: One failed, or took too long; then all are being ended.
        """
        await self._in_time(self._all_connected())

    def break_too(self, bells: Iterable[Bell]) -> None:
        """Have these bells of the application break as well when the session is over."""
        self._app_bells.extend(bells)
        if self.is_over:  # it may have been broken before, and will not be again
            self._app_bells.clear()

    async def make_ready(self) -> None:
        """Have all nodes prepare their channels, after the application has prepared its own.

        Raises:
            RemoteMediaError: One failed, or took too long; then all are being ended.
        """
        await self._in_time(self._all_ready())

    async def _in_time(self, stage: Coroutine[None, None, None]) -> None:
        try:
            self.progress.begin()
            await asyncio.wait_for(stage, self._deadline - time.monotonic())
        except asyncio.TimeoutError:
            self._fail(await self._timeout())
        except RemoteMediaError as error:
            self._fail(error)
        except BaseException:
            await self.stop()
            raise
        finally:
            self.progress.end()
        if self.error is not None:
            raise self.fault()
        if self._stopping:
            raise SessionClosed(f"session {self.session_id!r} was closed while it initialized")

    async def start(self) -> None:
        """Let all nodes work."""
        self._watches.append(OutputWatch(self.description, self.ledger))
        for node, running in self._nodes.running.items():
            self._set(node, NodeState.RUNNING)
            running.start()
            if self.graph.nodes[node].options.item_timeout_secs is not None:
                self._watches.append(
                    ItemWatch(
                        node,
                        self.description.nodes[node],
                        self._records[node],
                        running,
                        partial(self._stuck, node),
                    )
                )

    async def finished(self) -> None:
        """Return when every node has processed all of its input.

        Raises:
            RemoteMediaError: What ended the session before.
        """
        await self._nodes.until(lambda: self.is_over or self._all_are(NodeState.FINISHED))
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
        self._ending = asyncio.ensure_future(self._end())
        self._ending.add_done_callback(self._set_stopped)
        await asyncio.shield(self._stopped)

    def _set_stopped(self, end: asyncio.Future[None]) -> None:
        if self._stopped is not None:
            self._stopped.set_result(None)
        end.result()  # a mistake of ours is to be seen

    async def _end(self) -> None:
        self._break()
        for watch in self._watches:
            watch.stop()
        for node in self._nodes.alive:
            if self.status[node].state is not NodeState.FAILED:
                self._set(node, NodeState.STOPPING)
        await self._nodes.end(self.config.cleanup_grace_period_secs)
        dropped = InFlight.of(self.description, self.ledger)
        if dropped:
            _logger.warning("session %r has ended; dropped: %s", self.session_id, dropped)
        if self._file is not None:
            self._file.remove()
        self.ledger.close()
        self._bells = None
        self._app_bells.clear()  # what refers to this in a circle must not keep descriptors open

    # ---- what the executors tell

    def said(self, node_id: str, message: msg.FromNode) -> None:
        """Take a node's message."""
        if isinstance(message, msg.Progress):
            if self._stopping:
                return  # it was on its way when the node was asked to stop
            self._report(node_id, NodeState(message.status), message.fraction, message.message)
        elif isinstance(message, msg.Connected):
            self._connected.add(node_id)
            self._nodes.notify()
        elif isinstance(message, msg.Ready):
            self._report(node_id, NodeState.READY, 1.0)
        elif isinstance(message, msg.Finished):
            self._set(node_id, NodeState.FINISHED)
            self._nodes.notify()
        elif isinstance(message, msg.Failed):
            self._node_failed(node_id, message)

    def ended(self, node_id: str, error: RemoteMediaError | None) -> None:
        """Take note that a node is gone."""
        if error is not None:
            self._died(self._last_errors.get(node_id, error))
        if self.status[node_id].state is not NodeState.FAILED:
            self._set(node_id, NodeState.STOPPED)
        self._nodes.ended(node_id)

    # ---- inside

    async def _launch(self, launch: NodeLaunch) -> None:
        node = launch.node.id
        running = await self._executors[launch.node.executor].launch(launch, self)
        self._nodes.started(node, running)
        self.status[node].pid = running.pid
        self._note(node)

    async def _all_launched(self, launches: list[NodeLaunch]) -> None:
        for node in self.graph.nodes:
            self._report(node, NodeState.STARTING, 0.0)
        await self._nodes.launch(map(self._launch, launches))
        states = self.status.values()
        await self._nodes.until(
            lambda: self.is_over or all(s.state is not NodeState.STARTING for s in states)
        )

    async def _all_connected(self) -> None:
        everyone = self.status.keys()
        await self._nodes.until(lambda: self.is_over or self._connected == everyone)

    async def _all_ready(self) -> None:
        for running in self._nodes.running.values():
            running.prepare()
        await self._nodes.until(lambda: self.is_over or self._all_are(NodeState.READY))

    def _all_are(self, state: NodeState) -> bool:
        return all(status.state is state for status in self.status.values())

    async def _timeout(self) -> InitTimeout:
        waiting = [n for n, s in self.status.items() if s.state is not NodeState.READY]
        late = next((n for n in waiting if n not in self._connected), waiting[0])
        status = self.status[late]
        stage = f"{status.state.value}: {status.message}" if status.message else status.state.value
        running = self._nodes.running.get(late)
        stack = "" if running is None else await running.stack()
        return InitTimeout(late, self.config.init_timeout_secs, stage, stack)

    def _node_failed(self, node_id: str, failed: msg.Failed) -> None:
        error = NodeError(
            node_id, failed.stage, failed.type, failed.message, failed.traceback, failed.item
        )
        if failed.fatal and not self._stopping:
            self._report(node_id, NodeState.FAILED, 0.0, error.summary)
            limit = self.graph.nodes[node_id].options.max_memory
            reason = error if limit is None else reason_of(error, failed.memory, limit)
            self._last_errors[node_id] = reason
            self._fail(reason)
            return
        _logger.error("session %r: %s", self.session_id, error)
        self.node_errors.append(error)
        for callback in self.on_node_error:
            call(callback, error)

    def _stuck(self, node_id: str, error: ItemTimeout, goes_on: bool) -> None:  # noqa: FBT001
        """Report an item that takes too long; the node is killed if that is wanted, and of use."""
        if self.is_over:
            return
        kills = goes_on and self.graph.nodes[node_id].options.on_item_timeout == "kill"
        _logger.warning("session %r: %s", self.session_id, error)
        for callback in self.on_node_stuck:
            call(callback, error)
        if kills:
            self._set(node_id, NodeState.FAILED, error.summary)
            self._nodes.kill(node_id)
            self._fail(error)

    def _died(self, error: RemoteMediaError) -> None:
        """Report a node's end; where the session was ending anyway, nobody else would say it."""
        crash = error if isinstance(error, ProcessCrashError) else error.__cause__
        if isinstance(crash, ProcessCrashError):
            self._set(crash.node_id, NodeState.FAILED)
            if self.is_over:
                _logger.error("session %r: %s", self.session_id, error)
        self._fail(error)
        if isinstance(crash, ProcessCrashError):
            for callback in self.on_crash:
                call(callback, crash)

    def _fail(self, error: RemoteMediaError) -> None:
        """End the session because of this error; only the first one counts."""
        if self.is_over:
            return
        self.error = error
        self._break()
        self._nodes.notify()
        self._ending = asyncio.ensure_future(self.stop())

    def _break(self) -> None:
        for bell in self._app_bells:
            bell.break_with(self.fault)

    def _report(self, node_id: str, state: NodeState, fraction: float, message: str = "") -> None:
        self._set(node_id, state, message)
        if state is not NodeState.RUNNING:
            self.progress.tell(node_id, fraction, message)
        self._nodes.notify()

    def _set(self, node_id: str, state: NodeState, message: str = "") -> None:
        status = self.status[node_id]
        if status.state is not state:
            status.state, status.since = state, time.monotonic()
        status.message = message
        self._note(node_id)

    def _note(self, node_id: str) -> None:
        """Write a node's status where others can read it."""
        status = self.status[node_id]
        self._records[node_id].put_place(
            _STATES.index(status.state), status.pid or 0, int(status.since * 1e9)
        )
