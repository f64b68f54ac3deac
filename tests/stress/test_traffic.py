"""Twenty nodes, messages of all sizes, all policies: nothing is lost, doubled or torn."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from remotemedia.runtime import Runtime
from remotemedia.runtime.bench.traffic.layout import Layout
from remotemedia.runtime.bench.traffic.raid import raid
from remotemedia.runtime.bench.traffic.traffic import Traffic, traffic_config

if TYPE_CHECKING:
    from remotemedia.runtime.bench.traffic.audit import Totals

pytestmark = pytest.mark.anyio

NODES = 20
_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory
SMALL_MESSAGES = 40_000


async def run(layout: Layout, count: int, order: int = 10) -> Totals:
    config = traffic_config(len(layout.nodes), layout.max_size)
    async with Runtime(config) as runtime, Traffic(runtime, layout, order=order) as traffic:
        return await traffic.run(lambda made: made < count)


def shared_memory() -> set[str]:
    """Return the files of this process's runtimes."""
    return {path.name for path in _SHM.glob(f"rm{os.getuid()}_{os.getpid()}_*")}


async def test_messages_of_all_sizes_through_twenty_nodes(each_seed: int) -> None:
    totals = await run(Layout.random(each_seed, NODES), 20)
    assert totals.messages > 100
    assert totals.nbytes > 100_000_000


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_an_application_on_trio(seed: int) -> None:
    assert (await run(Layout.random(seed, 6, max_size=100_000), 100)).messages > 100


async def test_many_small_messages(seed: int) -> None:
    totals = await run(Layout.line(seed, 3, max_size=64), SMALL_MESSAGES // 2, order=5000)
    assert (totals.messages, totals.dropped) == (SMALL_MESSAGES, 0)


async def test_sessions_whose_nodes_are_killed_leave_the_others_alone(seed: int) -> None:
    done = anyio.Event()
    async with Runtime(traffic_config(6)) as runtime:
        before = shared_memory()
        async with anyio.create_task_group() as group:

            async def traffic() -> None:
                async with Traffic(runtime, Layout.random(seed, 6)) as traffic:
                    assert (await traffic.run(lambda _made: not done.is_set())).messages > 100

            group.start_soon(traffic)
            async with anyio.create_task_group() as raids:
                for number in range(4):
                    raids.start_soon(raid, runtime, 100 * seed + number, f"raid{number}")
            done.set()
        gc.collect()  # tracebacks keep the application's ends of the channels
        assert shared_memory() <= before
