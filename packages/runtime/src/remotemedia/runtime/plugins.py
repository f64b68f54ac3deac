"""Discovery: which node types are installed, and which plugins can't be used and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import pluggy

from remotemedia.core.errors import PluginError, near
from remotemedia.core.plugin import API_VERSION, ENTRY_POINT_GROUP, HookSpecs, NodeSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["PACKAGE_OF_TYPE", "Catalog", "InstalledNode", "discover"]

_HOOK = "remotemedia_nodes"
_MARK = "remotemedia_impl"  # the attribute that `hookimpl` leaves on a function

#: What to install for the node types of this project.
PACKAGE_OF_TYPE = {
    "whisper": "remotemedia-nodes-whisper[tiny-en]",
    "piper_tts": "remotemedia-nodes-tts[piper]",
    "kokoro_tts": "remotemedia-nodes-tts[kokoro]",
}


@dataclass(frozen=True)
class InstalledNode:
    """A node type, and where it comes from.

    Attributes:
        spec: The node type.
        plugin: Name of the entry point.
        distribution: Name and version of the distribution.
    """

    spec: NodeSpec
    plugin: str
    distribution: str


@dataclass
class Catalog:
    """What is installed.

    Attributes:
        nodes: Node types by name.
        problems: Plugins, or node types of plugins, that can't be used.
    """

    nodes: dict[str, InstalledNode] = field(default_factory=dict)
    problems: list[PluginError] = field(default_factory=list)


def discover(entries: Iterable[EntryPoint] | None = None) -> Catalog:
    """Ask every installed plugin for its node types; no node class is imported.

    A plugin that fails is reported in the catalog and hurts no other one.

    Args:
        entries: The entry points to ask; all installed ones if None.
    """
    catalog = Catalog()
    manager = pluggy.PluginManager("remotemedia")
    manager.add_hookspecs(HookSpecs)
    for entry in entry_points(group=ENTRY_POINT_GROUP) if entries is None else entries:
        dist = entry.dist
        distribution = f"{dist.name} {dist.version}" if dist is not None else "an unknown package"
        try:
            for spec in _specs(manager, entry):
                _add(catalog, InstalledNode(spec, entry.name, distribution))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code: one must not hurt the others
            reason = (
                str(error) if isinstance(error, _Unusable) else f"{type(error).__name__}: {error}"
            )
            catalog.problems.append(PluginError(entry.name, distribution, reason))
    return catalog


class _Unusable(Exception):
    pass


def _specs(manager: pluggy.PluginManager, entry: EntryPoint) -> list[NodeSpec]:
    plugin = entry.load()
    if manager.is_blocked(entry.name) or manager.get_plugin(entry.name) is not None:
        raise _Unusable(
            f"another distribution has a plugin named {entry.name!r} too; uninstall one of them"
        )
    if manager.is_registered(plugin):
        raise _Unusable(f"{entry.value} is registered under another plugin name already")
    typos = [
        name
        for name, member in vars(plugin).items()
        if callable(member) and hasattr(member, _MARK) and name != _HOOK
    ]
    if typos:
        raise _Unusable(f"there is no hook {typos[0]!r}; {near(typos[0], [_HOOK])}")
    hook: Callable[[], Iterable[NodeSpec]] | None = getattr(plugin, _HOOK, None)
    if hook is None or not hasattr(hook, _MARK):
        raise _Unusable(
            f"{entry.value} has no function {_HOOK}() marked with "
            "remotemedia.core.plugin.hookimpl; add it or remove the entry point"
        )
    manager.register(plugin, name=entry.name)
    specs = hook()
    if isinstance(specs, NodeSpec) or not hasattr(specs, "__iter__"):
        raise _Unusable(f"{_HOOK}() must return a list of NodeSpec, not {type(specs).__name__}")
    found = list(specs)
    for spec in found:
        _check(spec)
    return found


def _check(spec: object) -> None:
    if not isinstance(spec, NodeSpec):
        raise _Unusable(f"{_HOOK}() must return NodeSpec objects, not {type(spec).__name__}")
    if spec.api_version != API_VERSION:
        advice = "the plugin" if spec.api_version < API_VERSION else "remotemedia-runtime"
        raise _Unusable(
            f"node type {spec.name!r} was made for SDK API {spec.api_version}, this runtime has "
            f"{API_VERSION}; upgrade {advice}"
        )
    module, _, name = spec.target.partition(":")
    if not (module and name):
        raise _Unusable(f"target {spec.target!r} of {spec.name!r} must be 'module:Class'")


def _add(catalog: Catalog, node: InstalledNode) -> None:
    other = catalog.nodes.get(node.spec.name)
    if other is not None:
        reason = (
            f"node type {node.spec.name!r} is already provided by {other.distribution} and that "
            "one is used; uninstall one of the two"
        )
        catalog.problems.append(PluginError(node.plugin, node.distribution, reason))
    else:
        catalog.nodes[node.spec.name] = node
