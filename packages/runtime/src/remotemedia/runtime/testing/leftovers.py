"""Machine: what a test run has on the machine, and what of it a test has left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = ["Machine", "View"]

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory
_LOOK_AGAIN_SECS = 0.02
# One loop watches over all sessions of a process and lives as long as it does; trio keeps idle
# threads for later.
_SHARED_THREADS = ("thread remotemedia-runtime", "thread Trio thread")


class View(NamedTuple):
    """What there was at one moment: all processes of the machine, and what belongs to the run."""

    processes: frozenset[int]
    others: frozenset[str]


@dataclass
class Machine:
    """What belongs to this test run, among everything else that runs on the machine.

    Attributes:
        tmp: The run's own TMPDIR: processes are told by it, and runtimes keep their files there.
        programs: Processes that tests have started, for the names of shared memory.
    """

    tmp: Path
    programs: set[int] = field(default_factory=lambda: {os.getpid()})

    def look(self) -> View:
        """Return what is there now."""
        # Also what seems to be nobody's: later, a process of this run may get the id of one that is
        # long dead, and that left something.
        everything = {*self._everything_else(), *map(str, _shared_memory())}
        return View(frozenset(_all_processes()), frozenset(everything))

    def left_since(self, before: View, within: float = 0.0) -> set[str]:
        """Return what has come since, and is still there after the time given to it to go.

        Args:
            before: What was there.
            within: Seconds.
        """
        deadline = time.monotonic() + within
        while (left := self._left(before)) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(_LOOK_AGAIN_SECS)
        return left

    def remove(self, before: View) -> None:
        """Kill and delete what has come since, so that the tests that follow don't suffer."""
        left = self._left(before)
        for pid in self.processes(before.processes).values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in left:
            if Path(name).is_dir():
                shutil.rmtree(name, ignore_errors=True)
            elif name.startswith("/"):
                Path(name).unlink(missing_ok=True)

    def processes(self, besides: frozenset[int] = frozenset()) -> dict[str, int]:
        """Return those of this run, also orphans and helpers of nodes, and children not reaped."""
        found = {}
        for pid in _all_processes() - besides:
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
        """Return the shared memory and the directories of the run's runtimes."""
        shm = set()
        for path in _shared_memory():
            pid = path.name.split("_")[1]
            if pid.isdigit() and int(pid) in self.programs:
                shm.add(str(path))
        return shm | {str(p) for p in (self.tmp / f"remotemedia-{os.getuid()}").glob("*")}

    @staticmethod
    def descriptors() -> set[str]:
        """Return what this process has open."""
        found = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # the one of this listing
                found.add(f"descriptor {link.name} of {link.readlink()}")
        return found

    @staticmethod
    def threads() -> set[str]:
        """Return the threads of this process, without those that stay for its whole life."""
        names = (f"thread {thread.name}" for thread in threading.enumerate())
        return {name for name in names if not name.startswith(_SHARED_THREADS)}

    def _everything_else(self) -> set[str]:
        return {*self.files(), *self.descriptors(), *self.threads()}

    def _left(self, before: View) -> set[str]:
        return {*self.processes(before.processes), *(self._everything_else() - before.others)}


def _shared_memory() -> list[Path]:
    return [*_SHM.glob(f"rm{os.getuid()}_*")]


def _all_processes() -> set[int]:
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}
