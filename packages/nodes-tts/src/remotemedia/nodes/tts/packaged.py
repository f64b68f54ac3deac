"""Files that come as pip packages: found, verified and, where need be, put together."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from remotemedia.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "PackagedFile",
    "cache_dir",
    "concatenate",
    "packaged_parts",
    "sha256_of",
    "verify",
]

_BLOCK = 1 << 20


class PackagedFile(NamedTuple):
    """A file that can be installed with pip and what it has to be.

    Attributes:
        sha256: Of the whole file.
        parts: `(import package, path inside it)` of each piece, in order; most files have one.
    """

    sha256: str
    parts: tuple[tuple[str, str], ...]


def cache_dir() -> Path:
    """Return this user's cache folder of RemoteMedia; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # By the XDG specification a relative path is to be ignored.
    base = Path(root) if os.path.isabs(root) else Path.home() / ".cache"  # noqa: PTH117 - "" too
    return base / "remotemedia"


def packaged_parts(file: PackagedFile) -> list[Path] | None:
    """Return the installed parts of a file, or None where not all of them are installed."""
    found = [_inside(package, path) for package, path in file.parts]
    parts = [part for part in found if part is not None]
    return parts if len(parts) == len(found) else None


def _inside(package: str, path: str) -> Path | None:
    """Return a file inside of an installed package without running any of its code."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, path)
        if file.is_file():
            return file
    return None


def verify(
    parts: Sequence[Path], expected: str, what: str, extra: str, where: str, key: str
) -> None:
    """Check that installed parts are the ones that were reviewed.

    Raises:
        ConfigError: They are not; nothing of them may be loaded.
    """
    found = sha256_of(parts)
    if found != expected:
        raise ConfigError(
            where,
            key,
            f"{what} as installed is not what was reviewed: {parts[0]} has sha256 {found}, not "
            f"{expected}; it was not loaded. Reinstall it: "
            f"pip install --force-reinstall 'remotemedia-nodes-tts[{extra}]'",
        )


def sha256_of(parts: Iterable[Path]) -> str:
    """Return the sha256 of parts as if they were one file."""
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as piece:
            while block := piece.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def concatenate(parts: Iterable[Path], target: Path) -> None:
    """Write `target` so that it is there whole or not at all, whoever else writes it too."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as out:
        try:
            for part in parts:
                with part.open("rb") as piece:
                    while block := piece.read(_BLOCK):
                        out.write(block)
            out.flush()
            Path(out.name).replace(target)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise
