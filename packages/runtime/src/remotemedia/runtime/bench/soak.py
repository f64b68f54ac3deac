"""A soak: all kinds of traffic at once for a long time, while everything is watched.

Three things go on in one runtime: a session of many nodes with messages of all sizes and policies,
a session with as many small messages as go through, and sessions of which a node is killed. Half
way through, a node of the first one stands still for a while, as a process in a debugger does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import time
from typing import TYPE_CHECKING

import anyio
import msgspec
import psutil

from remotemedia.core.errors import RemoteMediaError
from remotemedia.runtime.bench.flatness import Flatness, judge
from remotemedia.runtime.bench.footprint import Footprint, shared_bytes
from remotemedia.runtime.bench.rows import MemoryRow, SoakRow
from remotemedia.runtime.bench.traffic.layout import Layout
from remotemedia.runtime.bench.traffic.raid import raid
from remotemedia.runtime.bench.traffic.traffic import Traffic, traffic_config
from remotemedia.runtime.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.bench.traffic.audit import Totals

__all__ = ["Sample", "Soak"]

_SAMPLES = 300
_SMALL_NODES, _SMALL_SIZE, _SMALL_ORDER = 3, 64, 1000
_RAID_NODES = 4
_RAID_EVERY_SECS = 4.0  # at most, from the end of one to the next
_STALL_SECS, _STALL_PART = 60.0, 10  # the tenth part of a run that is shorter than ten minutes
_MIB = 1 << 20
# Growth that is never taken for a leak. A descriptor or a thread for each raid would be more.
_FLOORS = {"memory": 4 * _MIB, "shared": 32 * _MIB, "descriptors": 8, "threads": 2}


class Sample(msgspec.Struct, frozen=True):
    """What was seen at one moment.

    Attributes:
        at: Seconds since the beginning.
        messages: Messages that were received so far, over all channels.
        raids: Nodes that were killed so far.
        shared: Bytes in `/dev/shm`.
        processes: What each process takes, by name.
    """

    at: float
    messages: int
    raids: int
    shared: int
    processes: dict[str, Footprint]


class Soak:
    """Runs for a while, and judges.

    Args:
        seconds: How long.
        seed: What everything random depends on.
        nodes: Nodes of the largest session.
        on_sample: Called with each sample.

    Attributes:
        seed: What everything random depends on.
        samples: What was seen.
    """

    def __init__(
        self, seconds: float, seed: int, nodes: int, on_sample: Callable[[Sample], None]
    ) -> None:
        self._seconds, self.seed, self._nodes = seconds, seed, nodes
        self._on_sample = on_sample
        self._began = 0.0
        self._sessions: dict[str, Traffic] = {}
        self._totals: dict[str, Totals] = {}
        self._raids = 0
        self._stalled_secs = 0.0
        self.samples: list[Sample] = []

    async def run(self) -> tuple[SoakRow, list[MemoryRow]]:
        """Run, and return what went through and how memory went on.

        Raises:
            BadTraffic: Something was lost, doubled, reordered, torn or mixed up.
            RemoteMediaError: A session failed.
        """
        nodes = max(self._nodes, _SMALL_NODES, _RAID_NODES)
        failures: list[RemoteMediaError] = []
        async with Runtime(traffic_config(nodes)) as runtime:
            mixed = Traffic(runtime, Layout.random(self.seed, self._nodes), "mixed")
            line = Layout.line(self.seed, _SMALL_NODES, _SMALL_SIZE)
            small = Traffic(runtime, line, "small", order=_SMALL_ORDER)
            async with mixed, small:
                self._sessions = {"mixed": mixed, "small": small}
                self._began = time.monotonic()
                async with anyio.create_task_group() as group:

                    async def work(name: str) -> None:
                        try:
                            await self._work(name, runtime)
                        except RemoteMediaError as error:
                            failures.append(error)
                            group.cancel_scope.cancel()

                    for name in ("mixed", "small", "raids", "stall", "watch"):
                        group.start_soon(work, name)
                if failures:
                    raise failures[0]
        return self._row(), self._memory()

    async def _work(self, name: str, runtime: Runtime) -> None:
        if name == "watch":
            await self._watch(runtime)
        elif name == "raids":
            await self._raid_again_and_again(runtime)
        elif name == "stall":
            await self._stall()
        else:
            self._totals[name] = await self._sessions[name].run(lambda _made: self._goes_on())

    def _goes_on(self) -> bool:
        return time.monotonic() < self._began + self._seconds

    async def _raid_again_and_again(self, runtime: Runtime) -> None:
        dice = random.Random(self.seed)  # noqa: S311 - no secret
        while self._goes_on():
            await raid(runtime, dice.getrandbits(32))
            self._raids += 1
            rest = self._began + self._seconds - time.monotonic()
            await anyio.sleep(max(min(_RAID_EVERY_SECS * dice.random(), rest), 0.0))

    async def _stall(self) -> None:
        """Stop a carrier of the largest session, half way through, and have it go on later."""
        nodes = (await self._sessions["mixed"].session.get_status()).nodes
        dice = random.Random(self.seed)  # noqa: S311 - no secret
        pid = dice.choice([s.pid for n, s in nodes.items() if n.startswith("carrier") and s.pid])
        await anyio.sleep(self._seconds / 2)
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            await anyio.sleep(min(_STALL_SECS, self._seconds / _STALL_PART))
        finally:
            with contextlib.suppress(ProcessLookupError):  # the session has failed
                os.kill(pid, signal.SIGCONT)
        self._stalled_secs = time.monotonic() - began

    async def _watch(self, runtime: Runtime) -> None:
        application = psutil.Process()
        watched = {"application": application.pid}
        for number, child in enumerate(application.children()):
            watched[f"template {number}" if number else "template"] = child.pid
        for name, traffic in self._sessions.items():
            nodes = (await traffic.session.get_status()).nodes
            watched |= {f"{name} {node}": s.pid for node, s in nodes.items() if s.pid is not None}
        prefix = runtime.open_space()[0].prefix
        every = max(self._seconds / _SAMPLES, 0.5)
        while self._goes_on():
            gc.collect()  # sessions that have ended hold descriptors until they are collected
            found = {name: Footprint.of(pid) for name, pid in watched.items()}
            sample = Sample(
                at=time.monotonic() - self._began,
                messages=await self._messages(),
                raids=self._raids,
                shared=shared_bytes(prefix),
                processes={name: taken for name, taken in found.items() if taken is not None},
            )
            self.samples.append(sample)
            self._on_sample(sample)
            await anyio.sleep(every)

    async def _messages(self) -> int:
        return sum(
            [
                (await traffic.session.get_channel_stats(channel)).message_count
                for traffic in self._sessions.values()
                for channel in traffic.session.channels
            ]
        )

    def _row(self) -> SoakRow:
        mixed, small = self._totals["mixed"], self._totals["small"]
        return SoakRow(
            seconds=round(time.monotonic() - self._began, 1),
            seed=self.seed,
            nodes=self._nodes,
            mixed_messages=mixed.messages,
            mixed_gb=round(mixed.nbytes / 1e9, 3),
            dropped=mixed.dropped,
            refused=mixed.refused,
            small_messages=small.messages,
            raids=self._raids,
            stalled_seconds=round(self._stalled_secs, 1),
        )

    def _memory(self) -> list[MemoryRow]:
        times = [sample.at for sample in self.samples]
        shared = [float(sample.shared) for sample in self.samples]
        rows = [_memory_row("shared memory", "MiB", judge(times, shared, _FLOORS["shared"]), _MIB)]
        names = list(self.samples[0].processes) if self.samples else []
        for what, unit, of in (("memory", "MiB", _MIB), ("descriptors", "", 1), ("threads", "", 1)):
            for name in names:
                seen = [(s.at, s.processes[name]) for s in self.samples if name in s.processes]
                values = [float(getattr(taken, what)) for _, taken in seen]
                flatness = judge([at for at, _ in seen], values, _FLOORS[what])
                label = name if what == "memory" else f"{name}, {what}"
                rows.append(_memory_row(label, unit, flatness, of))
        return rows


def _memory_row(what: str, unit: str, flatness: Flatness, of: int) -> MemoryRow:
    return MemoryRow(
        what=what,
        unit=unit,
        level=round(flatness.level / of, 2),
        growth=round(flatness.growth / of, 2),
        allowed=round(flatness.allowed / of, 2),
        flat=flatness.flat,
    )
