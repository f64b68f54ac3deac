"""Where a runtime keeps its shared memory, and how what dead runtimes left is reclaimed.

Each runtime has a directory of its own under one that belongs to this user alone, and holds a
record lock in it for as long as it lives. The lock goes with the process, however that ends, so a
directory whose lock is free belongs to a dead runtime.

What iceoryx2 needs besides lies beside the data in shared memory, in a directory too: making its
files on a disk would take longer than a node needs for everything else.
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
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.core.errors import RemoteMediaError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "RuntimeFiles",
    "check_room",
    "is_alive",
    "reclaim",
    "reclaim_one",
    "remove_shared",
    "runtime_directories",
    "runtime_of",
    "shared_files",
]

_SHM = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory
_LOCK = "owner.lock"
_MADE_WITHIN_SECS = 60.0
_RUNTIME_BYTES = 256 * 1024  # for iceoryx2 in the application, with room to spare
# Of a runtime's directory: its process, and a random part that nobody could have foreseen.
_NAME = re.compile(r"[0-9]+-[0-9a-f]{8}")
_FILE = re.compile(r"rm([0-9]+)_([0-9]+)_([0-9a-f]{8})_")
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
        space: The directory of iceoryx2's management files, in shared memory.
        prefix: How the names of its files in shared memory begin, that directory's too.
    """

    root: Path
    space: Path
    prefix: str
    _lock: int

    @classmethod
    def create(cls) -> RuntimeFiles:
        """Make the directories of a new runtime, and reclaim what dead ones have left.

        Raises:
            RemoteMediaError: They can't be made, or there is no shared memory left.
        """
        base = _own_directory(_base())
        reclaim()
        check_room("a runtime", _RUNTIME_BYTES)
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        root = base / name
        root.mkdir(mode=0o700)
        lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(lock, fcntl.LOCK_EX)
        _live.add(name)
        prefix = _prefix(name)
        files = cls(root, _SHM / f"{prefix}iceoryx2", prefix, lock)
        try:
            files.space.mkdir(mode=0o700)
        except OSError as error:
            files.remove()
            raise RemoteMediaError(
                f"{files.space} can't be made: {error.strerror}; see that there is room in {_SHM}, "
                "and that this user may write there"
            ) from error
        return files

    def make_private(self) -> None:
        """Take from everybody else what iceoryx2 has opened to all: one file of its node's."""
        for path in shared_files(self.root.name):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mode & 0o077:
                    path.chmod(0o600)

    def remove(self) -> None:
        """Remove everything; nothing may use it any more."""
        _remove(self.root)
        _live.discard(self.root.name)
        os.close(self._lock)


def check_room(what: str, nbytes: int) -> None:
    """Make sure that there is shared memory left: whoever writes to what is not there is killed.

    Args:
        what: Needs it, for the message.
        nbytes: How much.

    Raises:
        ResourceLimitError: There is less.
    """
    room = os.statvfs(_SHM)
    free = room.f_bavail * room.f_frsize
    if room.f_blocks and free < nbytes:  # without blocks, it has no limit
        raise ResourceLimitError(
            what,
            f"{nbytes >> 10} KiB of shared memory",
            f"the {free >> 10} KiB that are free in {_SHM}",
            f"the size of {_SHM}",
        )


def runtime_directories() -> list[Path]:
    """Return the directories of all runtimes of this user, living and dead."""
    base = _base()
    with contextlib.suppress(FileNotFoundError):
        if _is_private(base):  # else it may be a trap: nothing in it is this user's
            return [root for root in sorted(base.iterdir()) if _NAME.fullmatch(root.name)]
    return []


def is_alive(root: Path) -> bool:
    """Say whether a runtime lives.

    Args:
        root: Its directory.
    """
    with _taken(root) as is_dead:
        return not is_dead


def reclaim() -> list[str]:
    """Remove what dead runtimes of this user have left; returns their names."""
    return [root.name for root in runtime_directories() if reclaim_one(root)]


def reclaim_one(root: Path) -> bool:
    """Remove what a runtime has left, if it is dead; returns whether it was.

    Args:
        root: Its directory, in one that is private to this user.
    """
    with _taken(root) as is_dead:
        if is_dead:
            _remove(root)
        return is_dead


@contextlib.contextmanager
def _taken(root: Path) -> Iterator[bool]:
    """Hold the lock of a runtime, if it is dead; tells whether it is."""
    if root.name in _live or not _NAME.fullmatch(root.name):
        yield False
        return
    try:
        lock = os.open(root / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:  # it is being made or removed, or somebody died while doing that
        with contextlib.suppress(FileNotFoundError):
            yield time.time() - root.lstat().st_mtime > _MADE_WITHIN_SECS
            return
        yield False
        return
    except OSError:
        yield False
        return
    try:
        yield _can_be_locked(lock)
    finally:
        os.close(lock)


def _can_be_locked(lock: int) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # its runtime lives
    return True


def shared_files(name: str = "") -> list[Path]:
    """Return what a runtime has in shared memory; all of this user's, if none is named."""
    prefix = _prefix(name) if name else f"rm{os.getuid()}_"
    return sorted(_SHM.glob(f"{prefix}*"))


def runtime_of(path: Path) -> str | None:
    """Return the name of the runtime that a file in shared memory belongs to, if it is one's."""
    found = _FILE.match(path.name)
    return f"{found[2]}-{found[3]}" if found and int(found[1]) == os.getuid() else None


def _prefix(name: str) -> str:
    return f"rm{os.getuid()}_{name.replace('-', '_')}_"


def _remove(root: Path) -> None:
    for path in shared_files(root.name):
        remove_shared(path)
    shutil.rmtree(root, ignore_errors=True)


def remove_shared(path: Path) -> None:
    """Remove a file or directory of a runtime, if it is there and this user's."""
    with contextlib.suppress(OSError):  # gone already; or another user's, who imitates the name
        if not path.is_dir():
            path.unlink()
        elif _is_private(path):
            shutil.rmtree(path, ignore_errors=True)
