"""A runtime that lives through all faults of a module, and a session that must notice none."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime

if TYPE_CHECKING:
    from remotemedia.runtime import Session

NODES = Path(__file__).parent / "nodes"
GRACE_SECS = 2.0
_TEST_SECS = 30


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test here a deadline: whatever waits, waits no longer."""
    for item in items:
        if NODES.parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TEST_SECS + config.getoption("--kills")))


@pytest.fixture
def anyio_backend() -> str:
    """asyncio: what a fault does is the same under trio."""
    return "asyncio"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime that has run before: what it leaves behind is a fault's."""
    runtime = Runtime(MultiprocessConfig(cleanup_grace_period_secs=GRACE_SECS))

    async def run_once() -> None:
        await runtime.start()
        session = await runtime.create_session("first", row("Echo"))
        await session.cleanup()

    anyio.run(run_once)
    yield runtime
    anyio.run(runtime.shutdown)


@pytest.fixture(scope="module")
def bystander(runtime: Runtime) -> Iterator[Session]:
    """A session that goes on whatever happens to others."""
    session = anyio.run(runtime.create_session, "bystander", row("Echo", "Echo"))
    anyio.run(_is_well, session)  # the first message maps memory
    yield session
    anyio.run(session.cleanup)


@pytest.fixture
async def nobody_else_notices(bystander: Session) -> AsyncIterator[None]:
    """Make sure that a fault stays where it is."""
    yield
    await _is_well(bystander)


async def _is_well(session: Session) -> None:
    with anyio.fail_after(10):
        await session.send("a", "well?")
        assert (await session.receive("b")).payload == "well?"


def row(
    *classes: str,
    paths: Sequence[Path] = (),
    config: dict[str, object] | None = None,
    **options: Any,
) -> Pipeline:
    """Make a pipeline of nodes in a row: a, b, c, …

    Args:
        classes: Of `nodes/faulty.py`, or `module:Class`.
        paths: Where modules are looked for besides.
        config: Of all nodes that are no Echo.
        options: Of all nodes.
    """
    pipeline = Pipeline(extra_paths=[*paths, NODES])
    ids = "abcdefgh"[: len(classes)]
    for name, cls in zip(ids, classes, strict=True):
        target = cls if ":" in cls else f"faulty:{cls}"
        pipeline.add_node(target, name, None if cls == "Echo" else config, **options)
    for source, target in itertools.pairwise(ids):
        pipeline.connect(source, "output", target, "input")
    return pipeline


@pytest.fixture(name="row")
def _row() -> Callable[..., Pipeline]:
    """Make a pipeline of nodes in a row: a, b, c, …"""
    return row


_seconds: dict[str, list[float]] = {}


@pytest.fixture
def measured() -> Callable[[str, float], None]:
    """Take note of how long a fault took to be reported, for the table at the end of the run."""
    return lambda fault, seconds: _seconds.setdefault(fault, []).append(seconds)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how fast faults were reported; what `docs/faults.md` cites."""
    if _seconds:
        terminalreporter.section("from fault to report, in ms")
    for fault, seconds in sorted(_seconds.items()):
        p50, worst = statistics.median(seconds) * 1000, max(seconds) * 1000
        line = f"{fault:<44} {len(seconds):>4} times   p50 {p50:7.1f}   worst {worst:7.1f}"
        terminalreporter.write_line(line)
