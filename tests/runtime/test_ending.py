"""However an application ends, its nodes end with it, and nothing of it stays in shared memory."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from remotemedia.runtime.space_files import RuntimeFiles, reclaim

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION = """
import asyncio, os, signal, sys, time
import logging
logging.basicConfig()
from remotemedia.runtime import Session, Pipeline

async def main():
    pipeline = Pipeline(extra_paths=[NODES])
    pipeline.add_node("samples:NODE", "a").add_node("samples:Echo", "b")
    pipeline.connect("a", "output", "b", "input")
    session = Session("s", pipeline)
    await session.initialize()
    await session.start()
    await session.send("a", 1)
    for node in "ab":
        print((await session.get_status()).nodes[node].pid, flush=True)
    END

asyncio.run(main())
"""


def application(nodes: Path, end: str, node: str = "Echo") -> str:
    source = APPLICATION.replace("NODES", repr(str(nodes))).replace("NODE", node)
    return source.replace("END", end)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_within(seconds: float, pids: list[int]) -> bool:
    """Wait for processes that are not this one's children: they can only be looked at."""
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.002)
    return not any(map(is_alive, pids))


def shared_memory_of(pid: int) -> list[str]:
    return [str(path) for path in Path("/dev/shm").glob(f"rm{os.getuid()}_{pid}_*")]  # noqa: S108


@pytest.mark.parametrize("node", ["Echo", "IgnoresEverything", "HangsInProcess"])
def test_a_killed_application_takes_its_nodes_along(
    start_program: Callable[..., Any], nodes: Path, node: str
) -> None:
    program = start_program(application(nodes, "await asyncio.sleep(60)", node))
    pids = [int(program.line()) for _ in range(2)]
    os.kill(program.pid, signal.SIGKILL)
    assert gone_within(1.0, pids)


def test_the_next_runtime_reclaims_what_a_dead_one_left(
    start_program: Callable[..., Any], nodes: Path
) -> None:
    program = start_program(application(nodes, "await asyncio.sleep(60)"))
    pids = [int(program.line()) for _ in range(2)]
    template = psutil.Process(pids[0]).parent()
    assert template is not None
    template.kill()  # else it would remove what the application leaves
    program.process.kill()
    program.process.wait(5)
    assert gone_within(1.0, pids)
    assert shared_memory_of(program.pid)
    files = RuntimeFiles.create()
    assert [path.name for path in files.root.parent.iterdir()] == [files.root.name]
    assert not shared_memory_of(program.pid)
    files.remove()


def test_what_belongs_to_a_living_runtime_is_not_reclaimed(
    start_program: Callable[..., Any], nodes: Path
) -> None:
    mine = RuntimeFiles.create()
    source = application(nodes, "await session.receive('b'); print('ok'); await session.cleanup()")
    code, output = start_program(source).result()  # it reclaims when it starts
    assert (code, output.splitlines()[-1]) == (0, "ok")
    assert mine.root.is_dir()
    assert reclaim() == []
    assert mine.root.is_dir()
    mine.remove()


@pytest.mark.parametrize(
    "end",
    ["return", "sys.exit(0)", "raise SystemExit(0)"],
)
def test_an_application_that_forgets_to_clean_up_leaves_nothing(
    start_program: Callable[..., Any], nodes: Path, end: str
) -> None:
    program = start_program(application(nodes, end))
    code, output = program.result(timeout=15)
    assert code == 0, output
    pids = [int(line) for line in output.splitlines()[:2]]
    assert gone_within(1.0, pids)
    assert not shared_memory_of(program.pid)


def test_an_application_that_fails_leaves_nothing(
    start_program: Callable[..., Any], nodes: Path
) -> None:
    program = start_program(application(nodes, "1 / 0"))
    code, output = program.result(timeout=15)
    assert code == 1
    assert "ZeroDivisionError" in output
    assert gone_within(1.0, [int(line) for line in output.splitlines()[:2]])
    assert not shared_memory_of(program.pid)


def test_an_application_that_is_interrupted_leaves_nothing(
    start_program: Callable[..., Any], nodes: Path
) -> None:
    program = start_program(application(nodes, "await asyncio.sleep(60)"))
    pids = [int(program.line()) for _ in range(2)]
    os.kill(program.pid, signal.SIGINT)
    code, output = program.result(timeout=15)
    assert code in (130, -signal.SIGINT), output
    assert "KeyboardInterrupt" in output
    assert gone_within(1.0, pids)
    assert not shared_memory_of(program.pid)


def test_os_exit_takes_the_nodes_along(start_program: Callable[..., Any], nodes: Path) -> None:
    program = start_program(application(nodes, "os._exit(4)"))
    code, output = program.result()
    assert code == 4
    assert gone_within(1.0, [int(line) for line in output.splitlines()[:2]])
    reclaim()


# ---- whose files they are


def test_the_files_of_a_runtime_are_private(tmp_path: Path) -> None:
    files = RuntimeFiles.create()
    for directory in (files.root, files.root.parent):
        assert directory.stat().st_mode & 0o077 == 0
    files.remove()
    assert not files.root.exists()


def test_a_base_directory_that_others_can_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from remotemedia.core.errors import RemoteMediaError

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    base = tmp_path / f"remotemedia-{os.getuid()}"
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(RemoteMediaError, match="not a private directory"):
        RuntimeFiles.create()
