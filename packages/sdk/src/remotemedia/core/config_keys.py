"""Keys that the tables inside of a config have, and their structs have not.

msgspec leaves out what a struct does not know, unless the struct says otherwise. In a pipeline file
that is a misspelt setting, which would have no effect.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from msgspec import inspect

from remotemedia.core.errors import near

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["unknown_keys"]

_TABLES = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_LISTS = (inspect.ListType, inspect.VarTupleType)


def unknown_keys(value: object, kind: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield each unknown key inside of a value, dotted, and what would be valid.

    Args:
        value: A value of a config.
        kind: What its struct declares for it.
        path: The key of the value.
    """
    return _unknown(value, inspect.type_info(kind), path)


def _unknown(value: object, info: inspect.Type, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(info, inspect.Metadata):
        yield from _unknown(value, info.type, path)
    elif isinstance(info, inspect.UnionType):
        part = _meant(value, info)
        if part is not None:
            yield from _unknown(value, part, path)
    elif isinstance(value, dict) and isinstance(info, _TABLES):
        yield from _unknown_of_table(value, info, path)
    elif isinstance(value, dict) and isinstance(info, inspect.DictType):
        for key, inner in value.items():
            yield from _unknown(inner, info.value_type, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, (inner, kind) in enumerate(zip(value, _kinds_of_items(info), strict=False)):
            yield from _unknown(inner, kind, f"{path}[{number}]")


def _kinds_of_items(info: inspect.Type) -> Iterable[inspect.Type]:
    if isinstance(info, _LISTS):
        return itertools.repeat(info.item_type)
    return info.item_types if isinstance(info, inspect.TupleType) else ()


def _unknown_of_table(
    value: dict[Any, object],
    info: inspect.StructType | inspect.DataclassType | inspect.TypedDictType,
    path: str,
) -> Iterator[tuple[str, str]]:
    if getattr(info, "array_like", False):
        return
    fields = {field.encode_name: field for field in info.fields}
    tag = getattr(info, "tag_field", None)
    for key, inner in value.items():
        if key in fields:
            yield from _unknown(inner, fields[key].type, f"{path}.{key}")
        elif key != tag:
            yield f"{path}.{key}", near(str(key), fields)


def _meant(value: object, info: inspect.UnionType) -> inspect.Type | None:
    """Return the part of a union that a table or a list is meant to be; its tag tells."""
    if isinstance(value, dict):
        for part in info.types:
            tag = getattr(part, "tag_field", None)
            is_table = isinstance(part, (*_TABLES, inspect.DictType))
            if is_table and (tag is None or value.get(tag) == getattr(part, "tag", None)):
                return part
    elif isinstance(value, (list, tuple)):
        for part in info.types:
            if isinstance(part, (*_LISTS, inspect.TupleType)):
                return part
    return None
