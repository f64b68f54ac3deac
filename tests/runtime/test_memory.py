"""Shared memory: what is written in place, what is read-only, and for how long it stays."""

from __future__ import annotations

import os
import signal
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import NodeError, ProcessCrashError
from remotemedia.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime import Pipeline

pytestmark = pytest.mark.anyio


LIMIT = 10_000_000


def blank(size: int) -> RuntimeData:
    return RuntimeData.tensor(np.broadcast_to(np.zeros((), np.uint8), (size,)))


def address(data: RuntimeData) -> int:
    return int(data.as_numpy().ctypes.data)


# ---- loans, seen from both ends in one process


async def test_a_loan_is_sent_without_a_copy(ends: Any) -> None:
    loan = ends.outlet.loan(blank(1000))
    memory = loan.as_numpy()
    memory[:] = 7
    await ends.outlet.send(loan)
    got = ends.inlet.receive()
    assert got is not None
    # Both ends have mapped the same file: where it lies in it is told by what is written there.
    assert (got.as_numpy() == 7).all()
    assert _offset_in_file(got) == _offset_in_file(loan)
    del got, loan, memory


def _offset_in_file(data: RuntimeData) -> tuple[str, int]:
    """Return the file of an array's memory, and where in it the array begins."""
    at = address(data)
    with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123
        for line in maps:
            span, _, offset, _, _, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= at < end:
                return name[0], at - start + int(offset, 16)
    raise AssertionError("the array is not in mapped memory")


async def test_a_loan_can_not_be_written_any_more_once_it_is_sent(ends: Any) -> None:
    loan = ends.outlet.loan(blank(10))
    await ends.outlet.send(loan)
    with pytest.raises(ValueError, match="read-only"):
        loan.as_numpy()[:] = 1


async def test_a_channel_keeps_no_more_memory_than_it_may_have_in_flight(ends: Any) -> None:
    """Whatever sizes went through it, and though its receiver holds on to small messages."""
    dice, held = np.random.default_rng(1), deque[RuntimeData](maxlen=40)
    for _ in range(150):
        sizes = dice.choice((1000, 1_500_000), 4).tolist()
        for number, size in enumerate(sizes):
            await ends.outlet.send(RuntimeData.tensor(np.full(size, number, np.uint8)))
        for number, size in enumerate(sizes):
            got = ends.inlet.receive()
            assert got is not None
            assert got.size == size
            assert (got.as_numpy() == number).all()
            if size == 1000:
                held.append(got)
            del got
    assert all((data.as_numpy() == data.as_numpy()[0]).all() for data in held)
    assert ends.shared_bytes() < LIMIT + 1_500_000
    held.clear()


async def test_loans_that_are_dropped_are_given_back(ends: Any) -> None:
    for _ in range(5000):
        ends.outlet.loan(blank(1000))
    ends.outlet.loans.check_none()


async def test_what_was_received_is_read_only(ends: Any) -> None:
    await ends.outlet.send(RuntimeData.tensor({"a": np.zeros(3), "b": np.zeros(3)}))
    got = ends.inlet.receive()
    assert got is not None
    for array in got.payload.values():
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1


async def test_what_was_received_can_not_be_made_writable(ends: Any) -> None:
    await ends.outlet.send(RuntimeData.tensor(np.zeros(3)))
    got = ends.inlet.receive()
    assert got is not None
    with pytest.raises(ValueError, match="WRITEABLE"):
        got.as_numpy().flags.writeable = True


# ---- loans in nodes


async def test_a_node_fills_loaned_memory(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("InPlace")) as session:
        for frames in (0, 1, 100, 100_000, 3):
            await session.send("a", frames)
            array = (await session.receive("a")).as_numpy()
            assert array.shape == (frames,)
            assert (array == 0.25).all()


async def test_every_kind_of_loan_arrives(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("AllLoans")) as session:
        await session.send("a", 1)
        audio, video, tensor = [await session.receive("a") for _ in range(3)]
    assert (audio.as_numpy() == 7).all()
    assert audio.as_numpy().shape == (8, 2)
    assert (video.as_numpy() == 8).all()
    assert video.metadata.format == "gray8"
    assert (tensor.as_numpy("a") == 9).all()
    assert tensor.as_numpy("b") == 1j


async def test_consumers_of_every_policy_get_what_was_filled_in(pipeline: Pipeline) -> None:
    """One channel takes the loan as it lies, the others a copy of it."""
    pipeline.add_node("samples:InPlace", "a")
    policies = ("block", "drop_oldest", "drop_newest", "error")
    for policy in policies:
        pipeline.add_node("samples:Echo", policy)
        pipeline.connect("a", "output", policy, "input", policy=policy)
    async with Session("s", pipeline) as session:
        await session.send("a", 1000)
        for policy in policies:
            array = (await session.receive(policy)).as_numpy()
            assert array.shape == (1000,)
            assert (array == 0.25).all(), policy


async def test_thousands_of_loans_can_be_dropped(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("DropsLoans")) as session:
        for _ in range(3):
            await session.send("a", 2000)
            assert (await session.receive("a")).as_numpy().sum() == 100


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("KeepsLoan", r"1 loan\(s\) of output 'output' were neither returned nor dropped"),
        ("SendsLoanTwice", "this loan of output 'output' was sent already"),
        ("ManyLoans", "loans of output 'output' are out"),
        ("KeepsArrayOfLoan", "output 'output' has no memory left to lend"),
    ],
)
async def test_breaking_the_rules_of_loans_is_an_error_that_says_which(
    chain: Callable[..., Pipeline], node: str, message: str
) -> None:
    async with Session("s", chain(node)) as session:
        await session.send("a", 1)
        with pytest.raises(NodeError, match=message) as caught:
            [item async for item in session.stream("a")]
    assert caught.value.remote_type == "LoanError"


@pytest.mark.parametrize("length", [1, 100, 100_000])
async def test_metadata_may_be_added_to_a_loan(chain: Callable[..., Pipeline], length: int) -> None:
    async with Session("s", chain("LoanWithMoreMetadata")) as session:
        await session.send("a", length)
        got = await session.receive("a")
        assert got.metadata.extra == {"note": "x" * length}
        assert (got.as_numpy() == 0.5).all()


async def test_writing_into_an_input_is_an_error_of_the_node(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("WritesInput")) as session:
        await session.send("a", np.zeros(3))
        with pytest.raises(NodeError, match="read-only"):
            await session.receive("a")


# ---- how long it stays


async def test_inputs_that_are_kept_stay_valid_and_do_not_wedge_the_channel(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("KeepsInputs")) as session:
        for number in range(1200):
            await session.send("a", np.full(100, number, np.int64))
            assert (await session.receive("a")).payload is True


async def test_outputs_that_are_kept_stay_valid_also_when_the_sender_was_killed(
    chain: Callable[..., Pipeline],
) -> None:
    kept = []
    async with Session("s", chain("Echo")) as session:
        for number in range(1200):
            await session.send("a", np.full(100, number, np.int64))
            kept.append((await session.receive("a")).as_numpy())
        pid = (await session.get_status()).nodes["a"].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProcessCrashError):
            await session.receive("a")
    assert all((array == number).all() for number, array in enumerate(kept))


async def test_large_outputs_that_are_kept_do_not_wedge_the_channel(
    chain: Callable[..., Pipeline],
) -> None:
    kept = []
    async with Session("s", chain("Echo")) as session:
        for number in range(40):
            await session.send("a", np.full(10_000_000, number, np.uint8))
            kept.append((await session.receive("a")).as_numpy())
    assert [int(array[-1]) for array in kept] == list(range(40))


async def test_a_part_of_an_array_keeps_it_alive(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        await session.send("a", np.arange(1000))
        part = (await session.receive("a")).as_numpy()[500:502]
        for _ in range(300):
            await session.send("a", np.zeros(1000))
            await session.receive("a")
    assert part.tolist() == [500, 501]


async def test_memory_that_is_let_go_after_the_session_is_no_error(
    chain: Callable[..., Pipeline],
) -> None:
    """Its finalizers run when nobody listens to the session's bells any more."""
    async with Session("s", chain("Burst")) as session:
        await session.send("a", 1000)
        kept = [await session.receive("a") for _ in range(20)]
    assert len(kept) == 20
    del kept
