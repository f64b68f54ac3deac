"""AsyncNodeHarness: the same in a coroutine, under asyncio and trio."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import NodeError, SessionClosed
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.testing import AsyncNodeHarness, NodeTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = pytest.mark.anyio


class Repeat(MultiprocessNode):
    """Says a text three times, slowly."""

    async def process(self, data: RuntimeData) -> AsyncIterator[str]:
        if data.payload == "bad":
            raise ValueError("a bad one")
        for self.made in range(3):
            await anyio.sleep(100)
            yield f"{data.payload} {self.made}"

    def finish(self) -> str:
        return "end"


async def test_a_node_lives_as_in_the_other_harness() -> None:
    async with AsyncNodeHarness(Repeat) as node:
        assert [item.payload for item in await node.feed("x")] == ["x 0", "x 1", "x 2"]
        assert node.time >= 300
        await node.advance(50)
        assert [item.payload for item in await node.finish()] == ["end"]
        with pytest.raises(SessionClosed):
            await node.feed("y")


async def test_items_of_a_stream_are_waited_for_one_by_one() -> None:
    async with AsyncNodeHarness(Repeat) as node:
        async for item in node.stream("x"):
            number = int(item.payload[-1])
            assert node.node.made == number  # type: ignore[attr-defined]
        assert number == 2


async def test_errors_are_those_of_a_session() -> None:
    async with AsyncNodeHarness(Repeat, on_error="continue") as node:
        with pytest.raises(NodeError, match="a bad one"):
            await node.feed("bad")
        assert len(await node.feed("x")) == 3


async def test_a_node_that_hangs_fails_the_test() -> None:
    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> None:
            while True:
                pass

    with pytest.raises(NodeTimeout):
        async with AsyncNodeHarness(Node, deadline=0.3) as node:
            await node.feed("x")


async def test_the_test_s_own_loop_goes_on_while_the_node_works() -> None:
    ask: list[Callable[[], str]] = []

    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> str:
            return ask[0]()

    async def answer() -> str:
        return "from the test's loop"

    async with anyio.from_thread.BlockingPortal() as portal:
        ask.append(lambda: portal.call(answer))
        async with AsyncNodeHarness(Node) as node:
            (item,) = await node.feed("x")
    assert item.payload == "from the test's loop"


async def test_a_test_that_is_cancelled_leaves_nothing() -> None:
    cleaned = []

    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> Iterator[str]:
            yield "x"

        def cleanup(self) -> None:
            cleaned.append(True)

    with anyio.CancelScope() as scope:
        async with AsyncNodeHarness(Node) as node:
            scope.cancel()
            await node.feed("x")
    assert cleaned == [True]


async def test_a_node_at_work_sees_what_waits_and_that_its_stream_was_left() -> None:
    seen: list[object] = []

    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> Iterator[str]:
            try:
                yield "x"
            finally:
                seen.append((data.payload, self.stopping, self.waiting("input")))

    async with (
        AsyncNodeHarness(Node) as node,
        contextlib.aclosing(node.stream("first")) as stream,
        anyio.create_task_group() as group,
    ):
        await anext(stream)
        group.start_soon(node.feed, "second")
        await anyio.wait_all_tasks_blocked()
        await stream.aclose()
    assert seen == [("first", True, 1), ("second", False, 0)]
