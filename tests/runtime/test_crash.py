"""A node that dies takes its session with it, at once and with everything that it was."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import psutil
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import ProcessCrashError, SessionClosed
from remotemedia.runtime import MultiprocessConfig, Runtime, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remotemedia.runtime import Pipeline, Progress

pytestmark = pytest.mark.anyio
SOON_SECS = 1.0


async def pid_of(session: Session, node: str) -> int:
    pid = (await session.get_status()).nodes[node].pid
    assert pid is not None
    return pid


async def kill(session: Session, node: str) -> None:
    os.kill(await pid_of(session, node), signal.SIGKILL)


async def until_failed(session: Session) -> None:
    """Return when the session knows."""
    while (await session.get_status()).state != "failed":
        await anyio.sleep(0.001)


def check(error: ProcessCrashError, node: str) -> None:
    assert (error.node_id, error.exit_code, error.signal) == (node, 137, "SIGKILL")
    assert "exited with code 137" in str(error)
    assert "memory" in str(error)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_everyone_who_waits_hears_of_it_within_a_second(
    chain: Callable[..., Pipeline],
) -> None:
    pipeline = chain("Echo", "HangsInProcess", "Echo")
    pipeline.outputs = ["b", "c"]

    async def expect(call: Callable[..., Awaitable[object]], *arguments: object) -> None:
        with pytest.raises(ProcessCrashError) as caught:
            await call(*arguments)
        check(caught.value, "b")

    async def iterate() -> None:
        async for _ in session.stream("c"):
            pass

    async def send_until_it_blocks() -> None:
        while True:
            await session.send("a", 1)

    async with Session("s", pipeline, config=MultiprocessConfig(channel_capacity=1)) as session:
        async with anyio.create_task_group() as group:
            group.start_soon(expect, session.receive, "b")
            group.start_soon(expect, iterate)
            group.start_soon(expect, send_until_it_blocks)
            while (await session.get_channel_stats("app_to_a")).blocked_seconds == 0:
                await anyio.sleep(0.001)
            await kill(session, "b")
            killed = time.monotonic()
        assert time.monotonic() - killed < SOON_SECS


async def test_later_calls_say_the_same(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        await kill(session, "a")
        await until_failed(session)
        for call in (
            lambda: session.receive("a"),
            lambda: session.send("a", 1),
            session.close_input,
            lambda: session.receive("a", timeout=0.1),
        ):
            with pytest.raises(ProcessCrashError):
                await call()


async def test_an_application_that_was_busy_meanwhile_hears_of_it_too(
    chain: Callable[..., Pipeline],
) -> None:
    """The nodes are gone, and the session's descriptors unused, before its loop looks again."""
    async with Session("s", chain("Echo", "Echo")) as session:
        pids = [await pid_of(session, node) for node in "ab"]
        async with anyio.create_task_group() as group:

            async def receive() -> None:
                with pytest.raises(ProcessCrashError):
                    await session.receive("b")

            group.start_soon(receive)
            await anyio.lowlevel.checkpoint()
            await kill(session, "a")
            while any(map(psutil.pid_exists, pids)):
                time.sleep(0.001)  # noqa: ASYNC251 - that is the point
            time.sleep(0.1)  # noqa: ASYNC251


async def test_what_had_arrived_before_is_received_first(
    chain: Callable[..., Pipeline],
) -> None:
    pipeline = chain("Echo", "Leaves")
    pipeline.outputs = ["a"]
    async with Session("s", pipeline) as session:
        # The first message of each size class maps memory, for which its sender has to be alive.
        await session.send("a", "stay")
        await session.receive("a")
        await session.send("a", "kill")
        await until_failed(session)
        assert (await session.receive("a")).payload == "kill"
        with pytest.raises(ProcessCrashError):
            await session.receive("a")


@pytest.mark.parametrize(
    ("way", "code", "signal_name"),
    [
        ("os._exit", 7, None),
        ("os._exit(0)", 0, None),
        ("sys.exit", 3, None),
        ("kill", 137, "SIGKILL"),
        ("segfault", 139, "SIGSEGV"),
    ],
)
async def test_a_node_that_leaves_while_it_processes(
    chain: Callable[..., Pipeline], way: str, code: int, signal_name: str | None
) -> None:
    async with Session("s", chain("Leaves")) as session:
        await session.send("a", way)
        with anyio.fail_after(SOON_SECS), pytest.raises(ProcessCrashError) as caught:
            await session.receive("a")
    assert (caught.value.exit_code, caught.value.signal) == (code, signal_name)
    if way != "segfault":  # of which the interpreter tells at length
        assert "famous last words" in caught.value.last_output


async def test_a_node_that_is_killed_while_it_initializes(
    chain: Callable[..., Pipeline], impatient: MultiprocessConfig
) -> None:
    session = Session("s", chain("HangsInInitialize"), config=impatient)
    killed: list[float] = []

    async def kill_it() -> None:
        await kill(session, "a")
        killed.append(time.monotonic())

    async with anyio.create_task_group() as group:

        def on_progress(progress: Progress) -> None:
            if progress.message == "waiting for Godot":
                group.start_soon(kill_it)

        with pytest.raises(ProcessCrashError) as caught:
            await session.initialize(progress_callback=on_progress)
    assert time.monotonic() - killed[0] < SOON_SECS
    check(caught.value, "a")


async def test_callbacks_are_called_once(chain: Callable[..., Pipeline]) -> None:
    crashed: list[ProcessCrashError] = []
    async with Runtime() as runtime:
        runtime.on_process_crash(crashed.append)
        session = await runtime.create_session("s", chain("Echo", "Echo"))
        session.on_process_crash(crashed.append)
        await kill(session, "b")
        with pytest.raises(ProcessCrashError):
            await session.receive("b")
        await session.cleanup()
    assert [error.node_id for error in crashed] == ["b", "b"]


async def test_a_callback_that_fails_is_logged_and_hurts_nobody(
    chain: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    async with Session("s", chain("Echo")) as session:
        session.on_process_crash(lambda error: 1 / 0)
        await kill(session, "a")
        with pytest.raises(ProcessCrashError):
            await session.receive("a")
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()  # its traceback keeps the session alive


async def test_other_sessions_of_the_runtime_go_on(chain: Callable[..., Pipeline]) -> None:
    async with Runtime() as runtime:
        one = await runtime.create_session("one", chain("Echo"))
        other = await runtime.create_session("other", chain("Echo"))
        await kill(one, "a")
        with pytest.raises(ProcessCrashError):
            await one.receive("a")
        await other.send("a", "still here")
        assert (await other.receive("a")).payload == "still here"


async def test_a_session_can_be_started_again_after_a_crash(
    chain: Callable[..., Pipeline],
) -> None:
    async with Runtime() as runtime:
        for attempt in range(3):
            session = await runtime.create_session("same_id", chain("Echo"))
            await session.send("a", attempt)
            assert (await session.receive("a")).payload == attempt
            await kill(session, "a")
            with pytest.raises(ProcessCrashError):
                await session.receive("a")
            await session.cleanup()


async def test_after_cleanup_a_crashed_session_is_closed(chain: Callable[..., Pipeline]) -> None:
    session = Session("s", chain("Echo"))
    await session.initialize()
    await session.start()
    await kill(session, "a")
    await until_failed(session)
    await session.cleanup()
    with pytest.raises((ProcessCrashError, SessionClosed)):
        await session.send("a", RuntimeData.text("x"))
