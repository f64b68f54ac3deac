"""What `remotemedia top --json` and `remotemedia clean --json` print, one object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.runtime.channels.ledger import ChannelStats
from remotemedia.runtime.cli.events import Event
from remotemedia.runtime.monitoring import NodeMetrics

if TYPE_CHECKING:
    from remotemedia.runtime.observer import SessionView

__all__ = ["CleanSummary", "LeftoverEvent", "LookEvent", "NodeView", "SessionEvent"]


class NodeView(NodeMetrics, frozen=True, kw_only=True):
    """A node, as `top` shows it; see `NodeMetrics` for the rest.

    Attributes:
        type: Its node type.
        executor: What runs it.
        state: What it is doing, as in `NodeState`.
        state_seconds: For how long.
        rate: Items per second since the last look.
        item: What it has in work, as `port#sequence`; null for nothing.
        item_seconds: For how long, without waiting for room to send.
        is_waiting: It has something to send, and waits for room.
        is_stuck: The item takes longer than its `item_timeout_secs`.
    """

    type: str
    executor: str
    state: str
    state_seconds: float
    rate: float
    item: str | None
    item_seconds: float | None
    is_waiting: bool
    is_stuck: bool


class SessionEvent(Event, frozen=True, tag="session"):
    """A session at one moment.

    Attributes:
        session: Its name.
        pipeline: The name of its pipeline.
        pid: The application's process.
        seconds: How long it has been there.
        items_in: Items that the application has sent.
        items_out: Items that it has received.
        memory_mb: Resident memory of all node processes, in MiB.
        cpu_percent: CPU time of them since the last look, in percent of one core.
        nodes: By id.
        channels: By name.
    """

    session: str
    pipeline: str
    pid: int
    seconds: float
    items_in: int
    items_out: int
    memory_mb: float
    cpu_percent: float
    nodes: dict[str, NodeView]
    channels: dict[str, ChannelStats]

    @classmethod
    def of(cls, view: SessionView) -> SessionEvent:
        """Describe what was seen."""
        whole = view.metrics
        return cls(
            session=view.description.session_id,
            pipeline=view.description.pipeline,
            pid=view.description.pid,
            seconds=view.seconds,
            items_in=whole.items_in,
            items_out=whole.items_out,
            memory_mb=whole.memory_mb,
            cpu_percent=whole.cpu_percent,
            nodes={node: _node(view, node) for node in view.status},
            channels=view.channels,
        )


class LookEvent(Event, frozen=True, tag="look"):
    """The end of what was seen at one moment, and how many sessions that were."""

    sessions: int


class LeftoverEvent(Event, frozen=True, tag="leftover"):
    """What a dead runtime has left.

    Attributes:
        runtime: Its name.
        pid: The process that it was in.
        files: Its files, in shared memory and in its directory.
        bytes: What they take.
        removed: Whether they are gone now.
    """

    runtime: str
    pid: int
    files: list[str]
    bytes: int
    removed: bool


class CleanSummary(Event, frozen=True, tag="summary"):
    """All that dead runtimes have left; `failed` are those whose files could not all be removed."""

    runtimes: int
    files: int
    bytes: int
    failed: int


def _node(view: SessionView, name: str) -> NodeView:
    import msgspec

    node, status = view.description.nodes[name], view.status[name]
    return NodeView(
        **msgspec.structs.asdict(view.metrics.nodes[name]),
        type=node.type,
        executor=node.executor,
        state=status.state.value,
        state_seconds=status.seconds,
        rate=view.rates[name],
        item=status.item or None,
        item_seconds=status.item_seconds if status.item else None,
        is_waiting=status.is_waiting,
        is_stuck=status.is_stuck,
    )
