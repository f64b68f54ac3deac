"""The description of a node type: what `remotemedia nodes show` tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.ports import ConfigValue
from remotemedia.runtime.reference.config_schema import ConfigField, config_fields, config_schema
from remotemedia.runtime.reference.snippet import snippet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.core.ports import Port
    from remotemedia.runtime.nodetypes import NodeType
    from remotemedia.runtime.plugins import Catalog

__all__ = ["NodeDescription", "PortDescription", "describe"]


class PortDescription(msgspec.Struct, frozen=True):
    """A port of a node type.

    Attributes:
        name: Its name.
        type: What passes.
        required: Whether it has to be connected.
        doc: What it is for.
        when: The config key that it depends on, with the values that a node has it with; null where
            every node has it.
    """

    name: str
    type: str
    required: bool
    doc: str
    when: dict[str, list[ConfigValue]] | None = None


class NodeDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a node type without importing it.

    Attributes:
        type: Its name in pipelines.
        summary: What it does.
        plugin: The plugin that provides it; null for a local class.
        distribution: The distribution that it comes from; null for a local class.
        version: The distribution's version.
        target: Its class, as `module:Class`.
        source: The file of a local class.
        inputs: Its inputs.
        outputs: Its outputs.
        config: The keys of its config; null where it takes any.
        schema: The JSON Schema of its config.
        snippet: A node of this type, as it stands in a pipeline file.
    """

    type: str
    summary: str
    plugin: str | None
    distribution: str | None
    version: str | None
    target: str
    source: str | None
    inputs: list[PortDescription]
    outputs: list[PortDescription]
    config: list[ConfigField] | None
    schema: dict[str, Any]
    snippet: str


def _ports(ports: Sequence[Port]) -> list[PortDescription]:
    return [PortDescription(p.name, p.type, p.required, p.doc, _condition(p)) for p in ports]


def _condition(port: Port) -> dict[str, list[ConfigValue]] | None:
    return None if port.when is None else {port.when[0]: [*port.when[1]]}


def describe(node: NodeType, catalog: Catalog, written: str = "") -> NodeDescription:
    """Describe a node type.

    Args:
        node: The node type.
        catalog: Where it comes from, if it is installed.
        written: What a pipeline says for it; its name if empty.
    """
    spec = node.spec
    installed = catalog.nodes.get(spec.name)
    plugin = installed.plugin if installed is not None and installed.spec is spec else None
    schema, definitions = config_schema(spec)
    return NodeDescription(
        type=spec.name,
        summary=spec.summary,
        plugin=plugin.name if plugin else None,
        distribution=(plugin.distribution or None) if plugin else None,
        version=(plugin.version or None) if plugin else None,
        target=spec.target,
        source=node.source or None,
        inputs=_ports(spec.inputs),
        outputs=_ports(spec.outputs),
        config=None if spec.config is None else config_fields(spec),
        schema={**schema, "definitions": definitions} if definitions else schema,
        snippet=snippet(spec, written=written),
    )
