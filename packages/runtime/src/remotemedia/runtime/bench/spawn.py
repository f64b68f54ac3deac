"""How long a session takes to be ready, and what ten nodes use that do nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import psutil

from remotemedia.runtime.bench.rows import IdleRow, SpawnRow, median
from remotemedia.runtime.pipeline import Pipeline
from remotemedia.runtime.runtime import Runtime

if TYPE_CHECKING:
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.session import Session

__all__ = ["idle", "spawn"]

_BASELINE = "import numpy, iceoryx2"
_SETTLE_SECS = 0.5


async def spawn(config: MultiprocessConfig, rounds: int) -> list[SpawnRow]:
    """Start sessions of one, ten and three nodes; each round in a runtime of its own."""
    taken: dict[tuple[str, int, int], list[float]] = {
        ("1 node, first of a runtime", 1, 1): [],
        ("1 node, warm", 1, 1): [],
        ("10 nodes, warm", 1, 10): [],
        ("10 sessions of 3 nodes at once", 10, 3): [],
    }
    baseline: list[float] = []
    for _ in range(rounds):
        baseline.append(await anyio.to_thread.run_sync(_import_in_a_process))
        async with Runtime(config) as runtime:
            for (_, sessions, nodes), times in taken.items():
                times.append(await _start(runtime, sessions, nodes))
    base = median(baseline)
    return [
        SpawnRow(
            what=what,
            nodes=sessions * nodes,
            p50_ms=round(median(times), 1),
            worst_ms=round(max(times), 1),
            baseline_ms=round(base, 1),
            ratio=round(median(times) / base, 3),
        )
        for (what, sessions, nodes), times in taken.items()
    ]


async def idle(config: MultiprocessConfig, seconds: float, nodes: int = 10) -> IdleRow:
    """Watch a pipeline that has nothing to do, the application included."""
    async with Runtime(config) as runtime:
        session = await runtime.create_session("bench", _chain(nodes))
        await anyio.sleep(_SETTLE_SECS)
        pids = [s.pid for s in (await session.get_status()).nodes.values() if s.pid is not None]
        ours = psutil.Process()
        watched = [ours.pid, *(child.pid for child in ours.children(recursive=True))]
        before, began = sum(map(_cpu_ns, watched)), time.monotonic_ns()
        await anyio.sleep(seconds)
        used, passed = sum(map(_cpu_ns, watched)) - before, time.monotonic_ns() - began
        memory = sum(psutil.Process(pid).memory_full_info().pss for pid in pids) / 2**20
        await session.cleanup()
    return IdleRow(
        nodes=nodes,
        seconds=round(passed / 1e9, 2),
        cpu_percent=round(100 * used / passed, 3),
        memory_mb=round(memory, 1),
        memory_mb_per_node=round(memory / nodes, 2),
    )


def _chain(nodes: int) -> Pipeline:
    pipeline = Pipeline("chain")
    for number in range(nodes):
        pipeline.add_node("remotemedia.runtime.bench.nodes:Pass", f"n{number}")
        if number:
            pipeline.connect(f"n{number - 1}", "output", f"n{number}", "input")
    return pipeline


async def _start(runtime: Runtime, sessions: int, nodes: int) -> float:
    started: list[Session] = []

    async def start(number: int) -> None:
        started.append(await runtime.create_session(f"bench{number}", _chain(nodes)))

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(sessions):
            group.start_soon(start, number)
    taken = (time.perf_counter() - began) * 1000
    for session in started:
        await session.cleanup()
    return taken


def _import_in_a_process() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _BASELINE], check=True)
    return (time.perf_counter() - began) * 1000


def _cpu_ns(pid: int) -> int:
    """Return the processor time of all threads of a process, as the scheduler counts it."""
    return sum(
        int((task / "schedstat").read_text(encoding="ascii").split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
