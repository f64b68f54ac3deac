"""JSON Schema of a node type's config, and its fields in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.config import schema_of, to_plain, writable
from remotemedia.runtime.reference.docstrings import attribute_docs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotemedia.core.plugin import NodeSpec

__all__ = ["ConfigField", "config_fields", "config_schema", "type_text"]

_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
    "multipleOf": "a multiple of {}",
}
_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "none",
    "object": "table",
}


class ConfigField(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a node's config.

    Attributes:
        name: The key.
        type: What it takes, in words.
        required: Whether it has to be given.
        default: What it is otherwise, as a value of JSON; null also where it is computed.
        doc: What it means.
        example: A value to begin with, where there is no default, or none that can be written.
        keys: Those of a table that the type declares, with the defaults that they have in one that
            is given.
    """

    name: str
    type: str
    required: bool
    default: Any = None
    doc: str = ""
    example: Any = None
    keys: list[ConfigField] = []


def config_schema(spec: NodeSpec, at: str = "#/definitions") -> tuple[Any, dict[str, Any]]:
    """Return the JSON Schema of a node type's config, and the definitions that it refers to.

    Args:
        spec: The node type.
        at: Where the definitions will be, as a JSON pointer.
    """
    if spec.config is None:
        return {"type": "object"}, {}
    template = f"{at}/{spec.name}.{{name}}"
    try:
        schema, components = _components(writable(spec.config), template)
    except (TypeError, ValueError, KeyError):  # it has no form in JSON: its keys are known
        schema, components = _components(writable(spec.config, typed=False), template)
    for struct in _structs(msgspec.inspect.type_info(spec.config)):
        body = components.get(struct.__name__, {})
        _add_docs(body, attribute_docs(struct))
        _add_defaults(body, struct)
    definitions = {f"{spec.name}.{name}": body for name, body in components.items()}
    for body in definitions.values():
        if "properties" in body:  # as a pipeline is checked, whatever the struct says
            body["additionalProperties"] = False
    return schema, definitions


def _components(
    struct: type[msgspec.Struct], template: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    (schema,), components = msgspec.json.schema_components(
        (struct,), schema_hook=_custom, ref_template=template
    )
    return schema, components


def config_fields(spec: NodeSpec) -> list[ConfigField]:
    """Return the keys of a node type's config; none where it takes any."""
    if spec.config is None:
        return []
    schema, definitions = config_schema(spec)
    return _fields(_name(schema), definitions, ())


def _fields(table: str, definitions: dict[str, Any], around: tuple[str, ...]) -> list[ConfigField]:
    """Return the keys of a table; of one inside of itself, none."""
    if table in around:
        return []
    main = definitions[table]
    required = main.get("required", ())
    return [
        ConfigField(
            name=name,
            type=type_text(field, definitions),
            required=name in required,
            default=field.get("default"),
            doc=field.get("description", ""),
            example=_example(field, definitions) if field.get("default") is None else None,
            keys=_fields(_table(field), definitions, (*around, table)) if _table(field) else [],
        )
        for name, field in main.get("properties", {}).items()
    ]


def _table(schema: dict[str, Any]) -> str:
    """Return the definition of the table that a schema takes; empty if it takes anything else."""
    schema = schema["allOf"][0] if "allOf" in schema else schema
    return _name(schema) if "$ref" in schema else ""


def type_text(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Say in words what a schema takes."""
    if "$ref" in schema:
        name = _name(schema)
        target = definitions[name]
        return type_text(target, {}) if "enum" in target else f"table {name.rpartition('.')[2]}"
    if "allOf" in schema:
        return type_text(schema["allOf"][0], definitions)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_text(part, definitions) for part in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(_literal(value) for value in schema["enum"])
    kind = schema.get("type", schema.get("title", "anything"))
    if kind == "array":
        items = schema.get("items") or {}
        text = f"list of {type_text(items, definitions)}" if items else "list"
    else:
        text = "path" if schema.get("format") == "path" else _WORDS.get(kind, kind)
    if schema.get("minLength") == 1:
        text = f"{text} that is not empty"
        schema = {key: value for key, value in schema.items() if key != "minLength"}
    bounds = [form.format(schema[key]) for key, form in _BOUNDS.items() if key in schema]
    return f"{text} {', '.join(bounds)}" if bounds else text


def _example(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return a value that a schema takes, unless it has a pattern."""
    while "$ref" in schema or "anyOf" in schema or "allOf" in schema:
        several = schema.get("anyOf") or schema.get("allOf")
        schema = several[0] if several else definitions[_name(schema)]
    if "enum" in schema:
        return schema["enum"][0]
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    number = min(max(least, 0), schema.get("maximum", max(least, 0)))
    fields = schema.get("properties", {})
    items = [schema.get("items") or {}] * schema.get("minItems", 0)
    by_type = {
        "integer": number,
        "number": float(number),
        "boolean": False,
        "array": [_example(item, definitions) for item in items],
        "object": {n: _example(fields[n], definitions) for n in schema.get("required", ())},
    }
    return by_type.get(schema.get("type", ""), "…" * max(schema.get("minLength", 1), 1))


def _literal(value: object) -> str:
    return "none" if value is None else msgspec.json.encode(value).decode()


def _name(schema: dict[str, Any]) -> str:
    """Return the definition that a reference means."""
    return str(schema["$ref"].rpartition("/")[2])


def _structs(info: Any) -> Iterator[type[msgspec.Struct]]:  # noqa: ANN401 - whatever it may hold
    """Yield every struct that a type is made of."""
    todo, seen = [info], set[type[msgspec.Struct]]()
    while todo:
        info = todo.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
        if isinstance(info, (list, tuple)):
            todo += info
        elif isinstance(info, msgspec.Struct):
            todo += [getattr(info, name) for name in info.__struct_fields__]


def _custom(kind: type[object]) -> dict[str, Any]:
    """Return the schema of a type that only Python has."""
    try:
        return schema_of(kind)
    except TypeError:
        return {"title": kind.__name__}


def _add_defaults(schema: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Write down the defaults that are made, as those of tables are, if always the same."""
    for field in msgspec.structs.fields(struct):
        described = schema.get("properties", {}).get(field.encode_name)
        make = field.default_factory
        if described is None or "default" in described or make is msgspec.NODEFAULT:
            continue
        try:
            default, again = to_plain(make()), to_plain(make())
        except Exception:  # noqa: BLE001, S112 - a stranger's code; what it makes stays untold
            continue
        if default == again:
            described["default"] = default
            _beside_reference(described)


def _beside_reference(schema: dict[str, Any]) -> None:
    """Let what stands beside a reference be read; older drafts read nothing there."""
    if "$ref" in schema:
        schema["allOf"] = [{"$ref": schema.pop("$ref")}]


def _add_docs(schema: dict[str, Any], docs: dict[str, str]) -> None:
    for name, field in schema.get("properties", {}).items():
        if name in docs and "description" not in field:
            field["description"] = docs[name]
            _beside_reference(field)
    if "description" in schema:
        schema["description"] = schema["description"].partition("\n")[0]
