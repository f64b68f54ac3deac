"""Where a runtime keeps its shared memory, and how what dead runtimes left is reclaimed.

Each runtime has a directory of its own under one that belongs to this user alone, and holds a
record lock in it for as long as it lives. The lock goes with the process, however that ends, so a
directory whose lock is free belongs to a dead runtime.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from remotemedia.core.errors import RemoteMediaError

__all__ = ["RuntimeFiles", "reclaim", "reclaim_one"]

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory
_LOCK = "owner.lock"
# Of a runtime's directory: its process, and a random part that nobody could have foreseen.
_NAME = re.compile(r"[0-9]+-[0-9a-f]{8}")
# A record lock does not keep its own process out, and is lost when that closes any descriptor of
# the file: directories of this process must not be touched.
_live: set[str] = set()


def _base() -> Path:
    return Path(tempfile.gettempdir()) / f"remotemedia-{os.getuid()}"


def _is_private(path: Path) -> bool:
    """Say whether this is a directory, not a link to one, that only this user can enter."""
    info = path.lstat()
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077


def _own_directory(path: Path) -> Path:
    """Make a directory that only this user can enter.

    Raises:
        RemoteMediaError: Somebody else made it before, or it can't be made.
    """
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        if _is_private(path):
            return path
    except OSError as error:
        raise RemoteMediaError(
            f"{path} can't be made: {error.strerror}; set TMPDIR to a directory that can be "
            "written to"
        ) from error
    raise RemoteMediaError(
        f"{path} is not a private directory of this user; remove it, or set TMPDIR"
    )


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

    def make_private(self) -> None:
        """Take from everybody else what iceoryx2 has opened to all: one file of its node's."""
        for path in _SHM.glob(f"{self.prefix}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mode & 0o077:
                    path.chmod(0o600)

    def remove(self) -> None:
        """Remove everything; nothing may use it any more."""
        _remove(self.root)
        _live.discard(self.root.name)
        os.close(self._lock)


def reclaim() -> list[str]:
    """Remove what dead runtimes of this user have left; returns their names."""
    base = _base()
    with contextlib.suppress(FileNotFoundError):
        if _is_private(base):  # else it may be a trap: nothing in it is this user's
            return [root.name for root in sorted(base.iterdir()) if reclaim_one(root)]
    return []


def reclaim_one(root: Path) -> bool:
    """Remove what a runtime has left, if it is dead; returns whether it was.

    Args:
        root: Its directory, in one that is private to this user.
    """
    if root.name in _live or not _NAME.fullmatch(root.name):
        return False
    try:
        lock = os.open(root / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # it is being made or removed at this moment
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # its runtime lives
    else:
        _remove(root)
        return True
    finally:
        os.close(lock)


def _prefix(name: str) -> str:
    return f"rm{os.getuid()}_{name.replace('-', '_')}_"


def _remove(root: Path) -> None:
    prefix = _prefix(root.name)
    for path in _SHM.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    shutil.rmtree(root, ignore_errors=True)
