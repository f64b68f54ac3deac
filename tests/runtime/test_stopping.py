"""How a session ends: what is in flight arrives or is told to be dropped, under one deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def until_in_work(session: Session, *nodes: str) -> None:
    with anyio.fail_after(10):
        for node in nodes:
            while not (await session.get_status()).nodes[node].item:
                await anyio.sleep(0.002)


# ---- one deadline for all


async def test_nodes_that_ignore_everything_cost_one_grace_period_in_all(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    for node in "abc":
        pipeline.add_node("samples:IgnoresEverything", node)
    config = MultiprocessConfig(cleanup_grace_period_secs=1.0)
    async with Runtime(config) as runtime:
        session = await runtime.create_session("s", pipeline)
        for node in "abc":
            await session.send(node, 1)
        await until_in_work(session, *"abc")
        began = time.monotonic()
        await session.cleanup()
        assert 1.0 <= time.monotonic() - began < 2.5
        assert (await session.get_metrics()).process_count == 0
    for node in "abc":
        assert f"node {node!r} of session 's' did not stop within 1 s" in caplog.text
        assert f"input#0 in node {node!r}" in caplog.text  # which nobody will get


async def test_nodes_that_obey_do_not_wait_for_the_deadline(
    chain: Callable[..., Pipeline],
) -> None:
    config = MultiprocessConfig(cleanup_grace_period_secs=60)
    async with Runtime(config) as runtime:
        session = await runtime.create_session("s", chain("Echo", "Echo"))
        began = time.monotonic()
        await session.cleanup()
        assert time.monotonic() - began < 10


async def test_a_node_that_is_at_work_can_see_that_it_is_to_stop(
    chain: Callable[..., Pipeline],
) -> None:
    config = MultiprocessConfig(cleanup_grace_period_secs=60)
    async with Session("s", chain("Rambler"), config=config) as session:
        await session.send("a.text", "hm")
        await until_in_work(session, "a")
        began = time.monotonic()
        await session.cleanup()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("executor", ["multiprocess", "inline"])
async def test_a_node_that_is_at_work_can_see_what_waits_on_its_inputs(
    pipeline: Pipeline, executor: str
) -> None:
    pipeline.add_node("samples:Rambler", "a", executor=executor)
    async with Session("s", pipeline) as session:
        await session.send("a.text", "hm")
        await until_in_work(session, "a")
        await session.send("a.text", "hm?")
        await session.send("a.enough", 1)
        assert (await session.receive("a", timeout=10)).payload == "hm: 1, 1"
        assert (await session.receive("a", timeout=10)).payload == "sorry"
        await until_in_work(session, "a")
        await session.send("a.enough", 2)
        assert (await session.receive("a", timeout=10)).payload == "hm?: 1, 0"


# ---- what is in flight


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_is_in_flight_is_drained_if_that_is_asked_for(
    chain: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    received = []
    async with Session("s", chain("Echo", "Echo")) as session, anyio.create_task_group() as group:

        async def receive() -> None:
            received.extend([item.payload async for item in session.stream("b")])

        group.start_soon(receive)
        for number in range(500):
            await session.send("a", number)
        await session.cleanup(drain=15)
    assert received == list(range(500))
    assert "dropped" not in caplog.text


async def test_what_is_dropped_is_told_with_its_channel(
    chain: Callable[..., Pipeline], impatient: MultiprocessConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async with Session("s", chain("Echo", "HangsInProcess"), config=impatient) as session:
        for number in range(5):
            await session.send("a", number)
        await until_in_work(session, "b")
        with anyio.fail_after(10):
            while (await session.get_channel_stats("a_to_b")).current_occupancy < 4:
                await anyio.sleep(0.002)
        await session.cleanup()
    (told,) = [r.getMessage() for r in caplog.records if "dropped" in r.getMessage()]
    assert told.startswith("session 's' has ended; dropped: 4 messages in a_to_b")


async def test_draining_has_a_deadline(
    chain: Callable[..., Pipeline], impatient: MultiprocessConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async with Session("s", chain("HangsInProcess"), config=impatient) as session:
        await session.send("a", 1)
        await session.send("a", 2)
        await until_in_work(session, "a")
        began = time.monotonic()
        await session.cleanup(drain=0.5)
        assert 0.5 <= time.monotonic() - began < 5
    assert "dropped: 1 message in app_to_a" in caplog.text


async def test_an_output_that_nobody_receives_is_not_waited_for(
    chain: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    async with Session("s", chain("Echo")) as session:
        for number in range(3):
            await session.send("a", number)
        began = time.monotonic()
        await session.cleanup(drain=60)
        assert time.monotonic() - began < 10
    assert "dropped: 3 messages in a_to_app" in caplog.text


async def test_a_crash_ends_the_draining(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", "Leaves")) as session:
        await session.send("a", "segfault")
        began = time.monotonic()
        await session.cleanup(drain=60)
        assert time.monotonic() - began < 10
        with pytest.raises(ProcessCrashError):
            await session.send("a", 1)


async def test_a_second_cleanup_ends_the_draining_of_the_first(
    chain: Callable[..., Pipeline], impatient: MultiprocessConfig
) -> None:
    session = Session("s", chain("HangsInProcess"), config=impatient)
    async with session, anyio.create_task_group() as group:
        await session.send("a", 1)
        await until_in_work(session, "a")
        began = time.monotonic()
        group.start_soon(lambda: session.cleanup(drain=60))
        await anyio.lowlevel.checkpoint()
        await session.cleanup()
    assert time.monotonic() - began < 10


async def test_nodes_clean_up_when_they_were_drained(
    chain: Callable[..., Pipeline], tmp_path: Path
) -> None:
    pipeline = chain("SaysGoodbye", config={"file": str(tmp_path / "bye")})
    async with Session("s", pipeline) as session:
        await session.cleanup(drain=10)
    assert (tmp_path / "bye").read_text(encoding="utf-8") == "a"
