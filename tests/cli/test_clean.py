"""`remotemedia clean`: what dead runtimes have left goes, everything else stays."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from remotemedia.runtime.leftovers import without_directory
from remotemedia.runtime.space_files import RuntimeFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[..., Any]

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory


@pytest.fixture
def dead(session: Call) -> int:
    """The process of a runtime that was killed together with its template."""
    program = session("dead")
    family = psutil.Process(program.pid).children(recursive=True)
    for process in family:
        process.suspend()  # the template would remove what is left
    program.process.kill()
    program.process.wait(10)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, 10)
    return int(program.pid)


@pytest.fixture
def shm() -> Iterator[Call]:
    """Make a file in shared memory."""
    made: list[Path] = []

    def make(name: str, content: bytes = b"x" * 5000) -> Path:
        made.append(_SHM / name)
        made[-1].write_bytes(content)
        return made[-1]

    yield make
    for path in made:
        path.unlink(missing_ok=True)


def _files(pid: int) -> list[Path]:
    base = Path(os.environ["TMPDIR"]) / f"remotemedia-{os.getuid()}"
    return [*_SHM.glob(f"rm{os.getuid()}_{pid}_*"), *base.glob(f"{pid}-*")]


def test_what_a_dead_runtime_left_is_told_and_removed(command: Call, dead: int) -> None:
    before = _files(dead)
    assert before
    would = command("clean", "--dry-run")
    assert would.code == 0
    assert would.out.startswith(f"would remove runtime {dead}-")
    assert _files(dead) == before
    result = command("clean")
    assert result.code == 0
    assert result.out == would.out.replace("would remove", "removed")
    assert _files(dead) == []
    assert command("clean").out == "nothing left\n"


def test_json_tells_the_same(command: Call, dead: int) -> None:
    shared = {str(path) for path in _files(dead) if path.parent == _SHM}
    (would,) = command("clean", "-n", "--json").of("leftover")
    assert (would["pid"], would["removed"]) == (dead, False)
    assert shared <= {*would["files"]}
    assert would["bytes"] > 1000
    result = command("clean", "--json")
    assert result.of("leftover") == [{**would, "removed": True}]
    assert result.summary == {
        "event": "summary",
        "runtimes": 1,
        "files": len(would["files"]),
        "bytes": would["bytes"],
        "failed": 0,
    }


def test_living_runtimes_and_other_programs_keep_their_files(
    command: Call, session: Call, shm: Call, dead: int
) -> None:
    program = session("alive")
    mine = RuntimeFiles.create()  # reclaims what is dead, as clean does
    base = mine.root.parent
    others = [shm("other-program"), shm(f"rm{os.getuid()}_notes"), base / "notes"]
    others[-1].write_text("mine", encoding="utf-8")
    before = _files(program.pid)
    assert command("clean").out == "nothing left\n"
    assert _files(program.pid) == before
    assert mine.root.is_dir()
    assert all(path.exists() for path in others)
    others[-1].unlink()
    mine.remove()
    program.go_on()
    assert program.result()[0] == 0


def test_shared_memory_without_a_directory_goes_when_it_is_wished(command: Call, shm: Call) -> None:
    gone = shm(f"rm{os.getuid()}_4194305_0123abcd_x")
    alive = shm(f"rm{os.getuid()}_{os.getpid()}_0123abcd_x")
    result = command("clean")
    assert result.out == "nothing left\n"
    assert "left alone: runtime 4194305-0123abcd: 1 file, 8 KiB" in result.err
    assert "--orphans" in result.err
    would = command("clean", "--orphans", "--dry-run").out
    assert "would remove runtime 4194305-0123abcd: 1 file, 8 KiB\n" in would
    assert alive.name.partition("_0123")[0].partition("_")[2] not in would
    # Not by the command: there may be others, which are not this test's.
    (left,) = (one for one in without_directory() if one.pid == 4194305)
    assert left.remove()
    assert not gone.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only the superuser can give files to others")
def test_files_of_other_users_are_not_even_told(shm: Call) -> None:
    for name in (f"rm{os.getuid()}_4194305_0123abcd_x", "rm1234_4194305_0123abcd_x"):
        os.chown(shm(name), 1234, 1234)
    assert not [left for left in without_directory() if left.pid == 4194305]
