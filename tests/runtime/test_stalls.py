"""Consumers that are slow or stall, and senders that wait for them: nobody else is hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from remotemedia.runtime import Pipeline, Session

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def until_waiting(session: Session, node: str) -> None:
    """Return when a node waits for room; the test's timeout is the deadline."""
    while not (await session.get_status()).nodes[node].is_waiting:
        await anyio.sleep(0.002)


@pytest.mark.parametrize("node", ["TaskBesideSending", "ThreadBesideSending"])
async def test_a_sender_that_waits_for_room_holds_up_nothing_else_of_its_process(
    pipeline: Pipeline, tmp_path: Path, node: str
) -> None:
    """Its event loop runs, and its GIL is free."""
    ticks = tmp_path / "ticks"
    pipeline.add_node(f"places:{node}", "a", {"ticks": str(ticks)})
    pipeline.add_node("samples:Gate", "b", {"folder": str(tmp_path)})
    pipeline.connect("a", "output", "b", "input", capacity=2)
    async with Session("s", pipeline) as session:
        await session.send("a", 10)
        await until_waiting(session, "a")
        seen = int(ticks.read_text("utf-8"))
        while int(ticks.read_text("utf-8")) < seen + 20:
            await anyio.sleep(0.002)
        assert (await session.get_status()).nodes["a"].is_waiting
        (tmp_path / "open").touch()
        assert [(await session.receive("b")).payload for _ in range(10)] == [*range(10)]


@pytest.mark.parametrize("stall", [0.0, 3.0])
async def test_a_consumer_that_is_ten_times_slower_or_stalls_gets_everything_and_delays_no_other(
    pipeline: Pipeline, stall: float
) -> None:
    """The slow one and the stream that it must not delay are fed by one output."""
    pipeline.add_node("samples:Burst", "a")
    pipeline.add_node("places:TakesLonger", "slow", {"seconds": 0.005, "stall": stall or 0.005})
    pipeline.add_node("places:TakesLonger", "fast", {"seconds": 0.0005})
    pipeline.connect("a", "output", "slow", "input", capacity=400)
    pipeline.connect("a", "output", "fast", "input", capacity=8)
    got: dict[str, list[Any]] = {}
    ended: list[str] = []
    async with Session("s", pipeline) as session:

        async def collect(node: str) -> None:
            got[node] = [data.payload async for data in session.stream(node)]
            ended.append(node)

        await session.send("a", 300)
        await session.close_input()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, "slow")
            tasks.start_soon(collect, "fast")
    assert got == {"slow": [*range(300)], "fast": [*range(300)]}
    assert ended == ["fast", "slow"]
