"""`max_memory`: the kernel refuses a node more, and the error says who had how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.core.errors import NodeError, ProcessCrashError, ResourceLimitError
from remotemedia.runtime import Pipeline, Session
from remotemedia.runtime.processes.memory import lacks_memory, size_text

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio
LIMIT = "512MB"


async def outcome(pipeline: Pipeline, *items: Any) -> Any:
    async with Session("s", pipeline) as session:
        for item in items:
            await session.send("a", item)
            answer = await session.receive("a", timeout=15)
        return answer.payload


@pytest.mark.parametrize("way", ["array", "objects"])
async def test_a_node_that_takes_more_ends_the_session(
    chain: Callable[..., Pipeline], way: str
) -> None:
    with pytest.raises(ResourceLimitError) as caught:
        await outcome(chain("Allocates", max_memory=LIMIT), [way, 1000])
    error = caught.value
    assert (error.node_id, error.limit, error.setting) == ("a", "512 MB", "max_memory")
    assert "node 'a' (while in process)" in str(error)
    assert " MB and what it asked for" in error.use
    assert isinstance(error.__cause__, NodeError)  # which has the traceback
    assert "samples.py" in str(error.__cause__)


async def test_within_the_limit_a_node_is_left_alone(chain: Callable[..., Pipeline]) -> None:
    assert await outcome(chain("Allocates", max_memory=LIMIT), ["array", 100]) == "done"


async def test_shared_memory_does_not_count(chain: Callable[..., Pipeline]) -> None:
    assert await outcome(chain("Allocates", max_memory=LIMIT), ["shared", 600]) == "done"


async def test_an_item_that_needs_too_much_can_be_skipped(
    chain: Callable[..., Pipeline],
) -> None:
    pipeline = chain("Allocates", max_memory=LIMIT, on_error="continue")
    async with Session("s", pipeline) as session:
        await session.send("a", ["array", 1000])
        await session.send("a", ["array", 1])
        assert (await session.receive("a", timeout=15)).payload == "done"
    # Reports go another way than data; at the end, all have come.
    assert [error.remote_type for error in session.node_errors] == ["MemoryError"]


async def test_a_library_that_aborts_for_lack_of_memory(chain: Callable[..., Pipeline]) -> None:
    crashes: list[ProcessCrashError] = []
    async with Session("s", chain("Allocates", max_memory=LIMIT)) as session:
        session.on_process_crash(crashes.append)
        await session.send("a", ["bad_alloc", 0])
        with pytest.raises(ResourceLimitError, match=r"peak of .* MB resident") as caught:
            await session.receive("a", timeout=15)
    assert caught.value.node_id == "a"
    assert [crash.signal for crash in crashes] == ["SIGABRT"]
    assert isinstance(caught.value.__cause__, ProcessCrashError)


async def test_an_abort_that_nobody_explains_is_a_crash_with_a_hint(
    chain: Callable[..., Pipeline],
) -> None:
    with pytest.raises(ProcessCrashError, match=r"its max_memory is 512 MB") as caught:
        await outcome(chain("Allocates", max_memory=LIMIT), ["abort", 0])
    assert caught.value.signal == "SIGABRT"


async def test_a_limit_that_not_even_an_interpreter_fits_in(
    chain: Callable[..., Pipeline],
) -> None:
    with pytest.raises(ResourceLimitError, match="an interpreter alone takes that much"):
        await Session("s", chain("Echo", max_memory="1MB")).initialize()


@pytest.mark.parametrize(
    "line",
    [
        "MemoryError",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1 GiB",
        "numpy.core._exceptions.MemoryError: Unable to allocate 1 GiB",
        "  what():  std::bad_alloc",
        "memory allocation of 1073741824 bytes failed",
        "RuntimeError: can't start new thread",
        "OSError: [Errno 12] Cannot allocate memory",
        "RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_what_tells_of_memory_refused(line: str) -> None:
    assert lacks_memory(f"Traceback\n{line}\n")


@pytest.mark.parametrize(
    "line",
    ["torch.cuda.OutOfMemoryError: CUDA out of memory.", "    except MemoryError:", "ValueError"],
)
def test_what_tells_of_something_else(line: str) -> None:
    assert not lacks_memory(f"Traceback\n{line}\n")


def test_sizes_are_told_as_they_are_written() -> None:
    assert [size_text(n) for n in (5, 2048, 512 << 20, 3 << 29)] == [
        "5 bytes",
        "2 KB",
        "512 MB",
        "1.5 GB",
    ]
