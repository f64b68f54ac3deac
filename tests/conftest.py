"""Every test leaves the machine as it found it, and this checks that it does."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory
_SETTLED_WITHIN_SECS = 5.0
_LOOK_AGAIN_SECS = 0.02
# One loop watches over all sessions of a process and lives as long as it does; trio keeps idle
# threads for later.
_SHARED_THREADS = ("thread remotemedia-runtime", "thread Trio thread")
_FAILED = pytest.StashKey[bool]()


@dataclass
class _Machine:
    """What belongs to this test run, among everything else that runs on the machine.

    Attributes:
        tmp: The run's own TMPDIR: processes are told by it, and runtimes keep their files there.
        programs: Processes that tests have started, for the names of shared memory.
    """

    tmp: Path
    programs: set[int] = field(default_factory=lambda: {os.getpid()})

    def processes(self, besides: set[int]) -> dict[str, int]:
        """Return those of this run, also orphans and helpers of nodes, and children not reaped."""
        found = {}
        for pid in all_processes() - besides:
            try:
                process = Path(f"/proc/{pid}")
                environment = (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
                state, parent = (process / "stat").read_text("utf-8").rpartition(")")[2].split()[:2]
            except OSError:  # it has just ended, or is none of our business
                continue
            if int(parent) == os.getpid() or f"TMPDIR={self.tmp}".encode() in environment:
                found[f"process {pid} (state {state}): {command}"] = pid
        return found

    def files(self) -> set[str]:
        shm = set()
        for path in _SHM.glob(f"rm{os.getuid()}_*"):
            pid = path.name.split("_")[1]
            if pid.isdigit() and int(pid) in self.programs:
                shm.add(str(path))
        return shm | {str(p) for p in (self.tmp / f"remotemedia-{os.getuid()}").glob("*")}

    @staticmethod
    def descriptors() -> set[str]:
        found = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # the one of this listing
                found.add(f"descriptor {link.name} of {link.readlink()}")
        return found

    @staticmethod
    def threads() -> set[str]:
        names = (f"thread {thread.name}" for thread in threading.enumerate())
        return {name for name in names if not name.startswith(_SHARED_THREADS)}

    def everything_else(self) -> set[str]:
        return {*self.files(), *self.descriptors(), *self.threads()}


def all_processes() -> set[int]:
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}


@pytest.fixture(scope="session", autouse=True)
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Machine]:
    """Give the run a TMPDIR of its own, so that what it leaves can be told from other runs'."""
    tmp = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp))
        patch.setattr(tempfile, "tempdir", None)
        _start_shared_thread()
        yield _Machine(tmp)


def _start_shared_thread() -> None:
    """Start what stays for the whole run before anything is compared."""
    from remotemedia.runtime.background import Background

    Background.shared()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes a short test long; here, because other conftests are read too late for it."""
    parser.addoption(
        "--kills", type=int, default=14, help="how many nodes tests/faults kills at random moments"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note whether the test itself has failed, for `nothing_left`."""
    report = yield
    if report.when != "teardown":
        item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(autouse=True)
def nothing_left(machine: _Machine, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves processes, threads, descriptors or files behind."""
    processes, others = all_processes(), machine.everything_else()

    def left() -> set[str]:
        return {*machine.processes(processes), *(machine.everything_else() - others)}

    yield
    # The traceback of a test that has failed keeps alive what it has used.
    deadline = 0.0 if request.node.stash.get(_FAILED, False) else _SETTLED_WITHIN_SECS
    deadline += time.monotonic()
    while (found := left()) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(_LOOK_AGAIN_SECS)
    if found:
        _remove(machine.processes(processes), found)
    if found and not request.node.stash.get(_FAILED, False):
        pytest.fail("left behind:\n" + "\n".join(sorted(found)))


def _remove(processes: dict[str, int], left: set[str]) -> None:
    """Let the tests that follow not suffer from what this one has left."""
    for pid in processes.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for name in left:
        if name.startswith(str(_SHM)):
            Path(name).unlink(missing_ok=True)
        elif name.startswith("/"):
            shutil.rmtree(name, ignore_errors=True)


@dataclass
class Program:
    """A Python program that a test has started."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """Return the next line that it prints; the test's timeout is the deadline."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def result(self, timeout: float = 15.0) -> tuple[int, str]:
        """Wait for its end; returns its exit code and the rest of its output."""
        assert self.process.stdout is not None
        late = threading.Timer(timeout, self.process.kill)
        late.start()
        # Not `communicate`, which does not see what `line` has read ahead.
        output = self.process.stdout.read()
        code = self.process.wait()
        late.cancel()
        return code, output


@pytest.fixture
def start_program(machine: _Machine, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start source text as a script of its own, in a directory of its own."""
    started: list[Program] = []

    def start(source: str, *arguments: str, name: str = "program.py", **options: Any) -> Program:
        path = tmp_path / name
        path.write_text(source, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, str(path), *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            **options,
        )
        machine.programs.add(process.pid)
        started.append(Program(process))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()
        if program.process.stdout is not None:
            program.process.stdout.close()


@pytest.fixture
def run_program(start_program: Callable[..., Program]) -> Callable[..., str]:
    """Run source text as a script, and return what it prints; it must succeed."""

    def run(source: str, *arguments: str, **options: Any) -> str:
        code, output = start_program(source, *arguments, **options).result()
        assert code == 0, output
        return output

    return run
