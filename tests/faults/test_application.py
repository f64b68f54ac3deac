"""However an application ends, its nodes, their helpers and its shared memory go with it.

Other ends are in tests/runtime: test_ending.py, test_families.py and test_forks.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    class Program(Protocol):
        """What `start_program` gives."""

        process: subprocess.Popen[str]
        pid: int

        def line(self) -> str: ...
        def result(self) -> tuple[int, str]: ...


NODES = Path(__file__).parent / "nodes"
#: What a loaded machine may take; `docs/faults.md` says what a quiet one does.
SOON_SECS = 5.0

HEAD = """
import asyncio, gc, os, pathlib, signal, sys, warnings
warnings.simplefilter("ignore")  # of newer Pythons, about forks of programs that have threads
from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime, Session

IMPATIENT = MultiprocessConfig(cleanup_grace_period_secs=1)

def row(*classes):
    pipeline = Pipeline(extra_paths=[NODES])
    for name, cls in zip("abcd", classes):
        config = None if cls == "Echo" else {"reached": os.path.join(FOLDER, name)}
        pipeline.add_node(f"faulty:{cls}", name, config)
    return pipeline

async def say(session):
    print(*[node.pid for node in (await session.get_status()).nodes.values()], flush=True)

async def use(session):
    for name in "ab":
        await session.send(name, name)
        assert (await session.receive(name)).payload == name
    print("well", flush=True)

"""
# Four nodes that are at work, each in a way that makes it hard to end.
BUSY = """
async def main():
    session = Session("s", row("Computes", "HoldsTheGIL", "HasHelpers", "IgnoresSignals"))
    async with session:
        for name in "abcd":
            await session.send(name, "an item")
        while len([*pathlib.Path(FOLDER).iterdir()]) < 4:
            await asyncio.sleep(0.002)
        await say(session)
        END

asyncio.run(main())
"""
IDLE = """
async def main():
    session = Session("s", row("Echo", "Echo"), config=IMPATIENT)
    await session.initialize()
    await session.start()
    await say(session)
    END

asyncio.run(main())
"""
BETWEEN_LOOPS = """
async def start():
    session = Session("s", row("Echo", "Echo"), config=IMPATIENT)
    await session.initialize()
    await session.start()
    await say(session)
    await use(session)
    # Somebody still waits when the loop is closed.
    asyncio.get_running_loop().create_task(session.receive("a"))
    await asyncio.sleep(0)
    return session

session = asyncio.run(start())
END
"""


@pytest.fixture
def application(
    start_program: Callable[..., Program], tmp_path: Path
) -> Callable[[str, str], Program]:
    """Start an application that at last does something."""

    def start(body: str, end: str) -> Program:
        folder = tmp_path / "reached"
        folder.mkdir()
        indent = next(line for line in body.splitlines() if line.endswith("END"))[: -len("END")]
        text = textwrap.indent(textwrap.dedent(end), indent).strip()
        head = HEAD.replace("NODES", repr(str(NODES))).replace("FOLDER", repr(str(folder)))
        return start_program(head + body.replace("FOLDER", repr(str(folder))).replace("END", text))

    return start


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """Return nodes, their helpers, and the template that has forked them."""
    nodes = [psutil.Process(pid) for pid in pids]
    helpers = [helper for node in nodes for helper in node.children(recursive=True)]
    template = nodes[0].parent()
    assert template is not None
    return [*nodes, *helpers, template]


def still_there(pids: str) -> list[psutil.Process]:
    """Return processes that are being ended, and may be gone before they can be looked at."""
    found = []
    for pid in map(int, pids.split()):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def wait_until_gone(processes: list[psutil.Process], files_of: int) -> None:
    """Wait for the end of processes that are not this one's children: they can be looked at."""
    deadline = time.monotonic() + SOON_SECS
    while any(map(is_alive, processes)) or files(files_of):
        assert time.monotonic() < deadline, (processes, files(files_of))
        time.sleep(0.002)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def files(pid: int) -> list[Path]:
    """Return what an application has in shared memory and in its directory."""
    base = Path(os.environ["TMPDIR"]) / f"remotemedia-{os.getuid()}"
    shared = Path("/dev/shm").glob(f"rm{os.getuid()}_{pid}_*")  # noqa: S108
    return [*shared, *base.glob(f"{pid}-*")]


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT], ids=lambda n: n.name
)
def test_an_application_that_is_killed_takes_everything_along(
    application: Callable[[str, str], Program],
    measured: Callable[[str, float], None],
    number: signal.Signals,
) -> None:
    program = application(BUSY, "await asyncio.sleep(60)")
    processes = family(map(int, program.line().split()))
    assert len(processes) >= 4 + 2 + 1  # nodes, helpers, template
    killed = time.monotonic()
    os.kill(program.pid, number)
    program.process.wait(SOON_SECS)
    wait_until_gone(processes, program.pid)
    measured(f"application: {number.name}, to nothing left", time.monotonic() - killed)


def test_a_child_of_the_application_that_outlives_it_keeps_nothing_alive(
    application: Callable[[str, str], Program],
) -> None:
    """It holds copies of all sockets, so that their ends are never seen."""
    program = application(
        IDLE,
        """
        child = os.fork()
        if child == 0:
            signal.pause()
        print(child, flush=True)
        signal.pause()
        """,
    )
    processes = family(map(int, program.line().split()))
    child = psutil.Process(int(program.line()))
    os.kill(program.pid, signal.SIGKILL)
    try:
        wait_until_gone(processes, program.pid)
        assert is_alive(child)
    finally:
        child.kill()


def test_a_session_that_is_dropped_is_ended(
    application: Callable[[str, str], Program],
) -> None:
    program = application(
        IDLE, "del session; gc.collect(); print('dropped', flush=True); signal.pause()"
    )
    processes = still_there(program.line())
    assert "dropped without cleanup" in program.line()
    wait_until_gone(processes, program.pid)


def test_an_event_loop_that_is_closed_early_ends_nothing_and_the_next_one_can_go_on(
    application: Callable[[str, str], Program],
) -> None:
    program = application(
        BETWEEN_LOOPS, "asyncio.run(use(session)); asyncio.run(session.cleanup())"
    )
    processes = still_there(program.line())
    code, output = program.result()
    assert (code, output) == (0, "well\nwell\n")
    wait_until_gone(processes, program.pid)
