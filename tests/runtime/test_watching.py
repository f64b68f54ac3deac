"""What a session tells of its nodes while they work, wait, hang and end."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from remotemedia.core.errors import ItemTimeout
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remotemedia.runtime.node_status import NodeStatus

pytestmark = pytest.mark.anyio


class _Fifo:
    """Holds a node that reads it, until it is let go of."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.name = str(path)
        self._fd = os.open(path, os.O_RDWR)

    def release(self) -> None:
        os.write(self._fd, b"\n")

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def fifo(tmp_path: Path) -> object:
    made = _Fifo(tmp_path / "fifo")
    yield made
    made.close()


async def _status(session: Session, node: str = "a") -> NodeStatus:
    return (await session.get_status()).nodes[node]


async def _until_in_work(session: Session, node: str, item: str) -> NodeStatus:
    with anyio.fail_after(10):
        while (status := await _status(session, node)).item != item:
            await anyio.sleep(0.002)
    return status


# ---- the item in work


@pytest.mark.parametrize("kind", ["Held", "HeldInLoop"])
@pytest.mark.parametrize("executor", ["multiprocess", "inline"])
async def test_the_item_in_work_is_shown(
    chain: Callable[..., Pipeline], fifo: _Fifo, kind: str, executor: str
) -> None:
    async with Session("s", chain(kind, executor=executor)) as session:
        await session.send("a", 1)
        await session.receive()
        await session.send("a", fifo.name)
        first = await _until_in_work(session, "a", "input#1")
        second = await _status(session)
        assert first.state == second.state == "running"
        assert not first.is_waiting
        assert 0 <= first.item_seconds <= second.item_seconds
        assert second.item_seconds <= second.seconds
        fifo.release()
        await session.receive()
        await _until_in_work(session, "a", "")


async def test_a_node_that_waits_for_room_is_said_to_wait(pipeline: Pipeline) -> None:
    pipeline.add_node("samples:Burst", "a")
    async with Session("s", pipeline) as session:
        await session.send("a", 200)
        with anyio.fail_after(10):
            while not (await _status(session)).is_waiting:
                await anyio.sleep(0.002)
        waiting = [(await _status(session)).item_seconds for _ in range(2)]
        assert waiting[0] == waiting[1]


async def test_finishing_is_shown_after_the_last_item(pipeline: Pipeline, fifo: _Fifo) -> None:
    pipeline.add_node("samples:HeldInFinish", "a", {"fifo": fifo.name})
    async with Session("s", pipeline) as session:
        await session.close_input()
        await _until_in_work(session, "a", "finish")
        fifo.release()
        await session.wait_finished()
        assert (await _status(session)).item == ""


async def test_the_item_that_a_node_died_with_is_kept(
    chain: Callable[..., Pipeline], fifo: _Fifo
) -> None:
    session = Session("s", chain("Held"))
    async with session:
        await session.send("a", fifo.name)
        status = await _until_in_work(session, "a", "input#0")
        assert status.pid is not None
        os.kill(status.pid, 9)
        with pytest.raises(Exception, match="SIGKILL"):
            await session.receive()
        status = await _status(session)
        assert (status.state, status.item) == ("failed", "input#0")
        assert status.item_seconds == (await _status(session)).item_seconds


async def test_a_node_that_is_asked_to_stop_is_stopping(
    chain: Callable[..., Pipeline], fifo: _Fifo
) -> None:
    session = Session("s", chain("Held"))
    await session.initialize()
    await session.start()
    await session.send("a", fifo.name)
    await _until_in_work(session, "a", "input#0")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.cleanup)
        with anyio.fail_after(10):
            while (await _status(session)).state != "stopping":
                await anyio.sleep(0.002)
        fifo.release()
    assert (await _status(session)).state == "stopped"


# ---- items that take too long


@pytest.mark.parametrize("executor", ["multiprocess", "inline"])
async def test_a_stuck_node_is_reported_once_and_goes_on(
    chain: Callable[..., Pipeline], fifo: _Fifo, executor: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "remotemedia.runtime")
    reports: list[ItemTimeout] = []
    pipeline = chain("Held", executor=executor, item_timeout_secs=0.2)
    async with Session("s", pipeline) as session:
        session.on_node_stuck(reports.append)
        await session.send("a", 1)
        await session.receive()
        await session.send("a", fifo.name)
        with anyio.fail_after(10):
            while not reports:
                await anyio.sleep(0.01)
        status = await _status(session)
        assert status.is_stuck
        assert status.item_seconds > 0.2
        assert (reports[0].node_id, reports[0].item, reports[0].limit) == ("a", "input#1", 0.2)
        assert "_read_line" in reports[0].stack
        assert "Node 'a' has worked on input#1 for" in caplog.text
        assert "_read_line" in caplog.text
        with anyio.fail_after(10):
            while (await _status(session)).item_seconds < 0.5:  # time for a second report
                await anyio.sleep(0.01)
        fifo.release()
        assert (await session.receive()).payload == fifo.name
        assert not (await _until_in_work(session, "a", "")).is_stuck
        assert len(reports) == 1


async def test_a_node_that_is_to_be_killed_ends_the_session(
    chain: Callable[..., Pipeline], fifo: _Fifo, impatient: MultiprocessConfig
) -> None:
    pipeline = chain("Held", "Echo", item_timeout_secs=0.2, on_item_timeout="kill")
    async with Session("s", pipeline, config=impatient) as session:
        pid = (await _status(session)).pid
        await session.send("a", fifo.name)
        with pytest.raises(
            ItemTimeout, match=r"(?s)'a' has worked on input#0 .*over its limit of 0.2s.*_read_line"
        ) as raised:
            await session.receive()
        assert (raised.value.node_id, raised.value.item) == ("a", "input#0")
        with anyio.fail_after(10):
            while (await _status(session, "b")).state != "stopped":
                await anyio.sleep(0.01)
        status = await _status(session)
        assert (status.state, status.item) == ("failed", "input#0")
        assert "over its limit" in status.message
        assert not psutil.pid_exists(pid or 0)


async def test_a_node_that_waits_for_a_stuck_one_is_not_stuck(
    pipeline: Pipeline, fifo: _Fifo
) -> None:
    reports: list[ItemTimeout] = []
    pipeline.add_node("samples:Repeats", "a", {"times": 5}, item_timeout_secs=0.1)
    pipeline.add_node("samples:Held", "b", item_timeout_secs=0.6)
    pipeline.connect("a", "output", "b", "input", capacity=1)
    async with Session("s", pipeline) as session:
        session.on_node_stuck(reports.append)
        await session.send("a", fifo.name)
        with anyio.fail_after(10):
            while not reports:
                await anyio.sleep(0.01)
        assert [report.node_id for report in reports] == ["b"]
        assert (await _status(session)).is_waiting
        fifo.release()


@pytest.mark.parametrize("when", ["initialize", "cleanup"])
async def test_only_items_have_a_limit(pipeline: Pipeline, when: str) -> None:
    pipeline.add_node("samples:SlowIn", "a", {"when": when, "seconds": 0.3}, item_timeout_secs=0.1)
    reports: list[ItemTimeout] = []
    session = Session("s", pipeline)
    session.on_node_stuck(reports.append)
    async with session:
        await session.send("a", 1)
        await session.receive()
    assert reports == []


# ---- numbers


async def test_metrics_count_items_and_time(chain: Callable[..., Pipeline], fifo: _Fifo) -> None:
    async with Session("s", chain("Echo", "Held")) as session:
        before = time.monotonic()
        for number in range(3):
            await session.send("a", number)
            await session.receive()
        await session.send("a", fifo.name)
        # What it sends may be received before it has noted that the item is done.
        await _until_in_work(session, "b", "input#3")
        took = time.monotonic() - before
        await session.send("a", 4)
        with anyio.fail_after(10):
            while True:
                metrics = await session.get_metrics()
                if metrics.nodes["b"].queue_depth == 1 and metrics.nodes["a"].items_out == 5:
                    break
                await anyio.sleep(0.002)
        assert (metrics.items_in, metrics.items_out) == (5, 3)
        a, b = metrics.nodes["a"], metrics.nodes["b"]
        assert (a.items_in, a.items_out, a.items_skipped, a.queue_depth) == (5, 5, 0, 0)
        assert (b.items_in, b.items_out, b.items_skipped) == (4, 3, 0)
        assert 0 < b.busy_seconds < took
        assert 0 < b.processing_p50_ms <= b.processing_p99_ms < took * 1000 * 1.25
        fifo.release()
        await session.receive()
        await session.receive()


async def test_metrics_count_skipped_items(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("FailsTwice", on_error="continue")) as session:
        for number in range(3):
            await session.send("a", number)
        await session.close_input()
        assert [item async for item in session.stream()] == []
        node = (await session.get_metrics()).nodes["a"]
        assert (node.items_in, node.items_out, node.items_skipped) == (3, 0, 3)


async def test_metrics_of_a_process_are_those_of_the_kernel(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Burn")) as session:
        process = psutil.Process((await _status(session)).pid)
        await session.get_metrics()
        await session.send("a", 0.5)
        await session.receive()
        node = (await session.get_metrics()).nodes["a"]
        times = process.cpu_times()
        assert node.pid == process.pid
        assert node.memory_mb == pytest.approx(process.memory_info().rss / 2**20, rel=0.2)
        assert node.private_mb == pytest.approx(process.memory_info().data / 2**20, rel=0.2)
        assert node.cpu_seconds == pytest.approx(times.user + times.system, abs=0.2)
        assert node.cpu_seconds >= 0.4
        assert node.cpu_percent is not None
        assert 1 < node.cpu_percent <= 120


async def test_an_inline_node_has_items_and_no_process(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", executor="inline")) as session:
        await session.send("a", 1)
        await session.receive()
        await _until_in_work(session, "a", "")
        node = (await session.get_metrics()).nodes["a"]
        assert (node.items_in, node.items_out) == (1, 1)
        assert (node.pid, node.memory_mb, node.cpu_percent) == (None, None, None)


async def test_metrics_of_a_session_that_ended_still_count_items(
    chain: Callable[..., Pipeline],
) -> None:
    session = Session("s", chain("Echo"))
    assert (await session.get_metrics()).nodes == {}
    async with session:
        await session.send("a", 1)
        await session.receive()
    metrics = await session.get_metrics()
    assert (metrics.process_count, metrics.items_in, metrics.items_out) == (0, 1, 1)
    assert metrics.nodes["a"].pid is None


async def test_watching_is_cheap(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", "Echo")) as session:
        await session.get_metrics()
        before = time.process_time()
        for _ in range(100):
            await session.get_metrics()
            await session.get_status()
        # Ten times a second for a hundred nodes would be that much of a core.
        assert (time.process_time() - before) / 100 < 0.02
