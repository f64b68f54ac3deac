"""What `--set` and `[NODE=]FILE` say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import near
from remotemedia.runtime.cli.usage import UsageMistake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.pipeline import Pipeline

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["apply_settings", "split_file"]


def apply_settings(pipeline: Pipeline, settings: Sequence[str]) -> list[str]:
    """Override configuration of nodes.

    Args:
        pipeline: Its nodes are changed.
        settings: `NODE.KEY=VALUE`; KEY may be dotted; VALUE is as in TOML, else a string.

    Returns:
        What is wrong with those that read differently, or name no node.
    """
    found = [(setting, _apply(pipeline, setting)) for setting in settings]
    return [f"--set {setting}: {wrong}" for setting, wrong in found if wrong]


def _apply(pipeline: Pipeline, setting: str) -> str | None:
    """Apply one setting, or return what is wrong with it."""
    name, equals, written = setting.partition("=")
    node, dot, key = name.strip().partition(".")
    keys = [part.strip() for part in key.split(".")]
    if not (equals and dot and node and all(keys)):
        return "must read NODE.KEY=VALUE"
    entry = pipeline.nodes.get(node)
    if entry is None:
        return f"there is no node {node!r}; {near(node, pipeline.nodes)}"
    if not isinstance(entry.config, dict):
        return None  # reported by the check
    table = entry.config
    for part in keys[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return f"{part!r} is no table but {inner!r:.60}"
        table = inner
    table[keys[-1]] = _value(written.strip())
    pipeline.places["nodes", node, "config", keys[0]] = f"--set {setting}"
    return None


def _value(written: str) -> Any:  # noqa: ANN401 - any TOML value
    if "\n" not in written:
        try:
            return tomllib.loads(f"value = {written}")["value"]
        except tomllib.TOMLDecodeError:
            pass
    return written


def split_file(pipeline: Pipeline, given: str) -> tuple[str | None, Path]:
    """Split `[NODE=]FILE`; NODE may be `node.port`.

    Raises:
        UsageMistake: No file is named, or no node of this name is there.
    """
    name, equals, file = given.partition("=")
    if not equals or name.partition(".")[0] not in pipeline.nodes:
        # The name of a file may hold a "=" too.
        if not equals or "/" in name or Path(given).exists():
            name, file = "", given
        else:
            known = near(name.partition(".")[0], pipeline.nodes)
            raise UsageMistake(f"{given}: there is no node {name!r}; {known}")
    if not file:
        raise UsageMistake(f"{given!r}: no file is named")
    return name or None, Path(file)
