"""A node's config: checked against the struct that its type declares, and made from it."""

from __future__ import annotations

import re
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_origin

import msgspec

from remotemedia.core.config_keys import unknown_keys
from remotemedia.core.errors import near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ConfigMistake",
    "check_config",
    "make_config",
    "of_plain",
    "schema_of",
    "to_plain",
    "writable",
]

_T = TypeVar("_T")
_INSIDE = re.compile(r" - at `\$((?:\.\w+|\[\d+\])+)`$")


class ConfigMistake(NamedTuple):
    """What is wrong with a config.

    Attributes:
        key: The key, dotted where it is inside of a table; empty where the whole is meant.
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
        plain: dict[str, Any] = to_plain(config)
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
        kind = fields[key].type
        unknown = [
            ConfigMistake(inner, f"unknown config key {inner!r}; {hint}")
            for inner, hint in unknown_keys(value, kind, key)
        ]
        mistakes += unknown or _mistakes_of_value(key, value, kind)
    if not mistakes:
        try:
            of_plain(config, struct)
        except msgspec.ValidationError as error:
            missing = [k for k, field in fields.items() if field.required and k not in config]
            advice = f"; set {', '.join(f'config.{key}' for key in missing)}" if missing else ""
            mistakes.append(ConfigMistake("", f"config: {error}{advice}"))
    return mistakes


def _mistakes_of_value(key: str, value: object, kind: Any) -> list[ConfigMistake]:  # noqa: ANN401
    try:
        of_plain(value, kind)
    except msgspec.ValidationError as error:
        inside = _INSIDE.search(str(error))
        if inside:  # msgspec says where in the value it is; that is a key too
            inner, text = key + inside[1], str(error)[: inside.start()]
            return [ConfigMistake(inner, f"config key {inner!r}: {text}")]
        return [ConfigMistake(key, f"config key {key!r}: {error}{_hint(value, kind)}")]
    return []


def make_config(
    plain: Mapping[str, Any], struct: type[msgspec.Struct] | None
) -> msgspec.Struct | Mapping[str, Any]:
    """Return what a node finds in `self.config`: its struct, or a read-only mapping."""
    return MappingProxyType(plain) if struct is None else of_plain(plain, struct)


def to_plain(value: object) -> Any:  # noqa: ANN401 - whatever it holds
    """Return a config, or a part of one, as values of JSON, and bytes; paths become texts.

    Raises:
        TypeError: It holds what has no such form.
    """
    return msgspec.to_builtins(value, enc_hook=_plain_form)


def of_plain(value: object, kind: type[_T]) -> _T:
    """Return what a declared type makes of plain values.

    Raises:
        msgspec.ValidationError: They don't fit it.
    """
    return msgspec.convert(value, kind, dec_hook=_special_form)


def schema_of(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a type that JSON has not, but configs may: the hook of msgspec.

    Raises:
        TypeError: A pipeline file has no value of this type.
    """
    if issubclass(kind, PurePath):
        return {"type": "string", "format": "path"}
    raise TypeError(f"a pipeline file has no values of type {kind.__name__}")


def writable(struct: type[msgspec.Struct], *, typed: bool = True) -> type[msgspec.Struct]:
    """Return a struct of the same keys whose defaults a JSON Schema can have.

    A default that no pipeline file could have is left out, as if it were computed.

    Args:
        struct: What a node type declares.
        typed: Whether its keys have their types; else any value fits.
    """
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        default: Any = msgspec.field()
        if field.default is not msgspec.NODEFAULT:
            try:
                default = msgspec.field(default=_as_written(field.default))
            except TypeError:
                default = msgspec.field(default_factory=object)
        elif field.default_factory is not msgspec.NODEFAULT:
            default = msgspec.field(default_factory=field.default_factory)
        fields.append((field.name, field.type if typed else Any, default))
    return msgspec.defstruct(
        struct.__name__,
        fields,
        namespace={"__doc__": struct.__doc__},
        module=struct.__module__,
        rename={field.name: field.encode_name for field in msgspec.structs.fields(struct)},
        kw_only=True,
    )


def _as_written(default: object) -> object:
    return str(default) if isinstance(default, PurePath) else (to_plain(default), default)[1]


def _plain_form(value: object) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in a pipeline file")


def _special_form(kind: type[Any], value: object) -> object:
    if not isinstance(kind, type) or get_origin(kind):  # Callable[[int], int] is a type on 3.10
        raise TypeError(f"no value in a pipeline file is a `{kind}`; leave it out")
    if issubclass(kind, PurePath) and isinstance(value, (str, PurePath)):
        return kind(value)
    raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def _hint(value: object, kind: Any) -> str:  # noqa: ANN401 - a type, or what stands for one
    """Return what would be valid, where only some words are."""
    choices = [text for text in _choices(msgspec.inspect.type_info(kind)) if isinstance(text, str)]
    return f"; {near(value, choices)}" if choices and isinstance(value, str) else ""


def _choices(info: msgspec.inspect.Type) -> Iterator[object]:
    if isinstance(info, msgspec.inspect.UnionType):
        for part in info.types:
            yield from _choices(part)
    elif isinstance(info, msgspec.inspect.LiteralType):
        yield from info.values
    elif isinstance(info, msgspec.inspect.EnumType):
        yield from (member.value for member in info.cls)
    elif isinstance(info, msgspec.inspect.Metadata):
        yield from _choices(info.type)
