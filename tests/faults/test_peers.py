"""Whoever says what makes no sense is not believed: an error for its session, and for no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from remotemedia.core.errors import NodeError, ProcessCrashError, ProcessSpawnError, WireError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remotemedia.runtime import Pipeline, Runtime, Session

    Row = Callable[..., Pipeline]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nobody_else_notices")]

_SOON_SECS = 10.0
#: Of what `nodes/hostile.py` says: frames that can be read, and what is in them.
_NONSENSE = [
    "garbage",
    "an empty frame",
    "no map",
    "no kind",
    "an unknown kind",
    "an order",
    "wrong types",
    "an unknown state",
    "no text",
    "depths",
]


async def error_of(runtime: Runtime, pipeline: Pipeline, output: str) -> Exception:
    """Send an item, and return what whoever waits for the answer gets."""
    async with await runtime.create_session("s", pipeline) as session:
        await session.send("a", "an item")
        with anyio.fail_after(_SOON_SECS), pytest.raises(Exception) as caught:  # noqa: PT011
            await session.receive(output)
    return caught.value


# ---- from a node to the application


@pytest.mark.parametrize(
    ("speech", "told"),
    [
        *dict.fromkeys(_NONSENSE, "a message that makes no sense").items(),
        ("a huge frame", "a frame of 4294967295 bytes"),
        ("half a frame", "it has closed its connection"),
        ("nothing", "it has closed its connection"),
    ],
)
async def test_a_node_that_says_what_no_node_says_is_ended(
    runtime: Runtime, row: Row, speech: str, told: str
) -> None:
    crashes: list[ProcessCrashError] = []
    pipeline = row("Echo", "hostile:Speaks", "Echo", config={"speech": speech})
    session = await runtime.create_session("s", pipeline)
    session.on_process_crash(crashes.append)
    async with session:
        await session.send("a", "an item")
        with anyio.fail_after(_SOON_SECS), pytest.raises(ProcessCrashError) as caught:
            await session.receive("c")
    assert (caught.value.node_id, caught.value.stage) == ("b", "running")
    assert told in caught.value.hint
    assert [str(crash) for crash in crashes] == [str(caught.value)]


async def test_a_node_that_claims_other_versions_is_told_both_sides(
    runtime: Runtime, row: Row
) -> None:
    pipeline = row("hostile:Speaks", config={"speech": "other versions"})
    error = await error_of(runtime, pipeline, "a")
    assert isinstance(error, ProcessSpawnError)
    assert "SDK API 1 here, 99 in the node's environment" in str(error)


async def test_a_node_that_never_stops_talking_leaves_time_for_others(
    runtime: Runtime, row: Row, bystander: Session, tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    pipeline = row("hostile:Floods", config={"reached": str(reached)})
    async with await runtime.create_session("s", pipeline) as session:
        await session.send("a", "an item")
        with anyio.fail_after(_SOON_SECS):
            while not reached.exists():
                await anyio.sleep(0.002)
            async with await runtime.create_session("other", row("Echo")) as other:
                await other.send("a", "heard")
                assert (await other.receive("a")).payload == "heard"


async def test_an_exception_that_would_do_something_when_it_is_copied_is_text(
    runtime: Runtime, row: Row, tmp_path: Path
) -> None:
    """Other frameworks pickle what a worker raised: then it does in the parent what it likes."""
    owned = tmp_path / "owned"
    error = await error_of(runtime, row("Hijacks", config={"file": str(owned)}), "a")
    assert isinstance(error, NodeError)
    assert (error.remote_type, error.remote_message) == ("Hijack", "take me home")
    assert not owned.exists()


# ---- from the application to a node


@pytest.mark.parametrize(
    "said",
    [b"\x03\0\0\0\xc1ab", b"\xff\xff\xff\xffx", b"\x08\0\0\0\x81\xa4kind\xa1\xff", b"\0\0\0\0"],
    ids=["garbage", "a huge frame", "no text", "an empty frame"],
)
async def test_a_node_that_hears_nonsense_ends_and_says_so(
    runtime: Runtime, row: Row, said: bytes
) -> None:
    async with await runtime.create_session("s", row("Echo")) as session:
        supervisor: Any = session._supervisor
        supervisor._nodes.running["a"]._line._sock.sendall(said)
        with anyio.fail_after(_SOON_SECS), pytest.raises(ProcessCrashError) as caught:
            await session.receive("a")
    assert any("what no application says" in line for line in caught.value.last_output)


# ---- through shared memory


async def test_garbage_in_shared_memory_is_an_error_of_the_node_that_reads_it(
    runtime: Runtime, row: Row
) -> None:
    error = await error_of(runtime, row("hostile:SendsGarbage", "Echo"), "b")
    assert isinstance(error, NodeError)
    assert (error.node_id, error.stage, error.remote_type) == ("b", "receive", "WireError")
    assert error.item == "a_to_b"


async def test_garbage_in_shared_memory_is_an_error_of_the_application_that_reads_it(
    runtime: Runtime, row: Row
) -> None:
    assert isinstance(await error_of(runtime, row("hostile:SendsGarbage"), "a"), WireError)


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF], ids=hex)
async def test_counters_that_a_node_has_overwritten_hurt_its_own_session_only(
    runtime: Runtime, row: Row, tmp_path: Path, byte: int
) -> None:
    reached = tmp_path / "reached"
    config = {"byte": byte, "reached": str(reached)}
    session = await runtime.create_session("s", row("Echo", "hostile:Scribbles", config=config))
    await session.send("a", "an item")
    with anyio.fail_after(_SOON_SECS):
        while not reached.exists():
            await anyio.sleep(0.002)
        await session.get_status()
        await session.get_metrics()
        await session.get_channel_stats("a_to_b")
        await session.cleanup()
    assert not session._supervisor._nodes.alive
