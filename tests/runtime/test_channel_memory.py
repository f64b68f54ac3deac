"""Memory of a channel: provided before it is needed, and never more than it may have."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import LoanError, PipelineError, ProcessCrashError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def blank(size: int) -> RuntimeData:
    return RuntimeData.tensor(np.broadcast_to(np.zeros((), np.uint8), (size,)))


async def test_the_first_message_arrives_although_its_sender_died_right_after_it(
    pipeline: Pipeline,
) -> None:
    pipeline.add_node("samples:DiesAfterItsFirst", "a")
    async with Session("s", pipeline) as session:
        await session.send("a", 64)
        with pytest.raises(ProcessCrashError):
            await session.wait_finished()
        assert (await session.receive("a")).size == 64


async def test_memory_is_prepared_for_messages_of_the_declared_size(ends: Any) -> None:
    ends.outlet.prepare()
    assert ends.inlet.prepare()
    assert ends.inlet.receive() is None  # what prepared it is no message
    loan = ends.outlet.loan(blank(3_000_000))
    assert _resident(loan) == pytest.approx(3_000_000, abs=10_000)


def _resident(data: RuntimeData) -> int:
    """Return how much of an array's memory this process has mapped already."""
    begin = int(data.as_numpy().ctypes.data) & -mmap.PAGESIZE
    pages = (data.as_numpy().nbytes + mmap.PAGESIZE - 1) // mmap.PAGESIZE
    with open("/proc/self/pagemap", "rb") as pagemap:  # noqa: PTH123
        pagemap.seek(begin // mmap.PAGESIZE * 8)
        entries = np.frombuffer(pagemap.read(pages * 8), np.uint64)
    return int((entries >> 63).sum()) * mmap.PAGESIZE


@pytest.mark.parametrize("consumers", [1, 3])
async def test_what_drops_its_oldest_is_bounded_in_bytes_too(
    open_ends: Callable[..., Any], consumers: int
) -> None:
    ends = open_ends(50, "drop_oldest", consumers)
    for number in range(200):
        await ends.outlet.send(RuntimeData.tensor(np.full(1_000_000, number % 256, np.uint8)))
    for inlet in ends.inlets:
        got: list[int] = []
        while (data := inlet.receive()) is not None:
            got.append(int(data.as_numpy()[0]))
        assert got == list(range(192, 200))
        stats = ends.stats(inlet)
        assert (stats.message_count, stats.dropped, stats.current_occupancy) == (8, 192, 0)


async def test_a_consumer_that_drops_nothing_it_could_take_is_not_hurt_by_a_slow_one(
    open_ends: Callable[..., Any],
) -> None:
    ends = open_ends(50, "drop_oldest", 2)
    got = []
    for number in range(100):
        await ends.outlet.send(RuntimeData.tensor(np.full(1_000_000, number, np.uint8)))
        data = ends.inlets[0].receive()
        assert data is not None
        got.append(int(data.as_numpy()[0]))
    assert got == list(range(100))


async def test_whoever_keeps_much_can_be_sent_a_message_of_any_size(ends: Any) -> None:
    kept = []
    for _ in range(4):
        await ends.outlet.send(RuntimeData.tensor(np.zeros(1_000_000, np.uint8)))
        kept.append(ends.inlet.receive())
    with anyio.fail_after(5):
        await ends.outlet.send(RuntimeData.tensor(np.ones(9_000_000, np.uint8)))
    large = ends.inlet.receive()
    assert large is not None
    assert large.as_numpy().all()
    assert len(kept) == 4


async def test_loans_together_take_no_more_than_their_channel_may(ends: Any) -> None:
    loans = [ends.outlet.loan(blank(4_000_000)) for _ in range(2)]
    with pytest.raises(LoanError, match="raise 'shm_segment_size'"):
        ends.outlet.loan(blank(4_000_000))
    assert len(loans) == 2


@pytest.mark.parametrize(
    ("message_bytes", "problem"),
    [
        (0, "message_bytes must be a positive whole number, not 0"),
        ("1 MB", "message_bytes must be a positive whole number, not '1 MB'"),
        (2_000_000, "message_bytes is 2000000, but shm_segment_size lets a channel hold 1000000"),
    ],
)
async def test_a_size_that_can_not_be_prepared_is_refused_before_anything_starts(
    chain: Callable[..., Pipeline], message_bytes: Any, problem: str
) -> None:
    pipeline = chain("Echo", "Echo")
    pipeline.edges[0].message_bytes = message_bytes
    config = MultiprocessConfig(shm_segment_size=1_000_000)
    with pytest.raises(PipelineError, match=problem):
        await Session("s", pipeline, config=config).initialize()
