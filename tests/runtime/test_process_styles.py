"""The ways of writing `process`, and what it may give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import NodeError
from remotemedia.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime import Pipeline

pytestmark = pytest.mark.anyio

STYLES = (
    "AsCoroutine",
    "AsFunction",
    "AsGenerator",
    "AsAsyncGenerator",
    "AsPlainFunctionThatReturnsACoroutine",
)


@pytest.fixture(params=["multiprocess", "inline"])
def executor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def payloads(pipeline: Pipeline, *items: object, output: str | None = None) -> list[object]:
    """Send items to the first node, end the input, and return all that comes."""
    async with Session("s", pipeline) as session:
        first = next(iter(pipeline.nodes))
        for item in items:
            await session.send(first, item)
        await session.close_input()
        return [data.payload async for data in session.stream(output)]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_every_style_of_process_works_in_one_pipeline(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    pipeline = chain(*STYLES, executor=executor)
    assert await payloads(pipeline, "x", "y") == ["x+++++", "y+++++"]


async def test_a_list_leaves_item_by_item(chain: Callable[..., Pipeline], executor: str) -> None:
    assert await payloads(chain("Several", executor=executor), "abc") == ["a", "b", "c"]


async def test_none_sends_nothing(chain: Callable[..., Pipeline], executor: str) -> None:
    assert await payloads(chain("OnlyEven", executor=executor), 1, 2, 3, 4) == [2, 4]


async def test_the_input_itself_can_be_returned(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    (got,) = await payloads(chain("Echo", executor=executor), array)
    np.testing.assert_array_equal(got, array)


async def test_an_input_that_was_kept_can_be_returned_later(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    assert await payloads(chain("Delayed", executor=executor), "a", "b", "c") == ["a", "b", "c"]


async def test_finish_may_be_a_coroutine_where_process_is_plain(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    assert await payloads(chain("TwoStepFinish", executor=executor), 1, 1, 1) == [3]


async def test_items_choose_their_output_by_its_name(pipeline: Pipeline, executor: str) -> None:
    pipeline.add_node("samples:Split", "split", executor=executor)
    async with Session("s", pipeline) as session:
        assert session.outputs == ["split.low", "split.high"]
        for number in (3, 30, 4, 40):
            await session.send("split", number)
        await session.close_input()
        low = [data.payload async for data in session.stream("split.low")]
        high = [data.payload async for data in session.stream("split.high")]
    assert (low, high) == ([3, 4], [30, 40])


async def test_an_output_that_is_not_there_is_an_error_that_names_those_that_are(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    with pytest.raises(NodeError, match=r"no output 'nowhere'; it has 'output'"):
        await payloads(chain("Misnamed", executor=executor), 1)


async def test_data_says_on_which_input_it_came(pipeline: Pipeline, executor: str) -> None:
    pipeline.inputs = ["n.left", "n.right"]
    pipeline.add_node("samples:TwoInputs", "n", executor=executor)
    async with Session("s", pipeline) as session:
        await session.send("n.left", "one")
        assert (await session.receive("n")).payload == "left:one"
        await session.send("n.right", "two")
        assert (await session.receive("n")).payload == "right:two"


async def test_a_node_knows_who_it_is(chain: Callable[..., Pipeline], executor: str) -> None:
    (facts,) = await payloads(chain("Facts", executor=executor, config={"k": [1, None]}), 1)
    assert isinstance(facts, dict)
    facts.pop("pid")
    assert facts == {
        "node_id": "a",
        "session_id": "s",
        "config": {"k": [1, None]},
        "data_session": "s",
        "data_port": "input",
    }


async def test_a_declared_config_arrives_as_its_struct(pipeline: Pipeline, executor: str) -> None:
    pipeline.add_node("samples:Typed", "n", {"factor": 2}, executor=executor)
    assert await payloads(pipeline, 1) == ["Settings 2.0 x"]


async def test_what_travels_arrives_as_it_was_sent(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    sent = [
        RuntimeData.audio(np.zeros((4, 2), np.int16), 8000, start=1.5, transcript="ä"),
        RuntimeData.video(np.zeros((2, 3, 3), np.uint8), frame_rate=25.0),
        RuntimeData.text("héllo\0", language="fr", start=0.0, end=1.0),
        RuntimeData.tensor(
            {"a": np.eye(2), "b": np.zeros((0, 3), np.uint8)}, note={"x": [1, b"2"]}
        ),
        RuntimeData.json({"a": [1, 2.5, None, True, "x"]}),
        RuntimeData.bytes(b"\x00\xff", content_type="image/png"),
    ]
    async with Session("s", chain("Echo", executor=executor)) as session:
        for item in sent:
            await session.send("a", item)
            got = await session.receive("a")
            assert got.type is item.type
            assert got.metadata == item.metadata
            assert got.timestamp == item.timestamp
            assert got.session_id == "s"
            assert repr(got).partition(", port")[0].rstrip(")") == repr(item).rstrip(")")


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_close_input_delivers_everything_in_flight(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    got = await payloads(chain("Echo", "Echo", executor=executor), *range(300))
    assert got == list(range(300))
