"""Leftovers: what runtimes that died have not removed, and what it takes."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from remotemedia.runtime.space_files import (
    is_alive,
    reclaim_one,
    remove_shared,
    runtime_directories,
    runtime_of,
    shared_files,
)

__all__ = ["Leftover", "of_dead_runtimes", "without_directory"]

_BLOCK = 512  # of `st_blocks`, whatever the file system's own


@dataclass(frozen=True)
class Leftover:
    """What one runtime has left.

    Attributes:
        runtime: Its name.
        root: Its directory; None if that is not here.
        files: Its files, those in the directory included, and its directory in shared memory.
        nbytes: What they take: files in shared memory have holes.
    """

    runtime: str
    root: Path | None
    files: tuple[Path, ...]
    nbytes: int

    @classmethod
    def of(cls, runtime: str, root: Path | None, files: list[Path]) -> Leftover:
        """Measure what there is."""
        taken = 0
        for path in files:
            with contextlib.suppress(OSError):
                taken += path.lstat().st_blocks * _BLOCK
        return cls(runtime, root, tuple(files), taken)

    @property
    def pid(self) -> int:
        """The process that the runtime was in."""
        return int(self.runtime.partition("-")[0])

    def remove(self) -> bool:
        """Remove it, unless somebody else has; returns whether it is gone."""
        if self.root is not None:
            reclaim_one(self.root)
        else:
            for path in self.files:
                remove_shared(path)
        return not any(map(os.path.lexists, self.files))


def of_dead_runtimes() -> list[Leftover]:
    """Return what runtimes have left that are certainly dead: nobody holds their lock."""
    found = []
    for root in runtime_directories():
        if not is_alive(root):
            inside = sorted(path for path in root.rglob("*") if not path.is_dir())
            found.append(Leftover.of(root.name, root, [*shared_files(root.name), *inside]))
    return found


def without_directory() -> list[Leftover]:
    """Return shared memory of this user whose runtime has no directory here, and no process.

    It was in another TMPDIR, or that was emptied. Or it lives in a container that shares `/dev/shm`
    with this one and not its processes: what can't be known here.
    """
    here = {root.name for root in runtime_directories()}
    files: dict[str, list[Path]] = {}
    for path in shared_files():
        runtime = runtime_of(path)
        with contextlib.suppress(FileNotFoundError):
            if runtime is not None and path.lstat().st_uid == os.getuid():
                files.setdefault(runtime, []).append(path)
    return [
        left
        for left in (Leftover.of(name, None, paths) for name, paths in sorted(files.items()))
        if left.runtime not in here and not Path(f"/proc/{left.pid}").exists()
    ]
