"""What a session tells those who watch it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import msgspec
import psutil

from remotemedia.runtime.node_status import NodeState, NodeStatus

if TYPE_CHECKING:
    from remotemedia.runtime.channels.ledger import ChannelStats, Ledger
    from remotemedia.runtime.channels.node_record import NodeRecord
    from remotemedia.runtime.session_description import SessionDescription, SessionNode

__all__ = ["NodeMetrics", "SessionMeter", "SessionMetrics", "SessionStatus"]

_MIB = 2**20
_STATES = tuple(NodeState)
_DEAD = (NodeState.STOPPED, NodeState.FAILED)


class SessionStatus(msgspec.Struct, frozen=True):
    """What a session and its nodes are doing.

    Attributes:
        state: `new`, `initializing`, `ready`, `running`, `failed` or `closed`.
        nodes: The status of each node.
    """

    state: str
    nodes: dict[str, NodeStatus]


class NodeMetrics(msgspec.Struct, frozen=True):
    """What a node has done, and what its process uses.

    What belongs to a process is None for a node that has none: inline ones, and those that ended.

    Attributes:
        items_in: Items that it has begun.
        items_out: Items that it has sent.
        items_skipped: Items that it gave up because `process` raised.
        busy_seconds: How long it has worked, without waiting for room to send.
        processing_p50_ms: Median time for an item, in milliseconds, without that wait.
        processing_p99_ms: The same for the slowest of a hundred.
        queue_depth: Messages that wait for it, on all its inputs.
        pid: Its process.
        memory_mb: Resident memory in MiB; what it shares with others counts too.
        private_mb: Private memory that it has asked for, in MiB, as `max_memory` counts it.
        cpu_seconds: CPU time that its process has used; that of its helpers is not in it.
        cpu_percent: CPU time since the last call in percent of one core; since it began, at first.
    """

    items_in: int
    items_out: int
    items_skipped: int
    busy_seconds: float
    processing_p50_ms: float
    processing_p99_ms: float
    queue_depth: int
    pid: int | None = None
    memory_mb: float | None = None
    private_mb: float | None = None
    cpu_seconds: float | None = None
    cpu_percent: float | None = None


class SessionMetrics(msgspec.Struct, frozen=True):
    """What a session has done, and what its processes use.

    Attributes:
        memory_mb: Resident memory of all node processes, in MiB; shared pages count in each.
        process_count: Node processes that are alive.
        node_memory_mb: Resident memory of each node's process, in MiB.
        cpu_seconds: CPU time of all node processes that are alive.
        cpu_percent: CPU time of them since the last call, in percent of one core.
        items_in: Items that the application has sent.
        items_out: Items that it has received.
        nodes: By id.
    """

    memory_mb: float
    process_count: int
    node_memory_mb: dict[str, float]
    cpu_seconds: float
    cpu_percent: float
    items_in: int
    items_out: int
    nodes: dict[str, NodeMetrics]

    @classmethod
    def empty(cls) -> SessionMetrics:
        """Return the metrics of a session that was not initialized."""
        return cls(0.0, 0, {}, 0.0, 0.0, 0, 0, {})


class SessionMeter:
    """Reads what a session does from its ledger, and what its processes use from the kernel.

    It asks nothing of the session, and so works in any process of its user.

    Args:
        description: The session.
        ledger: Its counters.
    """

    def __init__(self, description: SessionDescription, ledger: Ledger) -> None:
        self.description = description
        self._nodes = {
            name: _NodeMeter(node, description, ledger) for name, node in description.nodes.items()
        }
        self._links = [ledger.record(link.index) for link in description.links]
        self._inputs = [self._links[index] for index in description.inputs]
        self._outputs = [self._links[index] for index in description.outputs]

    def status(self, node: str) -> NodeStatus:
        """Return what a node is doing; the ledger does not hold its message."""
        return self._nodes[node].status()

    def channels(self) -> dict[str, ChannelStats]:
        """Return what has happened on the channels, by name."""
        now = time.monotonic_ns()
        return {
            link.name: record.stats(link, now)
            for link, record in zip(self.description.links, self._links, strict=True)
        }

    def metrics(self) -> SessionMetrics:
        """Measure; the percentages are of the time since this was called before."""
        nodes = {name: meter.metrics() for name, meter in self._nodes.items()}
        memory = {n: m.memory_mb for n, m in nodes.items() if m.memory_mb is not None}
        return SessionMetrics(
            memory_mb=sum(memory.values()),
            process_count=len(memory),
            node_memory_mb=memory,
            cpu_seconds=sum(m.cpu_seconds or 0.0 for m in nodes.values()),
            cpu_percent=sum(m.cpu_percent or 0.0 for m in nodes.values()),
            items_in=sum(record.sent for record in self._inputs),
            items_out=sum(record.received for record in self._outputs),
            nodes=nodes,
        )


class _NodeMeter:
    def __init__(self, node: SessionNode, session: SessionDescription, ledger: Ledger) -> None:
        self._node, self._owner = node, session.pid
        self._record: NodeRecord = ledger.node(node.record)
        self._queues = [(ledger.record(i), session.links[i].capacity) for i in node.inputs]
        self._process: _Process | None = None

    def status(self) -> NodeStatus:
        state, pid, since_ns = self._place()
        status = NodeStatus(state, pid or None, since_ns / 1e9)
        item = self._record.item(until_ns=since_ns if state in _DEAD else None)
        if item is not None:
            limit = self._node.item_timeout_secs
            status.item = self._node.item_name(item)
            status.item_seconds = item.seconds
            status.is_waiting = item.is_waiting
            status.is_stuck = limit is not None and item.seconds > limit
        return status

    def _place(self) -> tuple[NodeState, int, int]:
        code, pid, since_ns = self._record.place()
        if not 0 <= code < len(_STATES):  # some node of the session has written over its counters
            return NodeState.FAILED, 0, 0
        return _STATES[code], pid, since_ns

    def metrics(self) -> NodeMetrics:
        work = self._record.read()
        state, pid, _ = self._place()
        use: dict[str, float] = {}
        if pid not in (0, self._owner) and state not in _DEAD:
            if self._process is None or self._process.pid != pid:
                self._process = _Process(pid)
            use = self._process.measure()
        return NodeMetrics(
            items_in=work.items_in,
            items_out=work.items_out,
            items_skipped=work.items_skipped,
            busy_seconds=work.busy_seconds,
            processing_p50_ms=work.processing_p50_us / 1000,
            processing_p99_ms=work.processing_p99_us / 1000,
            queue_depth=sum(record.occupancy(capacity) for record, capacity in self._queues),
            pid=pid if use else None,
            **use,
        )


class _Process:
    """What one process uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process: psutil.Process | None = None
        self._at = self._cpu = 0.0
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(pid)
            self._at = time.monotonic() - (time.time() - self._process.create_time())

    def measure(self) -> dict[str, float]:
        """Return fields of `NodeMetrics`; none once the process is gone."""
        if self._process is None:
            return {}
        try:
            memory, times = self._process.memory_info(), self._process.cpu_times()
        except psutil.Error:
            self._process = None
            return {}
        now, cpu = time.monotonic(), times.user + times.system
        elapsed, used = now - self._at, cpu - self._cpu
        self._at, self._cpu = now, cpu
        return {
            "memory_mb": memory.rss / _MIB,
            "private_mb": memory.data / _MIB,
            "cpu_seconds": cpu,
            "cpu_percent": 100 * used / elapsed if elapsed > 0 else 0.0,
        }
