"""How node types are made known: NodeSpec, the pluggy hook, and `register_node`.

Importing this module costs no numpy, so that a plugin's entry point module stays cheap.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pluggy

from remotemedia.core.ports import Port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import msgspec

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "NodeSpec",
    "Port",
    "hookimpl",
    "load_object",
    "register_node",
    "registered_nodes",
]

#: Version of the contract between plugins and runtime; raised when an old plugin would break.
API_VERSION = 1
#: The entry-point group whose modules are asked for node types.
ENTRY_POINT_GROUP = "remotemedia.nodes"

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("remotemedia")
#: Marks a plugin's `remotemedia_nodes` function.
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("remotemedia")

_T = TypeVar("_T", bound="type[Any]")


@dataclass(frozen=True)
class NodeSpec:
    """The description of a node type; all that discovery needs, without importing the node.

    Attributes:
        name: The type's name in pipelines.
        target: Where the class is, as `"package.module:Class"`.
        inputs: Input ports; one `input` of any type unless declared.
        outputs: Output ports; one `output` of any type unless declared.
        config: A `msgspec.Struct` class that config is checked against; None takes any mapping.
        summary: One line that says what the node does.
        api_version: The `API_VERSION` that the plugin was written for.
        requirements: What an environment of the node's own needs besides the distribution of its
            plugin; such a node never runs in the application's environment.
        python: The Python version of that environment; the application's if empty.
    """

    name: str
    target: str
    inputs: Sequence[Port] = (Port("input"),)
    outputs: Sequence[Port] = (Port("output"),)
    config: type[msgspec.Struct] | None = None
    summary: str = ""
    api_version: int = API_VERSION
    requirements: Sequence[str] = ()
    python: str = ""


class NodesHook(Protocol):
    """The hook that a plugin implements."""

    def __call__(self) -> Iterable[NodeSpec]:
        """Return the node types of this plugin."""


class HookSpecs:
    """The hooks of the group `remotemedia.nodes`."""

    @hookspec
    def remotemedia_nodes(self) -> Iterable[NodeSpec]:
        """Return the node types of this plugin; import no node class to do so."""
        raise AssertionError("a hook specification is never called")


@dataclass
class _Registry:
    specs: dict[str, NodeSpec] = field(default_factory=dict)


_registry = _Registry()


def load_object(target: str) -> Any:  # noqa: ANN401 - whatever is named
    """Import what `"module:Name"` names."""
    module_name, _, path = target.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def registered_nodes() -> dict[str, NodeSpec]:
    """Return the node types that `register_node` has seen in this process, by name."""
    return dict(_registry.specs)


def register_node(
    name: str,
    *,
    inputs: Sequence[Port] = (Port("input"),),
    outputs: Sequence[Port] = (Port("output"),),
    config: type[msgspec.Struct] | None = None,
    summary: str = "",
    requirements: Sequence[str] = (),
    python: str = "",
) -> Callable[[_T], _T]:
    """Register a local class as a node type, without a package.

    The arguments are those of `NodeSpec`.
    """

    def register(cls: _T) -> _T:
        spec = NodeSpec(
            name=name,
            target=f"{cls.__module__}:{cls.__qualname__}",
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            config=config,
            summary=summary or (cls.__doc__ or "").strip().partition("\n")[0],
            requirements=tuple(requirements),
            python=python,
        )
        _registry.specs[name] = spec
        cls.__remotemedia_spec__ = spec
        return cls

    return register
