"""Which node is meant: its class, and the description that its plugin gives of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeAlias

from remotemedia.core.errors import PluginError, near
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import ENTRY_POINT_GROUP, NodeSpec, load_object, registered_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

__all__ = ["Node", "Subject", "find_subject", "load_class"]

#: How tests name a node: its type, `"module:Class"`, its description, or its class.
Node: TypeAlias = str | NodeSpec | type[MultiprocessNode]


@dataclass(frozen=True)
class Subject:
    """A node type to be tested.

    Attributes:
        spec: Its description.
        plugin: The module that gives this description, as an entry point names it; empty for a
            class that is not packaged.
        cls: The class, where the test has it at hand.
    """

    spec: NodeSpec
    plugin: str = ""
    cls: type[MultiprocessNode] | None = None


def find_subject(node: Node | Subject) -> Subject:
    """Find out which node type is meant.

    A class is looked up among the plugins of its package, so that it is tested with the ports and
    the config that it declares there. A class that no plugin names is described by its
    `register_node`, or else has `input` and `output` of any type and takes any config.

    Raises:
        PluginError: No node type of this name is installed.
    """
    if isinstance(node, Subject):
        return node
    if isinstance(node, NodeSpec):
        return _with_plugin(node)
    if isinstance(node, str) and ":" not in node:
        return _named(node)
    cls: Any = load_object(node) if isinstance(node, str) else node
    target = f"{cls.__module__}:{cls.__qualname__}"
    spec = vars(cls).get("__remotemedia_spec__")
    if spec is None:
        for entry in _entries_beside(cls.__module__):
            for found in _specs_of(entry):
                if found.target == target:
                    return Subject(found, entry.value, cls)
        summary = (cls.__doc__ or "").strip().partition("\n")[0]
        spec = NodeSpec(cls.__name__, target, summary=summary)
    return Subject(spec, cls=cls)


def load_class(subject: Subject) -> type[MultiprocessNode]:
    """Import a node's class, or return the one that is at hand.

    Raises:
        PluginError: The target is not there, or no node.
    """
    spec, found = subject.spec, subject.cls
    advice = "correct the target in its NodeSpec"
    try:
        if found is None:
            found = load_object(spec.target)
    except (ImportError, AttributeError) as error:
        wrong = f"{spec.target!r} can't be imported ({type(error).__name__}: {error})"
        raise PluginError(spec.name, spec.target, wrong, advice=advice) from error
    if not (isinstance(found, type) and issubclass(found, MultiprocessNode)):
        wrong = f"{spec.target!r} is no subclass of MultiprocessNode"
    elif inspect.isabstract(found):
        wrong = f"{found.__name__} has no {', '.join(sorted(found.__abstractmethods__))}"
        advice = "write what is missing"
    else:
        return found
    raise PluginError(spec.name, spec.target, wrong, advice=advice)


def _named(name: str) -> Subject:
    local = registered_nodes().get(name)
    if local is not None:
        return Subject(local)
    known = set()
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        for spec in _specs_of(entry):
            if spec.name == name:
                return Subject(spec, entry.value)
            known.add(spec.name)
    raise PluginError(
        name,
        "this environment",
        f"no plugin that is installed has a node type {name!r}; {near(name, known)}",
        advice="install the package (pip install -e .), or name the class",
    )


def _with_plugin(spec: NodeSpec) -> Subject:
    for entry in _entries_beside(spec.target.partition(":")[0]):
        if any(found.name == spec.name for found in _specs_of(entry)):
            return Subject(spec, entry.value)
    return Subject(spec)


def _entries_beside(module: str) -> Iterator[EntryPoint]:
    """The entry points of the package that a module belongs to."""
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        package = entry.value.partition(":")[0].rpartition(".")[0] or entry.value
        if f"{module}.".startswith(f"{package}."):
            yield entry


def _specs_of(entry: EntryPoint) -> list[NodeSpec]:
    """What a plugin describes; nothing, where it is broken: its own tests will say so."""
    try:
        return list(entry.load().remotemedia_nodes())
    except Exception:  # noqa: BLE001 - a stranger's code
        return []
