"""Pipelines of the nodes in `nodes/samples.py`, and deadlines."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.runtime import MultiprocessConfig, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).parent
NODES = _HERE / "nodes"
_TEST_SECS = 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here a deadline: whatever waits, waits no longer."""
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TEST_SECS))


@pytest.fixture
def anyio_backend() -> str:
    """asyncio, where a test does not ask for both."""
    return "asyncio"


@pytest.fixture
def nodes() -> Path:
    """The directory of the sample nodes."""
    return NODES


@pytest.fixture
def pipeline() -> Pipeline:
    """An empty pipeline that finds the sample nodes as `samples:Class`."""
    return Pipeline(extra_paths=[NODES])


@pytest.fixture
def chain() -> Callable[..., Pipeline]:
    """Make a pipeline of sample nodes in a row, with the ids a, b, c, …."""

    def make(*classes: str, **options: object) -> Pipeline:
        made = Pipeline(extra_paths=[NODES])
        ids = "abcdefghijklmnop"[: len(classes)]
        for name, cls in zip(ids, classes, strict=False):
            made.add_node(f"samples:{cls}", name, **options)  # type: ignore[arg-type]
        for source, target in itertools.pairwise(ids):
            made.connect(source, "output", target, "input")
        return made

    return make


@pytest.fixture
def impatient() -> MultiprocessConfig:
    """A configuration for nodes that have to be killed."""
    return MultiprocessConfig(cleanup_grace_period_secs=0.5)
