"""Footprint: what processes and a runtime's shared memory take of the machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["Footprint", "shared_bytes"]

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory


class Footprint(msgspec.Struct, frozen=True):
    """What a process takes.

    Attributes:
        memory: Bytes of its own memory: anonymous pages, those that it shares with other
            processes by fork in proportion. Shared memory is none of it, see `shared_bytes`.
        descriptors: Open descriptors.
        threads: Threads.
    """

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Footprint | None:
        """Measure a process; None if it has ended."""
        process = Path(f"/proc/{pid}")
        try:
            rollup = (process / "smaps_rollup").read_text(encoding="ascii")
            memory = next(line for line in rollup.splitlines() if line.startswith("Pss_Anon:"))
            descriptors = sum(1 for _ in (process / "fd").iterdir())
            threads = sum(1 for _ in (process / "task").iterdir())
        except (FileNotFoundError, ProcessLookupError, StopIteration):
            return None
        return cls(int(memory.split()[1]) * 1024, descriptors, threads)


def shared_bytes(prefix: str) -> int:
    """Return the memory that files in `/dev/shm` take whose names begin so."""
    return sum(map(_allocated, _SHM.glob(f"{prefix}*")))


def _allocated(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:  # it has just been removed
        return 0
