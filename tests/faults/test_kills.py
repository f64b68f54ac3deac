"""Many kills at random moments of a session's life: each is reported, and none leaves anything.

`tox run -e faults` makes it a hundred, by `--kills 100`; without that there are a few of each kind.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import secrets
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import psutil
import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from remotemedia.runtime import Pipeline, Runtime

    Row = Callable[..., Pipeline]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nobody_else_notices")]

_SOON_SECS = 10.0
_NODES = "abc"


class Kill:
    """A session of which one node is killed at a random moment.

    Args:
        runtime: Where it runs.
        pipeline: Three nodes.
        victim: The one to be killed.
        pick: Where randomness comes from.
        reached: The file that a node makes when it has come to the moment.
    """

    def __init__(
        self, runtime: Runtime, pipeline: Pipeline, victim: str, pick: random.Random, reached: Path
    ) -> None:
        self.session = Session("killed", pipeline, runtime=runtime)
        self.victim, self._pick, self._reached = victim, pick, reached
        self.crashes: list[ProcessCrashError] = []
        self.session.on_process_crash(self._hear)
        self.killed_at = self.told_at = 0.0

    def _hear(self, crash: ProcessCrashError) -> None:
        self.told_at = time.monotonic()
        self.crashes.append(crash)

    async def strike(self, within: float = 0.0) -> None:
        """Kill, once the victim has a process, and after at most this many seconds more."""
        while (pid := (await self.session.get_status()).nodes[self.victim].pid) is None:
            await anyio.sleep(0.0005)
        await anyio.sleep(self._pick.uniform(0, within))
        self.killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)

    async def reached(self) -> None:
        """Wait until the node is where it wants to be."""
        while not self._reached.exists():
            await anyio.sleep(0.0005)

    # ---- the moments

    async def starting(self) -> None:
        async with self._while(self._use):
            while not (await self.session.get_status()).nodes:
                await anyio.sleep(0.0005)
            await self.strike(within=0.1)

    async def importing(self) -> None:
        async with self._while(self._use):
            await self.reached()
            await self.strike()

    initializing = importing

    async def idle(self) -> None:
        await self._start()
        async with self._while(self._use):
            await self.strike(within=0.02)

    async def processing(self) -> None:
        await self._start()
        await self.session.send("a", "an item")
        async with self._while(self._use):
            await self.reached()
            await self.strike()

    async def sending(self) -> None:
        await self._start()

        async def send() -> None:
            while True:
                await self.session.send("a", "an item")

        async with self._while(self._use), self._while(send):
            await self.strike(within=0.05)

    async def stopping(self) -> None:
        await self._start()
        async with anyio.create_task_group() as group:
            group.start_soon(self.session.cleanup)
            await self.reached()
            await self.strike()

    async def _start(self) -> None:
        await self.session.initialize()
        await self.session.start()

    async def _use(self) -> None:
        if (await self.session.get_status()).state == "new":
            await self._start()
        while True:
            await self.session.receive("c")

    @asynccontextmanager
    async def _while(self, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Have someone work with the session meanwhile; it must end with the victim's death."""

        async def expect() -> None:
            with pytest.raises(ProcessCrashError) as caught:
                await work()
            assert caught.value.node_id == self.victim, caught.value

        async with anyio.create_task_group() as group:
            group.start_soon(expect)
            yield


def pipeline_for(moment: str, row: Row, reached: Path) -> Pipeline:
    if moment == "importing":
        return row("Echo", "slow_import:Late", "Echo", environment={"REACHED": str(reached)})
    if moment == "sending":
        return row("Echo", "Floods", "Echo")
    stages = {"initializing": "initialize", "processing": "process", "stopping": "cleanup"}
    config = {"stage": stages.get(moment, ""), "reached": str(reached)}
    return row("Echo", "Waits", "Echo", config=config)


async def left_after_a_while(machine: Any, before: set[str]) -> set[str]:
    """Return what is more than before, and still is when the runtime's thread had its turn."""
    deadline = time.monotonic() + _SOON_SECS
    while True:
        gc.collect()
        left: set[str] = {*machine.files(), *machine.descriptors()} - before
        if not left or time.monotonic() > deadline:
            return left
        await anyio.sleep(0.005)


async def test_kills_at_random_moments(
    runtime: Runtime,
    row: Row,
    tmp_path: Path,
    machine: Any,
    measured: Callable[[str, float], None],
    request: pytest.FixtureRequest,
) -> None:
    count, seed = request.config.getoption("--kills"), secrets.randbits(32)
    pick = random.Random(seed)  # noqa: S311
    moments = [
        "starting", "importing", "initializing", "idle", "processing", "sending", "stopping"
    ]  # fmt: skip
    for number, moment in zip(range(count), itertools.cycle(moments), strict=False):
        what = f"kill {number}, {moment}, seed {seed}"
        reached = tmp_path / f"{number}.reached"
        # The one that waits somewhere is b; without it the others would only wait for it to go.
        victim = pick.choice(_NODES) if moment in ("starting", "idle", "sending") else "b"
        before = {*machine.files(), *machine.descriptors()}
        kill = Kill(runtime, pipeline_for(moment, row, reached), victim, pick, reached)
        with anyio.fail_after(_SOON_SECS):
            await getattr(kill, moment)()
            pids = [node.pid for node in (await kill.session.get_status()).nodes.values()]
            await kill.session.cleanup()
        reports = [(crash.node_id, crash.exit_code) for crash in kill.crashes]
        assert reports == [(victim, 137)], what
        measured(f"random kill, {moment}", kill.told_at - kill.killed_at)
        assert not any(pid and psutil.pid_exists(pid) for pid in pids), what
        del kill
        assert not await left_after_a_while(machine, before), what
