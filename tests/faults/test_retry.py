"""The example of a retry: sessions crash, the work gets done, and nothing is answered twice."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psutil
import pytest

from remotemedia.core.errors import NodeError, ProcessCrashError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from remotemedia.runtime import Pipeline, Runtime

    Row = Callable[..., Pipeline]

EXAMPLE = Path(__file__).parents[2] / "examples" / "retry.py"
_SOON_SECS = 25.0


@pytest.fixture(scope="module")
def retry() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("retry_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_does_what_it_says() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        capture_output=True,
        encoding="utf-8",
        timeout=_SOON_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "tea: TEA",
        "unlucky: UNLUCKY",
        "coffee: COFFEE",
        "poison: given up, node 'shout' dies of it (SIGABRT)",
        "milk: MILK",
    ]
    assert done.stderr.count("attempt") == 1 + 3


@pytest.mark.anyio
@pytest.mark.usefixtures("nobody_else_notices")
async def test_sessions_that_are_killed_lose_and_double_nothing(
    runtime: Runtime, row: Row, retry: ModuleType
) -> None:
    others = {child.pid for child in psutil.Process().children(recursive=True)}
    answers: list[Any] = []

    async def work() -> None:
        pipeline = row("Echo", "Echo")
        answers.extend(await retry.process_all(runtime, pipeline, [*range(5000)], attempts=9))

    async def victim() -> int:
        while True:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                    if child.pid not in others and child.name() == "rm:b":
                        return child.pid
            await anyio.sleep(0.002)

    with anyio.fail_after(_SOON_SECS):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            for _ in range(3):
                pid = await victim()
                others.add(pid)
                await anyio.sleep(0.05)  # into its work
                os.kill(pid, signal.SIGKILL)
    assert [answer.payload for answer in answers] == [*range(5000)]


@pytest.mark.anyio
async def test_a_mistake_of_the_node_is_not_tried_again(
    runtime: Runtime, row: Row, retry: ModuleType
) -> None:
    with anyio.fail_after(_SOON_SECS), pytest.raises(NodeError):
        await retry.process_all(runtime, row("Raises"), ["chain"])


@pytest.mark.anyio
async def test_a_session_that_never_starts_costs_no_item(
    runtime: Runtime, row: Row, retry: ModuleType
) -> None:
    pipeline = row("Faulty", config={"stage": "initialize", "fault": "kill"})
    with anyio.fail_after(_SOON_SECS), pytest.raises(ProcessCrashError):
        await retry.process_all(runtime, pipeline, ["an item"], attempts=2, pause_secs=0.01)
