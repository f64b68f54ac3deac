"""What a node receives is the memory that its sender wrote: shown by where it lies."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio

MIB = 1 << 20


def lies_in_shared_memory(array: NDArray[Any]) -> bool:
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if begin <= array.ctypes.data < end:
            return "/dev/shm/" in line  # noqa: S108 - Linux has it there
    return False


async def test_a_node_reads_where_the_one_before_it_has_written(pipeline: Pipeline) -> None:
    pipeline.add_node("places:FillsLoans", "a").add_node("places:TellsPlaces", "b")
    pipeline.connect("a", "output", "b", "input")
    async with Session("s", pipeline) as session:
        for number in range(3):
            await session.send("a", number)
            told = (await session.receive("b")).payload
            assert set(told["got"]) == {"audio", "features"}
            assert None not in told["got"].values()
            assert told["got"] == told["sent"]  # both arrays: one message, no second copy
            assert not told["writeable"]


@pytest.mark.parametrize("source", ["FillsLoans", "ReturnsArrays"])
async def test_four_consumers_cost_one_write(pipeline: Pipeline, source: str) -> None:
    pipeline.add_node(f"places:{source}", "a")
    consumers = ["w", "x", "y", "z"]
    for consumer in consumers:
        pipeline.add_node("places:TellsPlaces", consumer)
        pipeline.connect("a", "output", consumer, "input")
    async with Session("s", pipeline) as session:
        await session.send("a", 1)
        told = [(await session.receive(consumer)).payload for consumer in consumers]
    assert None not in told[0]["got"].values()
    assert all(one["got"] == told[0]["got"] for one in told)


async def test_an_array_stays_what_it_was_although_a_thousand_followed_and_the_sender_was_killed(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("Echo")) as session:
        await session.send("a", np.full(5000, 7, np.int64))
        kept = (await session.receive("a")).as_numpy()
        for number in range(1000):
            await session.send("a", np.full(5000, number, np.int64))
            await session.receive("a")
        pid = (await session.get_status()).nodes["a"].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProcessCrashError):
            await session.receive("a")
    assert lies_in_shared_memory(kept)
    assert not kept.flags.writeable
    assert (kept == 7).all()


def shared_bytes(pid: int) -> int:
    """Return how much shared memory of files a process has in use."""
    return sum(
        mapping.rss
        for mapping in psutil.Process(pid).memory_maps()
        if "/dev/shm/" in mapping.path  # noqa: S108
    )


def spare_bytes() -> int:
    """Return what messages may take here."""
    return min(shutil.disk_usage("/dev/shm").free, psutil.virtual_memory().available)  # noqa: S108


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mib", [256, 1024])
async def test_a_message_may_be_a_gigabyte(pipeline: Pipeline, mib: int) -> None:
    size = mib * MIB
    if spare_bytes() < 2 * size:
        pytest.skip(f"this machine has {spare_bytes() // MIB} MiB of shared memory to spare")
    pipeline.add_node("places:LoansMuch", "a").add_node("places:TellsSize", "b")
    pipeline.connect("a", "output", "b", "input")
    config = MultiprocessConfig(shm_segment_size=2 * size + MIB)
    async with Session("s", pipeline, config=config) as session:
        for _ in range(2):
            await session.send("a", size)
            assert (await session.receive("b")).payload == [size, size // 4096, True]
        for node in (await session.get_status()).nodes.values():
            assert node.pid is not None
            assert size <= shared_bytes(node.pid) < size + 8 * MIB


async def test_a_quarter_of_a_gigabyte_may_be_copied_in(pipeline: Pipeline) -> None:
    size = 256 * MIB
    if spare_bytes() < 3 * size:
        pytest.skip(f"this machine has {spare_bytes() // MIB} MiB of shared memory to spare")
    pipeline.add_node("places:TellsSize", "a")
    config = MultiprocessConfig(shm_segment_size=2 * size + MIB)
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", np.broadcast_to(np.ones((), np.uint8), (size,)))
        assert (await session.receive("a")).payload == [size, size // 4096, True]
