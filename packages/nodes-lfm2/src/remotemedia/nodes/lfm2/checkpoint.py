"""Checkpoints of LFM2-Audio: where one comes from, and whether it is whole, before it is loaded.

Nothing here needs the engine.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ConfigError, near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["PUBLISHED", "check_checkpoint", "find_checkpoint", "weight_names"]

#: Size names and what they stand for on the Hugging Face hub.
PUBLISHED = {
    "large": "LiquidAI/LFM2-Audio-1.5B",
    "large-2.5": "LiquidAI/LFM2.5-Audio-1.5B",
}
#: The codec's weights, under the name that the engine looks for.
CODEC = "tokenizer-e351c8d8-checkpoint125.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: What the configuration of LFM2-Audio has and that of no other model.
_PARTS = ("lfm", "encoder", "depthformer", "preprocessor", "codebooks")
_HEADER_AT_MOST = 100_000_000


def find_checkpoint(model: str, download: Callable[[str], str], where: str) -> Path:
    """Return the directory of a checkpoint that is whole.

    Args:
        model: A directory, a size name or a hub id.
        download: Takes a hub id and returns a directory; raises whatever the hub's client does.
        where: The node's id, for errors.

    Raises:
        ConfigError: There is no such checkpoint, it can't be had, or it is not whole.
    """
    local = Path(model).expanduser()
    if local.is_dir():
        check_checkpoint(local, where)
        return local
    if local.exists():
        raise ConfigError(
            where, "model", f"{str(local)!r} is a file; give the directory of the checkpoint"
        )
    hub_id = PUBLISHED.get(model, model)
    if not _is_hub_id(hub_id):
        close = near(model, PUBLISHED)
        raise ConfigError(
            where,
            "model",
            f"{model!r} is no directory, no hub id and no size of LFM2-Audio ({close}; sizes are "
            f"{', '.join(PUBLISHED)})",
        )
    try:
        folder = Path(download(hub_id))
    except ConfigError:
        raise
    except Exception as error:
        # The hub's client fails in dozens of ways that share no base; all mean the same here.
        reason = (str(error).strip() or error.__class__.__name__).splitlines()[0]
        raise ConfigError(
            where,
            "model",
            f"{hub_id} could not be downloaded ({reason}); connect to the Hugging Face hub, or "
            f"download it elsewhere (hf download {hub_id} --local-dir DIRECTORY) and let 'model' "
            "name that directory",
        ) from error
    check_checkpoint(folder, where)
    return folder


def _is_hub_id(model: str) -> bool:
    owner, slash, name = model.partition("/")
    return bool(slash and owner and name) and "/" not in name and owner[0] not in ".~"


def check_checkpoint(folder: Path, where: str) -> None:
    """Check that a directory holds a whole checkpoint of LFM2-Audio.

    Raises:
        ConfigError: A file is missing or cut off, or it is the checkpoint of another model.
    """
    config = _json(folder / "config.json", where)
    missing = [part for part in _PARTS if part not in config]
    if missing:
        kind = config.get("model_type") or ", ".join(map(str, config.get("architectures") or ()))
        raise ConfigError(
            where,
            "model",
            f"{str(folder)!r} is no checkpoint of LFM2-Audio"
            + (f" but of {kind!r}" if kind else "")
            + f" (its config.json has no {', '.join(map(repr, missing))}); give one as "
            f"{PUBLISHED['large']}",
        )
    weights = _weight_files(folder, where)
    if not (folder / CODEC).is_file():
        raise ConfigError(
            where,
            "model",
            f"{str(folder)!r} has no {CODEC!r}: without the codec the model can't speak. It "
            f"comes with {PUBLISHED['large']}: download all of its files",
        )
    for file in (*weights, folder / CODEC):
        _tensor_names(file, where)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise ConfigError(
            where,
            "model",
            f"{str(folder)!r} has no 'tokenizer.json': the download is not complete; repeat it",
        )


def weight_names(folder: Path, where: str) -> set[str]:
    """Return the names of all weights of the model, without its codec."""
    return {name for file in _weight_files(folder, where) for name in _tensor_names(file, where)}


def _weight_files(folder: Path, where: str) -> list[Path]:
    """Return the files that hold the weights: one, or those that an index lists."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise ConfigError(
            where,
            "model",
            f"{str(folder)!r} has no {WEIGHTS!r}: the download is not complete, or the weights "
            "have another format; repeat it",
        )
    listed = _json(folder / INDEX, where).get("weight_map")
    names: Iterable[str] = sorted(set(listed.values())) if isinstance(listed, dict) else ()
    files = [folder / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise ConfigError(
            where,
            "model",
            f"{str(folder)!r} lacks {', '.join(missing) or 'the weights'} of {INDEX!r}: the "
            "download is not complete; repeat it",
        )
    return files


def _json(file: Path, where: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            where,
            "model",
            f"{str(file.parent)!r} has no {file.name!r}, so it holds no checkpoint of LFM2-Audio; "
            f"give a size ({', '.join(PUBLISHED)}), a hub id, or the directory of a download",
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(where, "model", f"{str(file)!r} can't be read ({error})") from error
    return found if isinstance(found, dict) else {}


def _tensor_names(file: Path, where: str) -> set[str]:
    """Return what a file of the safetensors format holds, if all of it is there.

    The format is eight bytes of header length, a JSON header with the place of each tensor in what
    follows, and the tensors (https://github.com/huggingface/safetensors#format).
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as content:
            (length,) = struct.unpack("<Q", content.read(8))
            # What is no such file can begin with any number.
            header: dict[str, Any] = json.loads(content.read(min(length, _HEADER_AT_MOST)))
        header.pop("__metadata__", None)
        wanted = (
            8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        )
    except (OSError, ValueError, struct.error, AttributeError, LookupError, TypeError) as error:
        raise ConfigError(
            where,
            "model",
            f"{str(file)!r} is no file of weights ({error}): the download is not "
            "complete; repeat it",
        ) from error
    if size < wanted:
        raise ConfigError(
            where,
            "model",
            f"{str(file)!r} is cut off: {size:,} bytes of {wanted:,}; the download is not "
            "complete; repeat it",
        )
    return set(header)
