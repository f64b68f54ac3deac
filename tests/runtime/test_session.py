"""The life of a session: what can be called when, and that its end is an end."""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import psutil
import pytest

from remotemedia.core.errors import (
    EndOfStream,
    PipelineError,
    ProcessSpawnError,
    ReceiveTimeout,
    ResourceLimitError,
    SessionClosed,
    SessionError,
)
from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


def node_processes() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]


# ---- starting


async def test_a_session_that_was_started_says_so_when_it_is_started_again(
    chain: Callable[..., Pipeline],
) -> None:
    async with Runtime() as runtime:
        session = await runtime.create_session("s", chain("Echo"))
        with pytest.raises(SessionError, match="'s' was started already"):
            await session.start()


# ---- receiving


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_receive_gives_up_after_its_timeout(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        started = time.monotonic()
        with pytest.raises(ReceiveTimeout) as caught:
            await session.receive("a", timeout=0.1)
        assert 0.1 <= time.monotonic() - started < 1
        assert (caught.value.output, caught.value.seconds) == ("a.output", 0.1)
        await session.send("a", "still works")
        assert (await session.receive("a", timeout=5)).payload == "still works"


async def test_a_timeout_of_zero_takes_what_is_there(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        await session.send("a", 1)
        while (await session.get_channel_stats("a_to_app")).current_occupancy == 0:
            await anyio.sleep(0.001)
        assert (await session.receive("a", timeout=0)).payload == 1
        with pytest.raises(ReceiveTimeout):
            await session.receive("a", timeout=0)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_receive_that_is_cancelled_loses_nothing(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        with anyio.move_on_after(0.05):
            await session.receive("a")
        await session.send("a", 1)
        assert (await session.receive("a")).payload == 1


async def test_after_the_end_every_receive_says_so(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        await session.close_input()
        for _ in range(2):
            with pytest.raises(EndOfStream, match=r"a\.output"):
                await session.receive("a")


async def test_two_tasks_may_receive_from_one_output(chain: Callable[..., Pipeline]) -> None:
    got: list[int] = []

    async def collect() -> None:
        got.extend([item.payload async for item in session.stream("a")])

    async with Session("s", chain("Echo")) as session, anyio.create_task_group() as group:
        group.start_soon(collect)
        group.start_soon(collect)
        for number in range(100):
            await session.send("a", number)
        await session.close_input()
    assert sorted(got) == list(range(100))


# ---- sending


async def test_a_closed_input_takes_nothing_more(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        await session.close_input("a")
        await session.close_input("a")
        with pytest.raises(SessionClosed, match=r"input a\.input was closed"):
            await session.send("a", 1)


async def test_one_input_of_several_can_be_closed(pipeline: Pipeline) -> None:
    pipeline.inputs = ["n.left", "n.right"]
    pipeline.add_node("samples:TwoInputs", "n")
    async with Session("s", pipeline) as session:
        await session.close_input("n.left")
        await session.send("n.right", 1)
        assert (await session.receive("n")).payload == "right:1"
        await session.close_input("n.right")
        with pytest.raises(EndOfStream):
            await session.receive("n")


# ---- names


@pytest.mark.parametrize("name", ["nobody", "a.nothing", ""])
async def test_a_name_that_is_not_there_is_an_error_that_lists_those_that_are(
    chain: Callable[..., Pipeline], name: str
) -> None:
    async with Session("s", chain("Echo", executor="inline")) as session:
        with pytest.raises(SessionError, match=r"a\.input"):
            await session.send(name, 1)
        with pytest.raises(SessionError, match=r"a\.output"):
            await session.receive(name)


async def test_a_node_in_the_middle_says_how_to_reach_it(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", "Echo", executor="inline")) as session:
        with pytest.raises(SessionError, match="list others in the pipeline's inputs"):
            await session.send("b", 1)
        with pytest.raises(
            SessionError, match=r"node 'a' has no input 'inptu' .* did you mean 'input'"
        ):
            await session.send("a.inptu", "x")
        with pytest.raises(SessionError, match=r"there is no node 'aa' .* did you mean 'a'\?"):
            await session.send("aa", "x")
        with pytest.raises(SessionError, match="list others in the pipeline's outputs"):
            await session.receive("a")


async def test_an_output_with_an_edge_can_be_tapped(chain: Callable[..., Pipeline]) -> None:
    pipeline = chain("AsFunction", "AsFunction")
    pipeline.outputs = ["a.output", "b"]
    async with Session("s", pipeline) as session:
        await session.send("a", "x")
        assert (await session.receive("a")).payload == "x+"
        assert (await session.receive("b")).payload == "x++"


@pytest.mark.parametrize("wrong", ["", "a/b", "a\nb", "-a", "x" * 65, "ä", "a b", None, 5, "../x"])
async def test_a_bad_session_id_is_refused(wrong: object) -> None:
    with pytest.raises(SessionError, match="session id"):
        Session(wrong, Pipeline())  # type: ignore[arg-type]


# ---- the order of things


async def test_what_needs_a_running_session_says_what_to_call(
    chain: Callable[..., Pipeline],
) -> None:
    session = Session("s", chain("Echo", executor="inline"))
    for call in (session.start, session.close_input, lambda: session.send("a", 1)):
        with pytest.raises(SessionError, match=r"initialize\(\)|start\(\)"):
            await call()
    await session.initialize()
    with pytest.raises(SessionError, match=r"start\(\)"):
        await session.send("a", 1)
    with pytest.raises(SessionError, match="initialized already"):
        await session.initialize()
    await session.cleanup()
    for call in (session.start, session.initialize, lambda: session.send("a", 1)):
        with pytest.raises(SessionError, match=r"closed|already"):
            await call()


async def test_cleanup_before_anything_is_fine(chain: Callable[..., Pipeline]) -> None:
    session = Session("s", chain("Echo"))
    await session.cleanup()
    with pytest.raises(SessionError):
        await session.initialize()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_cleanup_may_be_called_often_and_by_many(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo")) as session:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(session.cleanup)
        await session.cleanup()
        assert node_processes() == []


async def test_who_waits_while_the_session_is_closed_is_told(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("Echo")) as session, anyio.create_task_group() as group:

        async def wait() -> None:
            with pytest.raises(SessionClosed, match="'s' is closed"):
                await session.receive("a")

        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        await session.cleanup()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1])
async def test_cleanup_while_it_initializes_leaves_nothing(
    chain: Callable[..., Pipeline], delay: float
) -> None:
    config = MultiprocessConfig(cleanup_grace_period_secs=0.3)
    async with Runtime(config) as runtime:
        session = Session("s", chain("HangsInInitialize", "Echo"), runtime=runtime)

        async def initialize() -> None:
            with pytest.raises(SessionError):
                await session.initialize()

        async with anyio.create_task_group() as group:
            group.start_soon(initialize)
            await anyio.sleep(delay)
            await session.cleanup()
        assert (await session.get_status()).state == "closed"
        nodes = (await session.get_status()).nodes.values()
        assert not any(node.pid and psutil.pid_exists(node.pid) for node in nodes)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
async def test_an_initialize_that_is_cancelled_leaves_nothing(
    chain: Callable[..., Pipeline], impatient: MultiprocessConfig, delay: float
) -> None:
    session = Session("s", chain("HangsInInitialize"), config=impatient)
    with anyio.move_on_after(delay) as scope:
        await session.initialize()
    assert scope.cancelled_caught
    assert node_processes() == []


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_cleanup_that_is_cancelled_still_cleans_up(
    chain: Callable[..., Pipeline], impatient: MultiprocessConfig
) -> None:
    session = Session("s", chain("HangsInProcess"), config=impatient)
    await session.initialize()
    await session.start()
    await session.send("a", 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await session.cleanup()
    assert node_processes() == []


async def test_nodes_clean_up_when_the_session_ends(
    chain: Callable[..., Pipeline], tmp_path: Path
) -> None:
    async with Session("s", chain("SaysGoodbye", config={"file": str(tmp_path / "bye")})):
        pass
    assert (tmp_path / "bye").read_text(encoding="utf-8") == "a"


@pytest.mark.parametrize("executor", ["multiprocess", "inline"])
async def test_a_task_that_a_node_forgot_does_not_keep_it(
    chain: Callable[..., Pipeline], executor: str
) -> None:
    async with Session("s", chain("LeavesTask", executor=executor)) as session:
        await session.send("a", 1)
        await session.receive("a")
        started = time.monotonic()
    assert time.monotonic() - started < 2


async def test_what_is_raised_inside_passes_through(chain: Callable[..., Pipeline]) -> None:
    with pytest.raises(KeyError):
        async with Session("s", chain("Echo")):
            raise KeyError
    assert node_processes() == []


async def test_a_session_that_nobody_holds_ends(
    chain: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    session = Session("s", chain("Echo"))
    await session.initialize()
    await session.start()
    pid = (await session.get_status()).nodes["a"].pid
    assert pid is not None
    del session
    gc.collect()
    assert "session 's' was dropped without cleanup()" in caplog.text
    with anyio.fail_after(3):
        while psutil.pid_exists(pid):
            await anyio.sleep(0.005)


async def test_sessions_of_one_runtime_end_with_it(chain: Callable[..., Pipeline]) -> None:
    async with Runtime() as runtime:
        session = await runtime.create_session("one", chain("Echo"))
        await runtime.create_session("two", chain("Echo", executor="inline"))
    assert node_processes() == []
    with pytest.raises(SessionClosed):
        await session.send("a", 1)
    with pytest.raises(SessionClosed, match="shut down"):
        await runtime.create_session("three", chain("Echo"))


# ---- what is refused before anything is started


async def test_too_many_processes(chain: Callable[..., Pipeline]) -> None:
    config = MultiprocessConfig(max_processes_per_session=2)
    with pytest.raises(ResourceLimitError, match="3 processes is over the limit of 2"):
        await Session("s", chain("Echo", "Echo", "Echo"), config=config).initialize()
    assert node_processes() == []


@pytest.mark.parametrize(
    "config",
    [
        MultiprocessConfig(python_executable="no-such-python"),
        MultiprocessConfig(venv_path="/no/such/venv"),
    ],
    ids=["python_executable", "venv_path"],
)
async def test_an_interpreter_that_is_not_there(
    chain: Callable[..., Pipeline], config: MultiprocessConfig
) -> None:
    with pytest.raises(ProcessSpawnError, match="Python executable not found: ") as caught:
        await Session("s", chain("Echo"), config=config).initialize()
    assert caught.value.node_id == "a"
    assert node_processes() == []


async def test_an_interpreter_that_is_none(chain: Callable[..., Pipeline]) -> None:
    config = MultiprocessConfig(python_executable="/bin/true")
    with pytest.raises(ProcessSpawnError, match="/bin/true"):
        await Session("s", chain("Echo"), config=config).initialize()


async def test_a_bad_pipeline_starts_nothing(pipeline: Pipeline) -> None:
    pipeline.add_node("samples:Echo", "a").add_node("nothing", "b")
    with pytest.raises(PipelineError, match="'nothing' is not installed"):
        await Session("s", pipeline).initialize()
    assert node_processes() == []


# ---- watching


async def test_status_follows_the_session(chain: Callable[..., Pipeline]) -> None:
    session = Session("s", chain("Echo"))
    assert (await session.get_status()).state == "new"
    await session.initialize()
    assert (await session.get_status()).nodes["a"].state == "ready"
    await session.start()
    status = await session.get_status()
    assert (status.state, status.nodes["a"].state) == ("running", "running")
    pid = status.nodes["a"].pid
    assert pid in node_processes()
    await session.close_input()
    with pytest.raises(EndOfStream):
        await session.receive()
    with anyio.fail_after(2):
        while (await session.get_status()).nodes["a"].state != "finished":
            await anyio.sleep(0.001)
    await session.cleanup()
    status = await session.get_status()
    assert (status.state, status.nodes["a"].state) == ("closed", "stopped")


async def test_metrics_are_of_the_processes_that_are_alive(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", "Echo")) as session:
        metrics = await session.get_metrics()
        assert metrics.process_count == 2
        assert metrics.memory_mb == sum(metrics.node_memory_mb.values()) > 10
    assert (await session.get_metrics()).process_count == 0


async def test_inline_nodes_are_no_processes(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Facts", executor="inline")) as session:
        await session.send("a", 1)
        assert (await session.receive("a")).payload["pid"] == os.getpid()
        assert (await session.get_metrics()).process_count == 0


async def test_statistics_count_messages_bytes_and_time(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", "Echo")) as session:
        assert session.channels == ["a_to_b", "b_to_app", "app_to_a"]
        for number in range(10):
            await session.send("a", bytes([number]) * 1000)
            await session.receive("b")
        stats = await session.get_channel_stats("a_to_b")
        assert (stats.message_count, stats.sent, stats.dropped) == (10, 10, 0)
        assert 10_000 < stats.bytes_transferred < 20_000
        assert (stats.current_occupancy, stats.capacity) == (0, 100)
        assert 0 < stats.latency_p50_us <= stats.latency_p99_us
        with pytest.raises(SessionError, match=r"no channel 'a_to_c'; did you mean"):
            await session.get_channel_stats("a_to_c")


async def test_an_idle_session_uses_no_cpu(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("Echo", "AsCoroutine")) as session:
        await session.send("a", "x")
        await session.receive("b")
        watched = [psutil.Process(pid) for pid in (os.getpid(), *node_processes())]
        before = [sum(process.cpu_times()[:2]) for process in watched]
        await anyio.sleep(0.5)
        used = [sum(p.cpu_times()[:2]) - b for p, b in zip(watched, before, strict=True)]
    assert max(used) <= 0.02
