"""A piece of a pipeline file, ready to be pasted: a node with all its settings."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from remotemedia.runtime.reference.config_schema import config_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remotemedia.core.plugin import NodeSpec
    from remotemedia.runtime.reference.config_schema import ConfigField

__all__ = ["snippet", "with_environment"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def snippet(spec: NodeSpec, name: str = "", *, written: str = "") -> str:
    """Return the TOML of a node of this type, its defaults as comments.

    Args:
        spec: The node type.
        name: What a pipeline calls it; the node type's name if empty.
        written: What it says for the type; the node type's name if empty.
    """
    node_id = name or re.sub(r"[^A-Za-z0-9_-]+", "_", spec.name.rpartition(":")[2])[:64]
    lines = [f"[nodes.{node_id}]", f"type = {_toml(written or spec.name)}"]
    settings = (line for field in config_fields(spec) for line in _settings(field, "config"))
    return "\n".join([*lines, *settings]) + "\n"


def with_environment(piece: str, python: str, requirements: Sequence[str]) -> str:
    """Return the TOML of a node that runs in an environment which is made for it."""
    head, settings = piece.splitlines()[:2], piece.splitlines()[2:]
    asked = [f"requirements = {_toml(list(requirements))}", f"python = {_toml(python)}"]
    return "\n".join([*head, *asked, *settings]) + "\n"


def _settings(field: ConfigField, table: str) -> Iterator[str]:
    key = f"{table}.{field.name if _BARE.fullmatch(field.name) else _toml(field.name)}"
    if field.required:
        yield f"{key} = {_toml(field.example)}  # required: {field.type}"
    elif field.keys and field.default == {inner.name: inner.default for inner in field.keys}:
        for inner in field.keys:
            yield from _settings(inner, key)
    elif field.default is None:
        yield f"# {key} = {_toml(field.example)}  # not set by default: {field.type}"
    else:
        yield f"# {key} = {_toml(field.default)}"


def _toml(value: Any) -> str:  # noqa: ANN401 - a value of JSON
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return json.dumps(value)
