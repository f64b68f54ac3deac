"""Memory of a channel: provided before it is needed, and never more than it may have."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import ChannelFullError, LoanError, PipelineError, ProcessCrashError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

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


@pytest.mark.parametrize("consumers", [1, 3])
async def test_consumers_that_keep_all_they_may_can_be_sent_the_largest_message(
    open_ends: Callable[..., Any], consumers: int
) -> None:
    ends = open_ends(50, "block", consumers)
    kept = []
    for number in range(30):  # 1 MB, which each consumer keeps for itself alone, or lets go
        await ends.outlet.send(RuntimeData.tensor(np.full(1_000_000, number, np.uint8)))
        for at, inlet in enumerate(ends.inlets):
            data = inlet.receive()
            if number % consumers == at:
                kept.append((number, data))
    with anyio.fail_after(5):
        await ends.outlet.send(RuntimeData.tensor(np.ones(4_900_000, np.uint8)))
    for inlet in ends.inlets:
        assert inlet.receive().as_numpy().all()
    assert [data.as_numpy()[0] for _, data in kept] == [number for number, _ in kept]
    assert _mapped(data.as_numpy() for _, data in kept) <= 5_000_000  # the rest are copies


async def test_what_waits_and_what_is_kept_is_no_more_than_the_channel_may_hold(
    open_ends: Callable[..., Any],
) -> None:
    ends = open_ends(50, "block", 2)
    kept = []
    for number in range(6):
        await ends.outlet.send(RuntimeData.tensor(np.zeros(1_000_000, np.uint8)))
        for at, inlet in enumerate(ends.inlets):
            data = inlet.receive()
            if number % 2 == at:
                kept.append(data)
    waiting = 0
    while ends.outlet.send_now(RuntimeData.tensor(np.zeros(1_000_000, np.uint8))):
        waiting += 1
    assert _mapped(data.as_numpy() for data in kept) + waiting * 1_000_000 <= 10_000_000
    assert waiting >= 5


async def test_a_message_that_would_take_more_than_half_of_the_channel_is_refused(
    ends: Any,
) -> None:
    with pytest.raises(ChannelFullError, match="a message may take half of them") as caught:
        await ends.outlet.send(RuntimeData.tensor(np.zeros(5_100_000, np.uint8)))
    assert caught.value.setting == "shm_segment_size"


def _mapped(arrays: Iterable[NDArray[Any]]) -> int:
    """Return the bytes of those arrays that lie in files of shared memory."""
    with open("/proc/self/maps", encoding="ascii") as file:  # noqa: PTH123
        ranges = [line.split()[0].split("-") for line in file if "/dev/shm/" in line]  # noqa: S108
    shared = [(int(begin, 16), int(end, 16)) for begin, end in ranges]
    return sum(
        array.nbytes
        for array in arrays
        if any(begin <= array.ctypes.data < end for begin, end in shared)
    )


async def test_loans_together_take_no_more_than_their_channel_may(ends: Any) -> None:
    loans = [ends.outlet.loan(blank(2_000_000)) for _ in range(2)]
    with pytest.raises(LoanError, match="raise 'shm_segment_size'"):
        ends.outlet.loan(blank(2_000_000))
    assert len(loans) == 2


@pytest.mark.parametrize(
    ("message_bytes", "problem"),
    [
        (0, "message_bytes must be a positive whole number, not 0"),
        ("1 MB", "message_bytes must be a positive whole number, not '1 MB'"),
        (2_000_000, "message_bytes is 2000000, but a message may take half of the 1000000"),
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
