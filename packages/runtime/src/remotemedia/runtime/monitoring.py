"""What a session tells those who watch it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.runtime.node_status import NodeStatus

__all__ = ["SessionMetrics", "SessionStatus", "measure"]


class SessionStatus(msgspec.Struct, frozen=True):
    """What a session and its nodes are doing.

    Attributes:
        state: `new`, `initializing`, `ready`, `running`, `failed` or `closed`.
        nodes: The status of each node.
    """

    state: str
    nodes: dict[str, NodeStatus]


class SessionMetrics(msgspec.Struct, frozen=True):
    """What the processes of a session use.

    Attributes:
        memory_mb: Resident memory of all node processes, in MiB; shared pages count in each.
        process_count: Node processes that are alive.
        node_memory_mb: Resident memory of each node's process, in MiB.
    """

    memory_mb: float
    process_count: int
    node_memory_mb: dict[str, float]


def measure(nodes: Mapping[str, NodeStatus]) -> SessionMetrics:
    """Measure what the processes of these nodes use."""
    memory: dict[str, float] = {}
    for node, status in nodes.items():
        if status.pid in (None, os.getpid()):  # an inline node has no process of its own
            continue
        try:
            memory[node] = psutil.Process(status.pid).memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
    return SessionMetrics(sum(memory.values()), len(memory), memory)
