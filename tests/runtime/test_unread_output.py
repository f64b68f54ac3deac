"""An output that is listed and never received from: all waits, and it is said for what."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import anyio
import pytest

from remotemedia.runtime import MultiprocessConfig, Pipeline, Session, output_watch

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

PATIENCE = 0.3


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_watch, "_PATIENCE_SECS", PATIENCE)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, logger=output_watch.__name__)
    return lambda: [r.getMessage() for r in caplog.records if r.name == output_watch.__name__]


@pytest.fixture
def two_outputs(pipeline: Pipeline) -> Pipeline:
    """One node whose numbers the application wants twice, from two nodes."""
    pipeline.add_node("samples:Burst", "a")
    for node in ("read", "unread"):
        pipeline.add_node("samples:Echo", node)
        pipeline.connect("a", "output", node, "input")
    return pipeline


async def until(condition: Callable[[], object]) -> None:
    """Return when it holds; the test's timeout is the deadline."""
    while not condition():
        await anyio.sleep(0.01)


async def test_it_is_named_once_with_the_next_step_and_goes_on_when_it_is_read(
    two_outputs: Pipeline, warnings: Callable[[], list[str]]
) -> None:
    config = MultiprocessConfig(channel_capacity=4)
    async with Session("s", two_outputs, config=config) as session:
        await session.send("a", 100)
        async with anyio.create_task_group() as tasks:
            got = []

            async def read() -> None:
                got.extend([data.payload async for data in session.stream("read")])

            tasks.start_soon(read)
            await until(warnings)
            await anyio.sleep(3 * PATIENCE)
            (warning,) = warnings()
            assert warning.startswith("session 's': node 'unread' has waited ")
            assert "in output 'unread.output': 4 items wait there" in warning
            assert "take this one out of its outputs" in warning
            await session.close_input()
            assert [data.payload async for data in session.stream("unread")] == [*range(100)]
        assert got == [*range(100)]


async def test_it_is_told_when_patience_ends_whenever_the_wait_began(
    two_outputs: Pipeline, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_watch, "_PATIENCE_SECS", 1.0)
    async with Session("s", two_outputs, config=MultiprocessConfig(channel_capacity=4)) as session:
        await anyio.sleep(0.2)  # between two looks
        await session.send("a", 100)
        await until(warnings)
    seconds = re.findall(r"has waited (\S+) s", " ".join(warnings()))
    assert 1.0 <= float(min(seconds)) < 1.7


async def test_an_application_that_is_only_slow_is_not_warned(
    two_outputs: Pipeline, warnings: Callable[[], list[str]]
) -> None:
    config = MultiprocessConfig(channel_capacity=2)
    async with Session("s", two_outputs, config=config) as session:
        await session.send("a", 30)
        await session.close_input()
        for number in range(30):
            assert (await session.receive("read")).payload == number
            assert (await session.receive("unread")).payload == number
            await anyio.sleep(PATIENCE / 6)
    assert warnings() == []
