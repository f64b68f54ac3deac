"""Discovery: every installed plugin is asked, and one that is broken hurts no other."""

from __future__ import annotations

import time
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import TYPE_CHECKING

from remotemedia.core.errors import PluginError
from remotemedia.core.plugin import ENTRY_POINT_GROUP
from remotemedia.runtime.plugins.asking import Interviewer, Unusable
from remotemedia.runtime.plugins.catalog import (
    BlockedPlugin,
    Catalog,
    InstalledNode,
    InstalledPlugin,
)
from remotemedia.runtime.plugins.policy import PluginPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["discover"]


def discover(
    entries: Iterable[EntryPoint] | None = None, policy: PluginPolicy | None = None
) -> Catalog:
    """Ask every installed plugin for its node types; no node class is imported.

    Of two that claim the same name, the one whose distribution comes first by name is used.

    Args:
        entries: The entry points to ask; all installed ones if None.
        policy: Which plugins may be used; all if None.

    Returns:
        What there is. Plugins that can't be used are among its problems.
    """
    search = _Search(PluginPolicy() if policy is None else policy)
    found = search.installed() if entries is None else [(_plugin(e), e) for e in entries]
    for plugin, entry in sorted(found, key=lambda pair: _order(pair[0])):
        search.look_at(plugin, entry)
    search.interviewer.close()
    return search.catalog


class _Search:
    def __init__(self, policy: PluginPolicy) -> None:
        self.policy, self.catalog = policy, Catalog()
        self.interviewer = Interviewer(policy.timeout_secs)
        self.by_name: dict[str, InstalledPlugin] = {}
        self.by_module: dict[str, InstalledPlugin] = {}

    def installed(self) -> list[tuple[InstalledPlugin, EntryPoint]]:
        try:
            return [(_plugin(entry), entry) for entry in entry_points(group=ENTRY_POINT_GROUP)]
        except Exception:  # noqa: BLE001 - some distribution's files are damaged: find out whose
            return self.one_by_one()

    def one_by_one(self) -> list[tuple[InstalledPlugin, EntryPoint]]:
        found: dict[str, list[tuple[InstalledPlugin, EntryPoint]]] = {}
        for distribution in distributions():
            name = version = ""
            try:
                name, version = str(distribution.name), str(distribution.version)
                if name not in found:  # the first on the path is the one that is imported
                    found[name] = [
                        (_plugin(entry), entry)
                        for entry in distribution.entry_points
                        if entry.group == ENTRY_POINT_GROUP
                    ]
            except Exception as error:  # noqa: BLE001 - whatever is in its files
                if ENTRY_POINT_GROUP in (distribution.read_text("entry_points.txt") or ""):
                    self.report(
                        InstalledPlugin("?", "", name or str(distribution), version),
                        f"its metadata is damaged: {type(error).__name__}: {error}",
                        "install it again",
                    )
        return [pair for pairs in found.values() for pair in pairs]

    def look_at(self, plugin: InstalledPlugin, entry: EntryPoint) -> None:
        refusal = self.policy.refusal(plugin)
        if refusal:
            self.catalog.blocked.append(BlockedPlugin(plugin, refusal))
            return
        other = self.by_name.get(plugin.name)
        if other is not None:
            self.report(
                plugin,
                f"{other.origin} has a plugin named {plugin.name!r} too, and that one is used",
                "uninstall one of the two, or block one by its distribution's name",
            )
            return
        other = self.by_module.get(plugin.module)
        if other is not None:
            self.report(
                plugin,
                f"{plugin.module} is the plugin {other.name!r} of {other.origin} already",
                "remove one of the entry points",
            )
            return
        began = time.perf_counter()
        try:
            specs = self.interviewer.ask(entry)
        except Unusable as error:
            self.report(plugin, error.reason, error.advice)
        else:
            self.by_name[plugin.name] = self.by_module[plugin.module] = plugin
            for spec in specs:
                self.add(InstalledNode(spec, plugin))
        self.catalog.seconds[plugin.name] = time.perf_counter() - began

    def add(self, node: InstalledNode) -> None:
        other = self.catalog.nodes.setdefault(node.spec.name, node)
        if other is not node:
            self.report(
                node.plugin,
                f"node type {node.spec.name!r} is already provided by plugin "
                f"{other.plugin.name!r} of {other.plugin.origin}, and that one is used",
                "uninstall one of the two, or block one",
            )

    def report(self, plugin: InstalledPlugin, reason: str, advice: str) -> None:
        self.catalog.problems.append(
            PluginError(
                plugin.name,
                plugin.distribution or "an unknown package",
                reason,
                version=plugin.version,
                advice=advice,
            )
        )


def _plugin(entry: EntryPoint) -> InstalledPlugin:
    dist = entry.dist
    return InstalledPlugin(
        entry.name,
        entry.value,
        dist.name or "" if dist is not None else "",
        dist.version or "" if dist is not None else "",
    )


def _order(plugin: InstalledPlugin) -> tuple[str, str]:
    return plugin.distribution.lower(), plugin.name
