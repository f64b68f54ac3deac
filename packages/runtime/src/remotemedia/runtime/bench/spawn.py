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

__all__ = ["idle", "spawn"]

_BASELINE = "import numpy, iceoryx2"
_SETTLE_SECS = 0.5


async def spawn(config: MultiprocessConfig, rounds: int) -> list[SpawnRow]:
    """Start sessions of one and of ten nodes; each round in a runtime of its own."""
    taken: dict[tuple[str, int], list[float]] = {
        ("1 node, first of a runtime", 1): [],
        ("1 node, warm", 1): [],
        ("10 nodes, warm", 10): [],
    }
    baseline: list[float] = []
    for _ in range(rounds):
        baseline.append(await anyio.to_thread.run_sync(_import_in_a_process))
        async with Runtime(config) as runtime:
            for (_, nodes), times in taken.items():
                times.append(await _start(runtime, nodes))
    base = median(baseline)
    return [
        SpawnRow(
            what=what,
            nodes=nodes,
            p50_ms=round(median(times), 1),
            worst_ms=round(max(times), 1),
            baseline_ms=round(base, 1),
            ratio=round(median(times) / base, 3),
        )
        for (what, nodes), times in taken.items()
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
    return IdleRow(nodes, round(passed / 1e9, 2), round(100 * used / passed, 3), round(memory, 1))


def _chain(nodes: int) -> Pipeline:
    pipeline = Pipeline("chain")
    for number in range(nodes):
        pipeline.add_node("remotemedia.runtime.bench.nodes:Pass", f"n{number}")
        if number:
            pipeline.connect(f"n{number - 1}", "output", f"n{number}", "input")
    return pipeline


async def _start(runtime: Runtime, nodes: int) -> float:
    pipeline = _chain(nodes)
    began = time.perf_counter()
    session = await runtime.create_session("bench", pipeline)
    taken = (time.perf_counter() - began) * 1000
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
