"""Where made environments are kept: one directory each, named by content, with a lock beside it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.environments.answers import BrokenPlugin, FoundType
from remotemedia.runtime.environments.lock import EnvironmentLock
from remotemedia.runtime.environments.request import MadeEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Kept", "Record", "Store"]

_DAY_SECS = 86_400.0


class Record(msgspec.Struct, frozen=True):
    """What was made; written when it is complete.

    Attributes:
        wanted: What was asked for.
        made: When, in seconds since 1970.
        types: The node types in it.
        problems: The plugins in it that can't be used.
    """

    wanted: MadeEnvironment
    made: float
    types: tuple[FoundType, ...]
    problems: tuple[BrokenPlugin, ...]


@dataclass(frozen=True)
class Kept:
    """An environment of the store.

    Attributes:
        key: Its name.
        path: Its directory.
        record: What it is; None where it was not completed.
        size: Bytes of its files; those that uv shares with its cache count too.
        used: When it was last used, in seconds since 1970.
        in_use: Whether a living process uses or makes it.
    """

    key: str
    path: Path
    record: Record | None
    size: int
    used: float
    in_use: bool


class Store:
    """The environments of one user.

    Args:
        root: The directory; that of this user's cache if None.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.root = Path(root or Path(cache) / "remotemedia" / "environments").absolute()

    def directory(self, key: str) -> Path:
        """Return the directory of an environment."""
        return self.root / key

    def executable(self, key: str) -> Path:
        """Return its interpreter."""
        return self.directory(key) / "bin" / "python"

    def own_files(self, key: str) -> Path:
        """Return where it keeps what is not the installer's."""
        return self.directory(key) / "remotemedia"

    def lock(self, key: str) -> EnvironmentLock:
        """Open the lock of an environment.

        Raises:
            OSError: The store can't be written, and there is no lock in it.
        """
        with contextlib.suppress(OSError):  # of a store that can only be read
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return EnvironmentLock(self._lock_path(key))

    def record(self, key: str) -> Record | None:
        """Return what an environment is; None if it is not there or not complete."""
        if not self.executable(key).exists():  # the Python that it was made from may be gone
            return None
        try:
            written = self._marker(key).read_bytes()
            return msgspec.json.decode(written, type=Record)
        except (OSError, msgspec.MsgspecError):
            return None

    def was_complete(self, key: str) -> bool:
        """Say whether it was complete once, whatever has happened to it since."""
        return self._marker(key).exists()

    def complete(self, key: str, record: Record) -> None:
        """Write down that an environment is complete."""
        path = self._marker(key)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(record))
        new.replace(path)

    def discard(self, key: str, *, lock: bool = False) -> None:
        """Remove what is there of an environment; its lock is held alone.

        Args:
            key: The environment.
            lock: Remove its lock too: those who wait for it make a new one.

        Raises:
            OSError: It can't be removed.
        """
        path = self.directory(key)
        with contextlib.suppress(FileNotFoundError):
            self._marker(key).unlink()  # what is half removed is not complete
        if path.exists():
            shutil.rmtree(path)
        if lock:
            self._lock_path(key).unlink()

    def records(self) -> Iterator[tuple[str, Record]]:
        """Return the name of each complete environment, and what it is."""
        for key in self._keys():
            record = self.record(key)
            if record is not None:
                yield key, record

    def kept(self) -> Iterator[Kept]:
        """Look at everything that is there, in the order of the names."""
        for key in self._keys():
            lock = EnvironmentLock(self._lock_path(key))
            try:
                used = os.fstat(lock.fd).st_mtime
                in_use = not lock.is_free()
            finally:
                lock.close()
            path = self.directory(key)
            yield Kept(key, path, self.record(key), _size(path), used, in_use)

    def prune(self, older_than_days: float = 0.0) -> Iterator[tuple[Kept, bool]]:
        """Remove environments that nobody uses; yields each that is old enough, and if it went.

        Args:
            older_than_days: Only those that were last used so long ago, or are not complete.

        Raises:
            OSError: One can't be removed.
        """
        oldest = time.time() - older_than_days * _DAY_SECS
        for kept in self.kept():
            if older_than_days and kept.used > oldest and kept.record is not None:
                continue
            lock = EnvironmentLock(self._lock_path(kept.key))
            try:
                free = lock.is_free()
                if free:
                    self.discard(kept.key, lock=True)
            finally:
                lock.close()
            yield kept, free

    def _keys(self) -> list[str]:
        return sorted(path.stem for path in self.root.glob("*.lock"))

    def _marker(self, key: str) -> Path:
        return self.own_files(key) / "made.json"

    def _lock_path(self, key: str) -> Path:
        return self.root / f"{key}.lock"


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files
    return total
