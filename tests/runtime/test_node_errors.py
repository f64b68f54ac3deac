"""A node that raises: where, with which traceback, and that nothing is left."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from remotemedia.core.errors import InitTimeout, NodeError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remotemedia.runtime import Progress

pytestmark = pytest.mark.anyio
SOON_SECS = 6  # on a loaded machine; the timeout would be 30


@pytest.fixture(params=["multiprocess", "inline"])
def executor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("stage", ["__init__", "initialize"])
async def test_a_node_that_can_not_be_made(
    chain: Callable[..., Pipeline], executor: str, stage: str
) -> None:
    pipeline = chain("FailsIn", "Echo", config={"stage": stage}, executor=executor)
    with anyio.fail_after(SOON_SECS), pytest.raises(NodeError) as caught:
        await Session("s", pipeline).initialize()
    assert (caught.value.node_id, caught.value.remote_type) == ("a", "ZeroDivisionError")
    assert "1 / 0" in caught.value.remote_traceback
    if stage == "initialize":
        assert caught.value.stage == "initialize"


async def _end_of(session: Session) -> None:
    await session.close_input()  # which an error may already have reached
    async for _ in session.stream("a"):
        pass


@pytest.mark.parametrize("stage", ["process", "finish"])
async def test_a_node_that_fails_while_it_runs(
    chain: Callable[..., Pipeline], executor: str, stage: str
) -> None:
    pipeline = chain("FailsIn", config={"stage": stage}, executor=executor)
    async with Session("s", pipeline) as session:
        await session.send("a", "good")
        assert (await session.receive("a")).payload == "good"
        await session.send("a", 1)
        with anyio.fail_after(SOON_SECS), pytest.raises(NodeError) as caught:
            await _end_of(session)
    error = caught.value
    assert (error.node_id, error.stage, error.remote_type) == ("a", stage, "ZeroDivisionError")
    assert error.item == ("input#1" if stage == "process" else "")
    assert "division by zero" in str(error)
    assert "samples.py" in str(error)


async def test_a_module_that_can_not_be_imported(pipeline: Pipeline, executor: str) -> None:
    pipeline.add_node("broken_import:Never", "n", executor=executor)
    with anyio.fail_after(SOON_SECS), pytest.raises(NodeError) as caught:
        await Session("s", pipeline).initialize()
    assert "the model's library is not there" in str(caught.value)
    assert "broken_import.py" in caught.value.remote_traceback


async def test_a_failing_cleanup_is_logged_and_hurts_nobody(
    chain: Callable[..., Pipeline], executor: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = chain("FailsIn", config={"stage": "cleanup"}, executor=executor)
    with caplog.at_level(logging.ERROR):
        async with Session("s", pipeline) as session:
            pass
    (error,) = session.node_errors
    assert error.stage == "cleanup"
    assert "Node 'a' failed in cleanup" in caplog.text


async def test_the_first_error_is_the_one_that_is_raised(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    async with Session("s", chain("FailsTwice", executor=executor)) as session:
        await session.send("a", 1)
        with pytest.raises(NodeError, match="the first") as caught:
            await session.receive("a")
    assert caught.value.stage == "process"


async def test_an_exception_without_a_readable_text(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    async with Session("s", chain("FailsStrangely", executor=executor)) as session:
        await session.send("a", 1)
        with pytest.raises(NodeError) as caught:
            await session.receive("a")
    assert caught.value.remote_type == "StrangeError"


async def test_on_error_continue_reports_the_item_and_goes_on(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    pipeline = chain("FailsIn", config={"stage": "process"}, executor=executor, on_error="continue")
    reported: list[NodeError] = []
    async with Session("s", pipeline) as session:
        session.on_node_error(reported.append)
        for item in ("bad", "good", "bad", "good"):
            await session.send("a", item)
        await session.close_input()
        assert [data.payload async for data in session.stream("a")] == ["good", "good"]
    # Reports go another way than data; at the end, all have come.
    assert [error.item for error in session.node_errors] == ["input#0", "input#2"]
    assert reported == session.node_errors


async def test_a_node_of_the_wrong_kind_of_data_fails_with_both_named(
    pipeline: Pipeline, executor: str
) -> None:
    pipeline.add_node("samples:Echo", "a", executor=executor)
    pipeline.add_node("samples:Shout", "b", executor=executor).connect("a", "output", "b", "text")
    async with Session("s", pipeline) as session:
        await session.send("a", b"not text")
        with pytest.raises(NodeError, match="takes text data, got bytes"):
            await session.receive("b")


# ---- initialization that takes too long


@pytest.mark.parametrize("node", ["HangsInInitialize", "HoldsTheGilInInitialize"])
async def test_a_node_that_is_not_ready_in_time_is_named_with_its_stack(
    chain: Callable[..., Pipeline], node: str
) -> None:
    config = MultiprocessConfig(init_timeout_secs=0.8, cleanup_grace_period_secs=0.3)
    async with Runtime(config) as runtime:  # whose template is there already
        started = time.monotonic()
        with pytest.raises(InitTimeout) as caught:
            await runtime.create_session("s", chain("Echo", node))
    assert time.monotonic() - started < 8  # a loaded machine starts slowly
    assert (caught.value.node_id, caught.value.seconds) == ("b", 0.8)
    assert caught.value.stage == "loading: waiting for Godot"
    assert "in initialize" in caught.value.stack
    assert "failed to initialize within 0.8s" in str(caught.value)
    assert "samples.py" in str(caught.value)


# ---- progress and output


async def test_progress_comes_in_order_and_ends_with_ready(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    steps: list[Progress] = []
    session = Session("s", chain("Progress", executor=executor))
    await session.initialize(progress_callback=steps.append)
    await session.cleanup()
    said = [(step.status, step.progress, step.message) for step in steps]
    assert list(dict.fromkeys(said)) == [  # a slow machine may be told more than once
        ("starting", 0.0, ""),
        ("loading", 0.0, "importing"),
        ("loading", 0.0, "initializing"),
        ("loading", 0.25, "a quarter"),
        ("loading", 1.0, "too much"),
        ("connecting", 1.0, ""),
        ("ready", 1.0, ""),
    ]
    assert [step.elapsed for step in steps] == sorted(step.elapsed for step in steps)


async def test_a_node_that_says_nothing_still_shows_that_it_lives(
    chain: Callable[..., Pipeline], executor: str, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    told: list[Progress] = []

    def on_progress(step: Progress) -> None:
        if step.message == "waiting for the test":
            told.append(step)
            if len(told) == 2:
                fifo.write_text("go on", encoding="utf-8")

    pipeline = chain("WaitsInInitialize", executor=executor, config={"fifo": str(fifo)})
    session = Session("s", pipeline)
    await session.initialize(progress_callback=on_progress)
    await session.cleanup()
    first, second = told[:2]
    assert (first.status, first.progress) == (second.status, second.progress) == ("loading", 0.5)
    assert second.elapsed - first.elapsed >= 0.9
    if executor == "multiprocess":
        assert second.cpu_seconds is not None
        assert second.cpu_seconds >= 0
    else:
        assert second.cpu_seconds is None


async def test_a_failure_is_a_step_too(chain: Callable[..., Pipeline], executor: str) -> None:
    steps: list[Progress] = []
    session = Session("s", chain("FailsIn", config={"stage": "initialize"}, executor=executor))
    with pytest.raises(NodeError):
        await session.initialize(progress_callback=steps.append)
    assert steps[-1].status == "failed"
    assert "ZeroDivisionError" in steps[-1].message


async def test_a_progress_callback_that_fails_ends_the_session_with_its_error(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    def on_progress(progress: Progress) -> None:
        raise KeyError(progress.node_id)

    with pytest.raises(KeyError):
        await Session("s", chain("Echo", executor=executor)).initialize(on_progress)


async def test_what_a_node_writes_is_logged_with_node_and_session(
    chain: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "remotemedia.node"):
        async with Session("s", chain("Talks")) as session:
            await session.send("a", 1)
            await session.receive("a")
    found = {(r.message, r.levelname, r.node, r.session) for r in caplog.records}  # type: ignore[attr-defined]
    assert found == {("hello from a", "INFO", "a", "s"), ("a warning", "WARNING", "a", "s")}
