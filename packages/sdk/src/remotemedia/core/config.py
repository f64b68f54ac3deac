"""A node's config: checked against the struct that its type declares, and made from it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from remotemedia.core.errors import near

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ConfigMistake", "check_config", "make_config"]


class ConfigMistake(NamedTuple):
    """What is wrong with a config.

    Attributes:
        key: The key, or an empty string where the whole is meant.
        text: What is wrong with it, and what would be valid.
    """

    key: str
    text: str


def check_config(
    config: object, struct: type[msgspec.Struct] | None
) -> tuple[dict[str, Any], list[ConfigMistake]]:
    """Check a node's config.

    Args:
        config: What a pipeline says.
        struct: What the node type declares; None takes any mapping.

    Returns:
        The config as plain values (those of JSON, and bytes), and every mistake in it.
    """
    if not isinstance(config, dict):
        return {}, [ConfigMistake("", f"config must be a table, not {config!r:.60}")]
    mistakes = [] if struct is None else _mistakes(config, struct)
    try:
        plain: dict[str, Any] = msgspec.to_builtins(config)
        msgspec.msgpack.encode(plain)
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        mistakes.append(ConfigMistake("", f"config: {error}; use values as in JSON"))
        return {}, mistakes
    return plain, mistakes


def _mistakes(config: dict[str, Any], struct: type[msgspec.Struct]) -> list[ConfigMistake]:
    mistakes = []
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for key, value in config.items():
        if key not in fields:
            hint = near(key, fields)
            mistakes.append(ConfigMistake(key, f"unknown config key {key!r}; {hint}"))
            continue
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as error:
            mistakes.append(ConfigMistake(key, f"config key {key!r}: {error}"))
    if not mistakes:
        try:
            msgspec.convert(config, struct)
        except msgspec.ValidationError as error:
            mistakes.append(ConfigMistake("", f"config: {error}"))
    return mistakes


def make_config(
    plain: Mapping[str, Any], struct: type[msgspec.Struct] | None
) -> msgspec.Struct | Mapping[str, Any]:
    """Return what a node finds in `self.config`: its struct, or a read-only mapping."""
    return MappingProxyType(plain) if struct is None else msgspec.convert(plain, struct)
