"""Backpressure: what is lossless, what is dropped, and that it is counted."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from remotemedia.core.errors import ChannelFullError, DataError, NodeError, PipelineError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def drained(session: Session, output: str | None = None) -> list[Any]:
    return [data.payload async for data in session.stream(output)]


async def until(condition: Callable[[], bool]) -> None:
    """Return when a node has done something; the test's timeout is the deadline."""
    while not condition():
        await anyio.sleep(0.001)


async def until_finished(session: Session, node: str) -> None:
    while (await session.get_status()).nodes[node].state != "finished":
        await anyio.sleep(0.001)


# ---- block: lossless


@pytest.mark.parametrize("capacity", [1, 2, 3, 4])
async def test_a_slow_consumer_loses_nothing_and_gets_it_in_order(
    pipeline: Pipeline, capacity: int
) -> None:
    pipeline.add_node("samples:BurstOfBytes", "a").add_node("samples:Checksum", "b")
    pipeline.connect("a", "output", "b", "input", capacity=capacity)
    count, expected = 10_000, 0
    for number in range(count):
        expected = zlib.crc32(b"%d" % number, expected)
    async with Session("s", pipeline) as session:
        await session.send("a", count)
        await session.close_input()
        assert (await session.receive("b")).payload == [count, expected]
        stats = await session.get_channel_stats("a_to_b")
    assert (stats.sent, stats.message_count, stats.dropped) == (count, count, 0)
    assert (stats.current_occupancy, stats.capacity) == (0, capacity)
    assert stats.blocked_seconds > 0


async def test_the_sender_waits_while_there_is_no_room(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.add_node("samples:Gate", "a", {"folder": str(tmp_path)})
    config = MultiprocessConfig(channel_capacity=3)
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", 0)
        await until((tmp_path / "0.reached").exists)  # it is out of the channel
        for number in range(1, 4):
            await session.send("a", number)
        with anyio.move_on_after(0.2) as scope:
            await session.send("a", 4)
        assert scope.cancelled_caught
        stats = await session.get_channel_stats("app_to_a")
        assert (stats.current_occupancy, stats.sent) == (3, 4)
        (tmp_path / "open").touch()
        await session.send("a", 5)
        await session.close_input()
        assert await drained(session) == [0, 1, 2, 3, 5]  # what was cancelled was not sent


async def test_fan_out_delivers_everything_to_everyone(pipeline: Pipeline) -> None:
    pipeline.add_node("samples:Burst", "src")
    sinks = ["w", "x", "y", "z"]
    for sink in sinks:
        pipeline.add_node("samples:Echo", sink)
        pipeline.connect("src", "output", sink, "input", capacity=8)
    async with Session("s", pipeline) as session:
        await session.send("src", 500)
        await session.close_input()
        got: dict[str, list[Any]] = {}

        async def collect(sink: str) -> None:
            got[sink] = await drained(session, sink)

        async with anyio.create_task_group() as group:
            for sink in sinks:
                group.start_soon(collect, sink)
    assert got == {key: list(range(500)) for key in sinks}


async def test_fan_in_keeps_the_order_of_each_source(pipeline: Pipeline) -> None:
    for source in ("x", "y"):
        pipeline.add_node("samples:Burst", source)
    pipeline.add_node("samples:Echo", "sink")
    for source in ("x", "y"):
        pipeline.connect(source, "output", "sink", "input", capacity=2)
    async with Session("s", pipeline) as session:
        await session.send("x", 300)
        await session.send("y", 400)
        await session.close_input()
        got = await drained(session)
    assert sorted(got) == sorted([*range(300), *range(400)])


async def test_many_tasks_may_send_to_one_input(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:

        async def send(number: int) -> None:
            for _ in range(50):
                await session.send("a", number)

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(send, number)
            got = [(await session.receive("a")).payload for _ in range(400)]
    assert sorted(got) == sorted(list(range(8)) * 50)


# ---- policies that drop


@pytest.mark.parametrize(
    ("policy", "delivered"),
    [("drop_oldest", [0, 96, 97, 98, 99]), ("drop_newest", [0, 1, 2, 3, 4])],
)
async def test_what_is_dropped_is_counted(
    pipeline: Pipeline, tmp_path: Path, policy: str, delivered: list[int]
) -> None:
    pipeline.inputs, pipeline.outputs = ["src"], ["src", "sink"]
    pipeline.add_node("samples:Echo", "src")
    pipeline.add_node("samples:Gate", "sink", {"folder": str(tmp_path)})
    pipeline.connect("src", "output", "sink", "input", policy=policy, capacity=4)  # type: ignore[arg-type]
    async with Session("s", pipeline) as session:
        for number in range(100):
            await session.send("src", number)
            assert (await session.receive("src")).payload == number
            if number == 0:
                await until((tmp_path / "0.reached").exists)
        full = await session.get_channel_stats("src_to_sink")
        assert full.current_occupancy == (5 if policy == "drop_oldest" else 4)
        if policy == "drop_oldest":
            assert full.message_count + full.current_occupancy + full.dropped == full.sent
        await session.close_input()
        # Its queue has a place more, for the end of the stream: until that comes, for an item.
        await until_finished(session, "src")
        (tmp_path / "open").touch()
        assert await drained(session, "sink") == delivered
        stats = await session.get_channel_stats("src_to_sink")
    assert (stats.message_count, stats.dropped, stats.current_occupancy) == (5, 95, 0)
    assert stats.blocked_seconds == 0


async def test_a_loan_that_finds_no_room_is_dropped_and_counted(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.outputs = ["sink"]
    pipeline.add_node("samples:InPlace", "src")
    pipeline.add_node("samples:Gate", "sink", {"folder": str(tmp_path)})
    pipeline.connect("src", "output", "sink", "input", policy="drop_newest", capacity=2)
    async with Session("s", pipeline) as session:
        for _ in range(20):
            await session.send("src", 1)
        await session.close_input()
        await until_finished(session, "src")
        (tmp_path / "open").touch()
        received = len(await drained(session, "sink"))
        stats = await session.get_channel_stats("src_to_sink")
    assert received in (2, 3)  # the sink may have one in work
    assert (stats.message_count, stats.dropped) == (received, 20 - received)


async def test_the_policy_error_says_which_channel_is_full(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.add_node("samples:Burst", "src")
    pipeline.add_node("samples:Gate", "sink", {"folder": str(tmp_path)})
    pipeline.connect("src", "output", "sink", "input", policy="error", capacity=4)
    async with Session("s", pipeline) as session:
        await session.send("src", 100)
        with pytest.raises(NodeError) as caught:
            await session.receive("sink")
        (tmp_path / "open").touch()
    assert caught.value.remote_type == "ChannelFullError"
    assert "Buffer at capacity (backpressure active): channel 'src_to_sink' holds 4 messages" in (
        caught.value.remote_message
    )


async def test_a_dropping_consumer_does_not_slow_a_lossless_one(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.add_node("samples:Burst", "src")
    pipeline.add_node("samples:Gate", "lossy", {"folder": str(tmp_path)})
    pipeline.add_node("samples:Echo", "whole")
    pipeline.connect("src", "output", "lossy", "input", policy="drop_oldest", capacity=2)
    pipeline.connect("src", "output", "whole", "input", capacity=2)
    async with Session("s", pipeline) as session:
        await session.send("src", 300)
        await session.close_input()
        assert await drained(session, "whole") == list(range(300))
        (tmp_path / "open").touch()
        assert (await drained(session, "lossy"))[-2:] == [298, 299]


async def test_without_backpressure_edges_drop_their_oldest(
    chain: Callable[..., Pipeline],
) -> None:
    config = MultiprocessConfig(enable_backpressure=False)
    async with Session("s", chain("Echo", "Echo"), config=config) as session:
        graph_edges = session._watched.graph.edges
    assert [edge.policy for edge in graph_edges] == ["drop_oldest"]


async def test_a_loop_with_a_dropping_edge_ends(pipeline: Pipeline) -> None:
    pipeline.inputs, pipeline.outputs = ["a"], ["b"]
    pipeline.add_node("samples:OnlyEven", "a").add_node("samples:Echo", "b")
    pipeline.connect("a", "output", "b", "input")
    pipeline.connect("b", "output", "a", "input", policy="drop_newest", capacity=1)
    async with Session("s", pipeline) as session:
        await session.send("a", 1)
        await session.close_input()
        assert await drained(session, "b") == []


async def test_a_message_larger_than_the_channel_may_hold(chain: Callable[..., Pipeline]) -> None:
    config = MultiprocessConfig(shm_segment_size=10_000)
    async with Session("s", chain("Echo"), config=config) as session:
        with pytest.raises(ChannelFullError, match="shm_segment_size"):
            await session.send("a", bytes(5_001))
        await session.send("a", bytes(4_800))
        assert (await session.receive("a")).size == 4_800


async def test_the_memory_of_a_channel_is_bounded(pipeline: Pipeline, tmp_path: Path) -> None:
    """Not only messages are counted: a hundred large ones would be too much."""
    pipeline.add_node("samples:Gate", "a", {"folder": str(tmp_path)})
    config = MultiprocessConfig(shm_segment_size=1_000_000)
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", "first")
        await until((tmp_path / "first.reached").exists)
        with anyio.move_on_after(0.2):
            for _ in range(100):
                await session.send("a", "x" * 300_000)
        assert (await session.get_channel_stats("app_to_a")).current_occupancy == 3
        (tmp_path / "open").touch()


# ---- wrong use


async def test_what_a_port_does_not_take_is_refused_before_it_is_sent(pipeline: Pipeline) -> None:
    pipeline.add_node("samples:Shout", "a")
    async with Session("s", pipeline) as session:
        with pytest.raises(DataError, match=r"input a\.text_in takes text data, not bytes"):
            await session.send("a", b"x")
        with pytest.raises(DataError, match="set can't be sent"):
            await session.send("a", {1})
        await session.send("a", "x")
        assert (await session.receive("a")).payload == "X!"


async def test_an_edge_that_would_wait_for_itself_is_refused(
    chain: Callable[..., Pipeline],
) -> None:
    pipeline = chain("Echo", "Echo").connect("b", "output", "a", "input")
    with pytest.raises(PipelineError, match="it would wait for itself"):
        await Session("s", pipeline).initialize()
