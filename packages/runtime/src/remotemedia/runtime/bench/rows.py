"""The rows that benchmarks give: `--json` prints each as an object, tables as a line."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "IdleRow",
    "LatencyRow",
    "MemoryRow",
    "NodeRow",
    "SoakRow",
    "SpawnRow",
    "ThroughputRow",
    "median",
    "percentile",
]


class _Row(msgspec.Struct, frozen=True, tag_field="benchmark"):
    pass


class LatencyRow(_Row, frozen=True, tag="latency"):
    """What a hop costs, one way.

    Attributes:
        system: What carried it.
        size: Bytes of a message.
        mode: `copied` or `in place`.
        p50_us: The median of the rounds' medians, in microseconds.
        p99_us: The slowest of a hundred, over all rounds.
        first_us: The first message after the start; null where that was not measured.
        alone_us: The median of the next ones, each sent alone, as the first is: there and back
            once, after the processes have gone to sleep.
        raw_p50_us: The same median for raw iceoryx2, in the same rounds.
        ratio: `p50_us` / `raw_p50_us`.
        messages: How many messages were measured.
    """

    system: str
    size: int
    mode: str
    p50_us: float
    p99_us: float
    first_us: float | None
    alone_us: float | None
    raw_p50_us: float | None
    ratio: float | None
    messages: int


class ThroughputRow(_Row, frozen=True, tag="throughput"):
    """What goes through, one way and lossless.

    Attributes:
        system: What carried it.
        size: Bytes of a message.
        mode: `copied` or `in place`.
        messages_per_s: Messages in a second; the median of the rounds.
        gb_per_s: The same in gigabytes (10⁹ bytes) in a second.
        raw_messages_per_s: The same for raw iceoryx2, in the same rounds.
        ratio: `messages_per_s` / `raw_messages_per_s`.
    """

    system: str
    size: int
    mode: str
    messages_per_s: float
    gb_per_s: float
    raw_messages_per_s: float | None
    ratio: float | None


class SpawnRow(_Row, frozen=True, tag="spawn"):
    """How long a session takes to be ready.

    Attributes:
        what: What was started.
        nodes: How many nodes.
        p50_ms: The median, in milliseconds.
        worst_ms: The slowest.
        baseline_ms: `python -c "import numpy, iceoryx2"`, in the same rounds.
        ratio: `p50_ms` / `baseline_ms`.
    """

    what: str
    nodes: int
    p50_ms: float
    worst_ms: float
    baseline_ms: float
    ratio: float


class IdleRow(_Row, frozen=True, tag="idle"):
    """What an idle pipeline uses.

    Attributes:
        nodes: How many nodes.
        seconds: How long it was watched.
        cpu_percent: Of one core, all its processes and the application together.
        memory_mb: Proportional memory (PSS) of its node processes, in MiB.
        memory_mb_per_node: The same for each.
    """

    nodes: int
    seconds: float
    cpu_percent: float
    memory_mb: float
    memory_mb_per_node: float


class NodeRow(_Row, frozen=True, tag="pipeline"):
    """Where a pipeline's time goes: a row for each node, and one for the whole.

    All that is `_after_s` counts from the end of the input; null where nothing came after it.

    Attributes:
        node: The node; empty for the whole pipeline, whose outputs are what the application got.
        turn_ms: The turn: from the end of the input to the first audio after it (to the first
            message of any kind, where the pipeline gives no audio); of the whole pipeline.
        turn_waiting_ms: How long messages waited in the turn because this node was at work.
        turn_moving_ms: How long messages were on their way to this node in the turn, while it had
            nothing else to do.
        turn_computing_ms: How long it worked in the turn; of the whole: when any node did.
        turn_runtime_ms: What is left of the turn: moving, waking, and looking (up to 1 ms for each
            item is lost by that); of the whole pipeline.
        taken: Messages that it took.
        sent: Messages that it sent.
        moving_us: Median time of a message from being written until it is taken; while the node
            computes that is waiting, else it is what the hop costs.
        waiting: Messages that waited in its inputs, on average over the run.
        cpu_s: Processor time that its process used: computing.
        blocked_s: How long it waited for room in its outputs.
        first_after_s: When it sent its first message after the end of the input.
        last_after_s: When it sent its last one.
    """

    node: str
    turn_ms: float | None
    turn_waiting_ms: float | None
    turn_moving_ms: float | None
    turn_computing_ms: float | None
    turn_runtime_ms: float | None
    taken: int
    sent: int
    moving_us: float | None
    waiting: float
    cpu_s: float
    blocked_s: float
    first_after_s: float | None
    last_after_s: float | None


class SoakRow(_Row, frozen=True, tag="soak"):
    """What went through a soak; all of it was checked.

    Attributes:
        seconds: How long it took.
        seed: What everything random depended on.
        nodes: Nodes of the session with messages of all sizes.
        mixed_messages: Messages of all sizes that were received.
        mixed_gb: What they took in shared memory, in gigabytes (10⁹ bytes).
        dropped: Messages that edges dropped by their policy, each of them accounted for.
        refused: Messages that nodes gave up because an edge of policy `error` was full.
        small_messages: Messages of up to 64 bytes that were received, without loss.
        raids: Sessions of which a node was killed.
        stalled_seconds: How long a node of the first session stood still.
    """

    seconds: float
    seed: int
    nodes: int
    mixed_messages: int
    mixed_gb: float
    dropped: int
    refused: int
    small_messages: int
    raids: int
    stalled_seconds: float


class MemoryRow(_Row, frozen=True, tag="memory"):
    """Whether something grew during a soak.

    Attributes:
        what: A process, `/dev/shm`, or another thing that a process has.
        unit: Of the numbers; empty for counts.
        level: The median after the warm-up.
        growth: The fitted slope times the time after the warm-up.
        allowed: How much of that is taken for noise.
        flat: Whether it grew no more than that; null if the soak was too short to tell.
    """

    what: str
    unit: str
    level: float
    growth: float
    allowed: float
    flat: bool | None


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], q: float) -> float:
    """Return the value that a share `q` of all does not exceed."""
    ordered = sorted(values)
    return float(ordered[min(int(len(ordered) * q), len(ordered) - 1)])
