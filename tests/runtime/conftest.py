"""Pipelines of the nodes in `nodes/samples.py`, and deadlines."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.runtime import MultiprocessConfig, Pipeline
from remotemedia.runtime.channels.bell import AsyncBell, Bells
from remotemedia.runtime.channels.inlet import Inlet
from remotemedia.runtime.channels.ledger import ChannelStats, Ledger
from remotemedia.runtime.channels.outlet import Outlet
from remotemedia.runtime.channels.plan import Channel, InletPlan, Link, OutletPlan
from remotemedia.runtime.channels.space import Space
from remotemedia.runtime.space_files import RuntimeFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


class Ends:
    """Both ends of the edges of one output, in this process: 10 MB, of which 3 MB are usual."""

    def __init__(
        self, files: RuntimeFiles, capacity: int = 8, policy: Any = "block", consumers: int = 1
    ) -> None:
        space, self.prefix = Space(str(files.space), files.prefix), files.prefix
        self.bells, self.ledger = Bells.create(consumers + 1), Ledger.create(consumers)
        links = tuple(
            Link(n, f"a_to_{n}", "a.output", f"{n}.input", policy, capacity, n + 1)
            for n in range(consumers)
        )
        channel = Channel("edge", policy == "drop_oldest", links, 10_000_000, 3_000_000)
        room = AsyncBell(self.bells, 0)
        plan = OutletPlan("output", 0, (channel,))
        self.outlet = Outlet(space, plan, self.ledger, self.bells, room)
        self.inlets = [
            Inlet(space, InletPlan("input", "any", link, channel, 0), self.ledger, self.bells)
            for link in links
        ]
        self.inlet = self.inlets[0]

    def stats(self, inlet: Inlet) -> ChannelStats:
        """Return what has happened on the edge of an inlet."""
        link = inlet.plan.link
        return self.ledger.record(link.index).stats(link, time.monotonic_ns())

    def shared_bytes(self) -> int:
        """Return what the runtime's files take of the machine's memory."""
        files = Path("/dev/shm").glob(f"{self.prefix}*")  # noqa: S108 - Linux has it there
        return sum(file.stat().st_blocks * 512 for file in files)


@pytest.fixture
def open_ends() -> Iterator[Callable[..., Ends]]:
    """Open both ends of an output with a capacity, a policy and a number of consumers."""
    files = RuntimeFiles.create()
    made: list[Ends] = []

    def opened(*arguments: Any) -> Ends:
        made.append(Ends(files, *arguments))
        return made[-1]

    yield opened
    for ends in made:
        ends.ledger.close()
        vars(ends).clear()  # pytest keeps it a little longer
    files.remove()


@pytest.fixture
def ends(open_ends: Callable[..., Ends]) -> Ends:
    """Both ends of one edge that blocks."""
    return open_ends()
