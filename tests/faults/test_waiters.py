"""Whoever waits for a session hears of the death of one of its nodes, and the rest of it goes."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import MultiprocessConfig, Runtime, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from remotemedia.runtime import Pipeline

    Row = Callable[..., Pipeline]
    Measured = Callable[[str, float], None]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nobody_else_notices")]

_SOON_SECS = 10.0


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(_SOON_SECS):
        while not await condition():
            await anyio.sleep(0.001)


class Death:
    """Kills node b of a session, and takes note of when who heard of it."""

    def __init__(self, measured: Measured) -> None:
        self._measured, self._at = measured, 0.0

    async def strike(self, session: Session) -> None:
        pid = (await session.get_status()).nodes["b"].pid
        assert pid is not None
        self._at = time.monotonic()
        os.kill(pid, signal.SIGKILL)

    async def heard_by(self, name: str, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait for the error."""
        with pytest.raises(ProcessCrashError) as caught:
            await wait()
        self._measured(f"kill -9, heard in {name}", time.monotonic() - self._at)
        assert (caught.value.node_id, caught.value.signal) == ("b", "SIGKILL")


async def iterate(session: Session, output: str) -> None:
    async for _ in session.stream(output):
        pass


async def send_for_ever(session: Session) -> None:
    while True:
        await session.send("a", "an item")


async def test_send_receive_stream_and_callbacks_hear_of_a_death_and_all_else_is_gone(
    runtime: Runtime, row: Row, tmp_path: Path, measured: Measured
) -> None:
    config = {"stage": "process", "reached": str(tmp_path / "reached")}
    pipeline = row("Echo", "Waits", "Echo", config=config)
    pipeline.outputs = ["b", "c"]
    death, called = Death(measured), []
    async with await runtime.create_session("s", pipeline) as session:
        session.on_process_crash(called.append)

        async def is_blocked() -> bool:
            return (await session.get_channel_stats("app_to_a")).blocked_seconds > 0

        with anyio.fail_after(_SOON_SECS):
            async with anyio.create_task_group() as group:
                group.start_soon(death.heard_by, "receive", lambda: session.receive("b"))
                group.start_soon(death.heard_by, "stream", lambda: iterate(session, "c"))
                group.start_soon(death.heard_by, "send", lambda: send_for_ever(session))
                group.start_soon(death.heard_by, "wait_finished", session.wait_finished)
                await until(is_blocked)
                await death.strike(session)
        killed = time.monotonic()
        assert [crash.node_id for crash in called] == ["b"]
        pids = [node.pid for node in (await session.get_status()).nodes.values()]
        with anyio.fail_after(_SOON_SECS):
            while any(pid and psutil.pid_exists(pid) for pid in pids):
                await anyio.sleep(0.001)
        measured("kill -9, until all nodes are gone", time.monotonic() - killed)


async def test_initialize_hears_of_a_death(
    runtime: Runtime, row: Row, tmp_path: Path, measured: Measured
) -> None:
    reached = tmp_path / "reached"
    pipeline = row("Echo", "Waits", config={"stage": "initialize", "reached": str(reached)})
    death, session = Death(measured), Session("s", pipeline, runtime=runtime)
    with anyio.fail_after(_SOON_SECS):
        async with anyio.create_task_group() as group:
            group.start_soon(death.heard_by, "initialize", session.initialize)
            while not reached.exists():
                await anyio.sleep(0.001)
            await death.strike(session)
    await session.cleanup()


async def test_a_node_that_ignores_everything_costs_the_grace_period(
    row: Row, tmp_path: Path, measured: Measured
) -> None:
    grace = 0.5
    async with Runtime(MultiprocessConfig(cleanup_grace_period_secs=grace)) as runtime:
        for cls, beyond in (("IgnoresSignals", grace), ("Computes", 0.0)):
            pipeline = row(cls, config={"reached": str(tmp_path / cls)})
            session = await runtime.create_session("s", pipeline)
            with anyio.fail_after(_SOON_SECS):
                await session.send("a", "an item")
                while not (tmp_path / cls).exists():
                    await anyio.sleep(0.001)
            began = time.monotonic()
            await session.cleanup()
            seconds = time.monotonic() - began - beyond
            assert 0 <= seconds < _SOON_SECS
            measured(f"cleanup beyond {beyond:g} s, {cls}", seconds)
