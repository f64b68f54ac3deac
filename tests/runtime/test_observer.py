"""Observer: the sessions of other processes, as long as they live, and nothing else."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import psutil
import pytest

from remotemedia.runtime import Pipeline, Session
from remotemedia.runtime.observer import Observer
from remotemedia.runtime.session_description import SessionFile
from remotemedia.runtime.space_files import RuntimeFiles, reclaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

_APPLICATION = """
import asyncio, sys
from remotemedia.runtime import Pipeline, Session

async def main():
    pipeline = Pipeline("echoes", extra_paths=[NODES])
    pipeline.add_node("samples:Echo", "a").add_node("samples:Echo", "b", executor="inline")
    pipeline.connect("a", "output", "b", "input")
    async with Session("call", pipeline) as session:
        for number in range(3):
            await session.send("a", number)
            await session.receive()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def application(start_program: Callable[..., Any], nodes: Path) -> Iterator[Callable[[], Any]]:
    """Start an application with a session that has done some work."""
    started: list[Any] = []

    def start() -> Any:
        source = _APPLICATION.replace("NODES", repr(str(nodes)))
        read, write = os.pipe()
        program = start_program(source, stdin=read)
        os.close(read)
        program.pipe = write
        started.append(program)
        program.go_on = lambda: os.write(write, b"\n")
        assert program.line() == "ready"
        return program

    yield start
    for program in started:
        os.close(program.pipe)
        program.process.wait(10)


def test_a_session_of_another_process_is_seen(application: Callable[[], Any]) -> None:
    program = application()
    observer = Observer()
    (view,) = observer.look()
    while sum(node.items_out for node in view.metrics.nodes.values()) < 6:  # counted once sent
        (view,) = observer.look()
    assert view.description.session_id == "call"
    assert view.description.pipeline == "echoes"
    assert view.description.pid == program.pid
    assert (view.metrics.items_in, view.metrics.items_out) == (3, 3)
    assert {node: status.state.value for node, status in view.status.items()} == {
        "a": "running",
        "b": "running",
    }
    a, b = view.metrics.nodes["a"], view.metrics.nodes["b"]
    assert (a.items_in, a.items_out, b.items_in, b.pid) == (3, 3, 3, None)
    assert psutil.Process(a.pid).name() == "rm:a"
    assert a.memory_mb is not None
    assert view.channels["a_to_b"].message_count == 3
    assert Observer().look()[0].rates["a"] > 0
    (again,) = observer.look()
    assert again.rates == {"a": 0.0, "b": 0.0}
    program.go_on()
    program.result()
    assert observer.look() == []


def test_sessions_come_and_go(application: Callable[[], Any]) -> None:
    observer = Observer()
    assert observer.look() == []
    first = application()
    assert [view.description.pid for view in observer.look()] == [first.pid]
    second = application()
    assert [view.description.pid for view in observer.look()] == [first.pid, second.pid]
    first.go_on()
    first.result()
    assert [view.description.pid for view in observer.look()] == [second.pid]
    second.go_on()
    second.result()


def test_a_dead_runtime_is_not_shown(application: Callable[[], Any]) -> None:
    program = application()
    observer = Observer()
    (view,) = observer.look()
    template = psutil.Process(view.metrics.nodes["a"].pid).parent()
    assert template is not None
    template.send_signal(signal.SIGSTOP)  # else it would remove what the application leaves
    program.process.kill()
    program.process.wait(5)
    template.kill()
    psutil.wait_procs([template], 5)
    assert observer.look() == Observer().look() == []
    reclaim()


async def test_sessions_of_this_process_are_seen_too(chain: Callable[..., Pipeline]) -> None:
    observer = Observer()
    async with Session("mine", chain("Echo")) as session:
        await session.send("a", 1)
        await session.receive()
        (view,) = observer.look()
        assert view.description.session_id == "mine"
        assert view.metrics.items_in == (await session.get_metrics()).items_in == 1
        with anyio.fail_after(10):
            await session.cleanup()
        assert observer.look() == []


async def test_what_is_no_session_is_not_shown(chain: Callable[..., Pipeline]) -> None:
    files = RuntimeFiles.create()
    observer = Observer()
    async with Session("mine", chain("Echo")):
        (view,) = observer.look()
        real = view.description
        other_fd, other_inode = os.memfd_create("other"), 0
        for name, changed in {
            "another_layout": {"layout": real.layout + 1},
            "another_file": {"ledger": other_fd},
            "another_ledger": {"inode": other_inode},
            "no_process": {"pid": 2**22 + 1},
            "no_descriptor": {"ledger": 2**20},
        }.items():
            SessionFile.publish(str(files.root), name, msgspec.structs.replace(real, **changed))
        (files.root / "session-garbage.json").write_bytes(b"{")
        (files.root / "session-directory.json").mkdir()
        found = [view.description.session_id for view in observer.look()]
        assert found == ["mine"]
        os.close(other_fd)
    files.remove()
