"""Checkpoint: the directory with a model's weights, found and looked at before it is loaded."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ConfigError, near

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SIZES", "check_checkpoint", "find_checkpoint", "read_json", "tokenizer_source"]

#: Sizes and their checkpoints on the Hugging Face hub.
SIZES = {"1.5B": "microsoft/VibeVoice-1.5B"}
MODEL_TYPE = "vibevoice"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZER = "tokenizer.json"
#: The tokenizer of checkpoints that name none, as in VibeVoice's own processor.
_USUAL_TOKENIZER = "Qwen/Qwen2.5-1.5B"


def find_checkpoint(model: str, download: Callable[[str], str], where: str) -> Path:
    """Return the directory of a checkpoint that is whole.

    Args:
        model: A size, a hub id or a directory.
        download: Takes a hub id and returns the directory with its files; raises OSError.
        where: The node's id, for errors.

    Raises:
        ConfigError: It can't be had, or is none of this model, or not all of it is there.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        check_checkpoint(path, where)
        return path
    repository = SIZES.get(model, model)
    if not _HUB_ID.fullmatch(repository) or model.startswith(("./", "../")):
        what = "is no directory" if os.sep in model else f"is no size; {near(model, SIZES)}"
        raise ConfigError(
            where,
            "model",
            f"{model!r} {what}. Give a directory with a VibeVoice checkpoint, or a hub id as "
            f"{SIZES['1.5B']!r}",
        )
    try:
        found = Path(download(repository))
    except (OSError, ValueError) as error:
        raise ConfigError(
            where,
            "model",
            f"the checkpoint {repository!r} could not be downloaded ({_short(error)}); connect to "
            "the Hugging Face hub, or give the directory of a copy: hf download "
            f"{repository} --local-dir DIRECTORY, where there is a network",
        ) from error
    check_checkpoint(found, where)
    return found


def tokenizer_source(directory: Path, tokenizer: str | None, where: str) -> str:
    """Return the directory or hub id that the tokenizer of a checkpoint comes from.

    Raises:
        ConfigError: What names it can't be read.
    """
    if tokenizer is not None:
        return str(Path(tokenizer).expanduser()) if "~" in tokenizer else tokenizer
    if (directory / _TOKENIZER).is_file():
        return str(directory)
    processor = directory / "preprocessor_config.json"
    named = read_json(processor, where).get("language_model_pretrained_name")
    if not isinstance(named, str) or not named:
        return _USUAL_TOKENIZER
    beside = directory / named
    return str(beside) if beside.is_dir() else named


def check_checkpoint(directory: Path, where: str) -> None:
    """Look at the files of a checkpoint, which takes milliseconds, before the engine loads them.

    Raises:
        ConfigError: It is of another model, or a part of it is missing.
    """
    config = directory / "config.json"
    if not config.is_file():
        raise _broken(directory, "has no config.json", where)
    kind = read_json(config, where).get("model_type")
    if kind != MODEL_TYPE:
        raise ConfigError(
            where,
            "model",
            f"{str(directory)!r} is a checkpoint of {kind!r}, and this node speaks with "
            f"{MODEL_TYPE!r}; give one as {SIZES['1.5B']!r}",
        )
    read_json(directory / "preprocessor_config.json", where)
    for file in _weights(directory, where):
        if not file.is_file():
            raise _broken(directory, f"lacks {file.name}", where)
        wanted, found = _size_by_header(file, where), file.stat().st_size
        if found != wanted:
            raise _broken(directory, f"has {found:,} bytes of {file.name}, not {wanted:,}", where)


def _weights(directory: Path, where: str) -> list[Path]:
    index = directory / _INDEX
    if not index.is_file():
        return [directory / _WEIGHTS]
    parts = read_json(index, where).get("weight_map")
    names = {*parts.values()} if isinstance(parts, dict) else set()
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise _broken(directory, f"has an {_INDEX} that lists no files", where)
    return [directory / name for name in sorted(names)]


def _size_by_header(file: Path, where: str) -> int:
    """Return the size that a safetensors file has to have.

    The file begins with the length of a JSON header (8 bytes, little-endian), which tells where
    each tensor ends: https://github.com/huggingface/safetensors#format
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = stream.read(8)
        if len(length) < 8 or (header := struct.unpack("<Q", length)[0]) > size:
            raise _broken(file.parent, f"has a {file.name} without its beginning", where)
        try:
            tensors = json.loads(stream.read(header))
            tensors.pop("__metadata__", None)
            ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
            return 8 + int(header) + max(ends, default=0)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise _broken(file.parent, f"has a {file.name} that is none", where) from error


def read_json(file: Path, where: str) -> dict[str, Any]:
    """Return an object from a JSON file of a checkpoint.

    Raises:
        ConfigError: It is missing, or no such file.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _broken(file.parent, f"has no {file.name}", where) from None
    except (OSError, ValueError) as error:
        raise _broken(file.parent, f"has a {file.name} that can't be read", where) from error
    if not isinstance(value, dict):
        raise _broken(file.parent, f"has a {file.name} that holds no object", where)
    return value


def _broken(directory: Path, what: str, where: str) -> ConfigError:
    return ConfigError(
        where,
        "model",
        f"{str(directory)!r} {what}: it is no checkpoint, or half a download; download it again",
    )


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
