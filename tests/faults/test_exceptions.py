"""Whatever a node raises is told as what it was, with the item that it was raised for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import numpy as np
import pytest

from remotemedia.core.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime import Pipeline, Runtime

    Row = Callable[..., Pipeline]
    Measured = Callable[[str, float], None]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nobody_else_notices")]

_SOON_SECS = 10.0
#: What `nodes/faulty.py` raises when it is told so, and what the report says.
_RAISED = {
    "unpicklable": ("Unpicklable", "<function Raises._raise.<locals>.<lambda>"),
    "group": ("ExceptionGroup", "OSError: the second"),
    "chain": ("ValueError", "OSError: the cause"),
    "recursion": ("RecursionError", "in _raise"),
    "long": ("ValueError", "characters left out"),
    "no character": ("ValueError", r"\udc80"),
    "cancelled": ("CancelledError", "in process"),
}


@pytest.mark.parametrize("cls", ["Raises", "RaisesCoroutine"])
@pytest.mark.parametrize("executor", ["multiprocess", "inline"])
async def test_items_that_raise_anything_can_be_skipped(
    runtime: Runtime, row: Row, cls: str, executor: str
) -> None:
    pipeline = row(cls, on_error="continue", executor=executor)
    async with await runtime.create_session("s", pipeline) as session:
        for what in (*_RAISED, "nothing"):
            await session.send("a", what)
        with anyio.fail_after(_SOON_SECS):
            assert (await session.receive("a")).payload == "nothing"
    # Reports go another way than data; at the end, all have come.
    for number, (error, (name, told)) in enumerate(
        zip(session.node_errors, _RAISED.values(), strict=True)
    ):
        assert (error.remote_type, error.item) == (name, f"input#{number}")
        assert told in str(error)
        assert len(str(error)) < 500_000


@pytest.mark.parametrize("cls", ["Raises", "RaisesCoroutine"])
@pytest.mark.parametrize("on_error", ["stop", "continue"])
async def test_an_interrupt_ends_the_session_and_is_told(
    runtime: Runtime, row: Row, cls: str, on_error: str
) -> None:
    """Nobody's Ctrl-C, which only the application gets: the node's own code has raised it."""
    async with await runtime.create_session("s", row(cls, on_error=on_error)) as session:
        await session.send("a", "KeyboardInterrupt")
        with anyio.fail_after(_SOON_SECS), pytest.raises(NodeError) as caught:
            await session.receive("a")
    assert (caught.value.remote_type, caught.value.item) == ("KeyboardInterrupt", "input#0")


@pytest.mark.parametrize("stage", ["initialize", "process"])
async def test_an_exception_is_reported_at_once(
    runtime: Runtime, row: Row, measured: Measured, stage: str
) -> None:
    pipeline = row("Echo", "Faulty", "Echo", config={"stage": stage, "fault": "raise"})

    async def use() -> None:
        async with await runtime.create_session("s", pipeline) as session:
            await session.send("a", "an item")
            await session.receive("c")

    with anyio.fail_after(_SOON_SECS), pytest.raises(NodeError) as caught:
        await use()
    measured(f"raises in {stage}", time.monotonic() - float(caught.value.remote_message))
    assert (caught.value.node_id, caught.value.stage) == ("b", stage)
    assert caught.value.item == ("input#0" if stage == "process" else "")
    assert "in commit" in caught.value.remote_traceback


async def test_data_that_a_node_still_uses_when_it_ends_stays_in_no_file(
    runtime: Runtime, row: Row
) -> None:
    async with await runtime.create_session("s", row("KeepsCoroutine", "Echo")) as session:
        for number in range(5):
            await session.send("a", np.full(100_000, number))
            with anyio.fail_after(_SOON_SECS):
                assert (await session.receive("b")).as_numpy()[0] == number
