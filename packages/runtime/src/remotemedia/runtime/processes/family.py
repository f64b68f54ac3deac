"""The family of a node: whatever it has started, told by a mark that is handed down.

Helpers of a node may leave its process group, its session and, by forking twice, its place among
the ancestors. What the kernel hands down through all of that is a process's resource limits. One of
them, the number of file locks, has had no effect since Linux 2.4: its value is the mark.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["children", "kill_families", "mark_of", "mark_this_process"]

# No constant of `resource`; the same number on every architecture that there are wheels for.
_RLIMIT_LOCKS = 10
_MARK = re.compile(rb"^Max file locks\s+(\d+)\s", re.MULTILINE)
# A family that grows while it is killed is looked for again; only a fork bomb wins that race.
_ROUNDS = 20


def mark_this_process(mark: int) -> None:
    """Mark this process, and with it all that it will start."""
    _, hard = resource.getrlimit(_RLIMIT_LOCKS)
    resource.setrlimit(_RLIMIT_LOCKS, (mark, hard))


def mark_of(pid: int) -> int | None:
    """Return the mark of a process; None if it has none or is gone."""
    try:
        found = _MARK.search(Path(f"/proc/{pid}/limits").read_bytes())
    except OSError:
        return None
    return int(found[1]) if found else None


def children(pid: int) -> set[int]:
    """Return the children of a process: its own, and those that it was given as a subreaper."""
    found: set[int] = set()
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update(map(int, (task / "children").read_bytes().split()))
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return {other for other in _processes() if _parent_of(other) == pid}
    return found


def kill_families(marks: Collection[int]) -> None:
    """Kill every process with one of these marks, whoever its parent is by now."""
    for _ in range(_ROUNDS):
        killed = [pid for pid in _processes() if mark_of(pid) in marks and _kill(pid, marks)]
        if not killed:
            return


def _kill(pid: int, marks: Collection[int]) -> bool:
    """Kill a process unless it is another one by now, or was killed before."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if mark_of(pid) not in marks or _state_of(pid) in "ZX":
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return what follows the name in a process's status: its state, its parent, …."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    return ["X", "0"]


def _parent_of(pid: int) -> int:
    return int(_stat(pid)[1])


def _state_of(pid: int) -> str:
    return _stat(pid)[0]
