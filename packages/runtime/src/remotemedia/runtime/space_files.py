"""Where a runtime keeps its shared memory, and how what dead runtimes left is reclaimed.

Each runtime has a directory of its own under one that belongs to this user alone, and holds a
record lock in it for as long as it lives. The lock goes with the process, however that ends, so a
directory whose lock is free belongs to a dead runtime.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from remotemedia.core.errors import RemoteMediaError

__all__ = ["RuntimeFiles", "reclaim"]

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory
_LOCK = "owner.lock"
# A record lock does not keep its own process out, and is lost when that closes any descriptor of
# the file: directories of this process must not be touched.
_live: set[str] = set()


def _base() -> Path:
    return Path(tempfile.gettempdir()) / f"remotemedia-{os.getuid()}"


def _own_directory(path: Path) -> Path:
    """Make a directory that only this user can enter.

    Raises:
        RemoteMediaError: Somebody else made it before.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise RemoteMediaError(
            f"{path} is not a private directory of this user; remove it, or set TMPDIR"
        )
    return path


@dataclass
class RuntimeFiles:
    """The files of one runtime.

    Attributes:
        root: Its directory.
        prefix: How the names of its files in shared memory begin.
    """

    root: Path
    prefix: str
    _lock: int

    @classmethod
    def create(cls) -> RuntimeFiles:
        """Make the directory of a new runtime, and reclaim what dead ones have left."""
        base = _own_directory(_base())
        reclaim()
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        root = base / name
        root.mkdir(mode=0o700)
        lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(lock, fcntl.LOCK_EX)
        _live.add(name)
        return cls(root, _prefix(name), lock)

    def remove(self) -> None:
        """Remove everything; nothing may use it any more."""
        _remove(self.root)
        _live.discard(self.root.name)
        os.close(self._lock)


def reclaim() -> list[str]:
    """Remove what dead runtimes of this user have left; returns their names."""
    base = _base()
    reclaimed = []
    for root in sorted(base.iterdir()) if base.is_dir() else ():
        if root.name in _live:
            continue
        try:
            lock = os.open(root / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # it is being made or removed at this moment
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its runtime lives
        else:
            _remove(root)
            reclaimed.append(root.name)
        finally:
            os.close(lock)
    return reclaimed


def _prefix(name: str) -> str:
    return f"rm{os.getuid()}_{name.replace('-', '_')}_"


def _remove(root: Path) -> None:
    prefix = _prefix(root.name)
    for path in _SHM.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    shutil.rmtree(root, ignore_errors=True)
