"""What a node is doing: its state, and the steps on its way to ready."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

import msgspec

__all__ = ["NodeState", "NodeStatus", "Progress"]


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
        status: `preparing` while an environment is made for it, then `starting`, `loading`,
            `connecting`, `ready` or `failed`.
        progress: From 0 to 1.
        message: What is being done, in a few words.
        elapsed: Seconds since it was started. A node that says nothing is reported again once a
            second, with what it said last.
        cpu_seconds: CPU time that its process has used; None where it has none of its own.
    """

    node_id: str
    status: str
    progress: float
    message: str = ""
    elapsed: float = 0.0
    cpu_seconds: float | None = None


@dataclass
class NodeStatus:
    """What a node is doing, since when, and where.

    Attributes:
        state: See `NodeState`.
        pid: Its process; None before there is one.
        since: When the state began, in `time.monotonic` seconds.
        message: What it last said about its progress.
        item: What it has in work, as `port#sequence`, or `finish` after all input; the last one if
            it died with it; else empty.
        item_seconds: How long that has been in work, without waiting for room to send.
        is_waiting: It has something to send, and waits for room.
        is_stuck: The item takes longer than the node's `item_timeout_secs`.
    """

    state: NodeState = NodeState.STARTING
    pid: int | None = None
    since: float = field(default_factory=time.monotonic)
    message: str = ""
    item: str = ""
    item_seconds: float = 0.0
    is_waiting: bool = False
    is_stuck: bool = False

    @property
    def seconds(self) -> float:
        """How long it has been in this state."""
        return time.monotonic() - self.since
