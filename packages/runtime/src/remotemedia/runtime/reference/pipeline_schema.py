"""JSON Schema of pipeline files, for editors: a node's config is checked by its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.runtime.channels.plan import MAX_CAPACITY, POLICIES
from remotemedia.runtime.node_options import NodeOptions
from remotemedia.runtime.reference.config_schema import config_schema
from remotemedia.runtime.reference.docstrings import attribute_docs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remotemedia.core.plugin import NodeSpec

__all__ = ["pipeline_schema"]

_END = r"^\s*[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)?\s*$"
_EDGE = r"^\s*[A-Za-z0-9_][A-Za-z0-9_.-]*\s*->\s*[A-Za-z0-9_][A-Za-z0-9_.-]*\s*$"
#: Options that may be written in another way than they are kept.
_WRITTEN = {"max_memory": {"type": ["integer", "string"]}}


def pipeline_schema(
    specs: Iterable[NodeSpec], elsewhere: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the JSON Schema (draft 7, what editors for TOML know) of pipeline files.

    A node type that is not among `specs` is accepted where it names a class, as `file.py:Class`,
    and in files that name `extra_paths` to look for others.

    Args:
        specs: The node types that there are.
        elsewhere: Those that are only in environments of nodes, each with its summary: their
            config is checked there, and here it may be anything.
    """
    known = sorted(specs, key=lambda spec: spec.name)
    definitions: dict[str, Any] = {}
    configs = {}
    for spec in known:
        configs[spec.name], more = config_schema(spec)
        definitions.update(more)
    summaries = {**(elsewhere or {}), **{spec.name: spec.summary for spec in known}}
    definitions["node"] = _node(summaries, configs)
    definitions["node"]["allOf"] = [_rule(s, configs[s.name], definitions) for s in known]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "RemoteMedia pipeline",
        "type": "object",
        "properties": _top(),
        "required": ["nodes"],
        "additionalProperties": False,
        "if": {"required": ["extra_paths"]},
        "else": _only_known(summaries),
        "definitions": definitions,
    }


def _top() -> dict[str, Any]:
    ends = {"type": "array", "items": {"type": "string", "pattern": _END}}
    return {
        "name": {"type": "string", "description": "For people; by default the file's name."},
        "extra_paths": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Directories with node modules, relative to this file.",
        },
        "inputs": {**ends, "description": "What the application sends to, as node.port."},
        "outputs": {**ends, "description": "What the application receives from, as node.port."},
        "edges": {
            "type": "array",
            "items": {"anyOf": [{"type": "string", "pattern": _EDGE}, _edge()]},
            "description": 'Connections: "node.port -> node.port", or tables.',
        },
        "nodes": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"$ref": "#/definitions/node"},
            "description": "The nodes: a table [nodes.NAME] for each.",
        },
    }


def _edge() -> dict[str, Any]:
    end = {"type": "string", "pattern": _END}
    return {
        "type": "object",
        "required": ["from", "to"],
        "additionalProperties": False,
        "properties": {
            "from": {**end, "description": "The output, as node.port."},
            "to": {**end, "description": "The input, as node.port."},
            "policy": {
                "enum": [*POLICIES],
                "description": "What happens when the receiver has no room.",
            },
            "capacity": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_CAPACITY,
                "description": "How many messages may wait.",
            },
            "message_bytes": {
                "type": "integer",
                "minimum": 1,
                "description": "The payload of a usual message, in bytes.",
            },
        },
    }


def _node(summaries: Mapping[str, str], configs: dict[str, Any]) -> dict[str, Any]:
    # Editors check `if`, and complete what `anyOf` may hold: neither alone does both.
    return {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {
                "anyOf": [
                    *({"enum": [n], "description": summaries[n]} for n in sorted(summaries)),
                    {"type": "string"},
                ],
                "description": "An installed node type, module:Class, or file.py:Class.",
            },
            "config": {
                "anyOf": [*configs.values(), {"type": "object"}],
                "description": "Settings of the node itself.",
            },
            "executor": {
                "type": "string",
                "description": "What runs it.",
                "default": "multiprocess",
            },
            "on_error": {
                "enum": ["stop", "continue"],
                "default": "stop",
                "description": "What an exception in process does.",
            },
            **_options(),
        },
        "additionalProperties": False,
    }


def _rule(spec: NodeSpec, config: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return what holds for nodes of a type."""
    rule: dict[str, Any] = {"properties": {"config": config}}
    body = definitions.get(config.get("$ref", "").rpartition("/")[2], {})
    if body.get("required"):
        rule["required"] = ["config"]
    is_type = {"properties": {"type": {"enum": [spec.name]}}, "required": ["type"]}
    return {"if": is_type, "then": rule}


def _options() -> dict[str, Any]:
    docs = attribute_docs(NodeOptions)
    return {
        field.name: {
            **(_WRITTEN.get(field.name) or _written(field.type)),
            "description": docs.get(field.name, ""),
        }
        for field in msgspec.structs.fields(NodeOptions)
    }


def _written(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - any annotation
    """Return the schema of an option as it stands in TOML, which has no null."""
    schema = msgspec.json.schema(kind, schema_hook=lambda _: {"type": "string"})  # a path
    parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    return parts[0] if len(parts) == 1 else schema


def _only_known(names: Iterable[str]) -> dict[str, Any]:
    """Return what holds where no other node types can be found than those installed."""
    types = {"anyOf": [{"enum": sorted(names)}, {"pattern": ":"}]}
    node = {"properties": {"type": types}}
    return {"properties": {"nodes": {"additionalProperties": node}}}
