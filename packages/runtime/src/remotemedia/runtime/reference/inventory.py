"""The inventory: every node type that a pipeline here could name, and what is broken."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.configuration import load
from remotemedia.runtime.environments.answers import Questions
from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.environments.placement import installed_type
from remotemedia.runtime.environments.request import (
    ExistingEnvironment,
    InvalidRequest,
    MadeEnvironment,
    of_everyone,
    requested,
)
from remotemedia.runtime.environments.requirements import anchored
from remotemedia.runtime.environments.store import Store
from remotemedia.runtime.environments.survey import Unusable, survey
from remotemedia.runtime.nodetypes import NodeType, UnknownNodeType, local_types, resolve_type
from remotemedia.runtime.plugins import Catalog, discover
from remotemedia.runtime.plugins.streams import streams_of_their_own
from remotemedia.runtime.reference.description import describe
from remotemedia.runtime.reference.snippet import with_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.core.plugin import NodeSpec
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.environments.answers import BrokenPlugin, FoundType
    from remotemedia.runtime.plugins import PluginPolicy
    from remotemedia.runtime.reference.description import NodeDescription

__all__ = ["Entry", "Inventory", "take_inventory"]


@dataclass(frozen=True)
class Entry:
    """A node type, and where it runs.

    Attributes:
        type: The type.
        environment: The environment that its nodes run in; None for this one.
        described: What that environment says of it; None where it is known here.
        written: What a pipeline says for it, where that is not the type's name, as `file.py:Class`.
    """

    type: NodeType
    environment: ExistingEnvironment | MadeEnvironment | None = None
    described: NodeDescription | None = None
    written: str = ""

    @property
    def name(self) -> str:
        """What a pipeline says for it."""
        return self.written or self.type.spec.name


@dataclass
class Inventory:
    """Every node type that there is.

    Attributes:
        catalog: What is installed.
        local: What files in `extra_paths` register.
        elsewhere: What is in environments of nodes, and not here.
        problems: What is wrong with other files there, and in the environment of all nodes.
        extra_paths: Where was looked.
        store: Where environments of nodes are kept.
        policy: Which plugins may be used.
    """

    catalog: Catalog
    local: list[NodeType]
    elsewhere: list[Entry]
    problems: list[BrokenPlugin | str]
    extra_paths: tuple[Path, ...]
    store: Store
    policy: PluginPolicy

    @property
    def entries(self) -> list[Entry]:
        """All of them, by name; of a local and an installed one of the same name, the local one."""
        installed = {name: NodeType(node.spec) for name, node in self.catalog.nodes.items()}
        local = {node.spec.name: node for node in self.local}
        here = [self._here(node) for node in {**installed, **local}.values()]
        return sorted([*here, *self.elsewhere], key=lambda entry: entry.type.spec.name)

    @property
    def nodes(self) -> list[NodeType]:
        """Those that are known here."""
        return [entry.type for entry in self.entries if entry.described is None]

    def find(self, name: str) -> Entry:
        """Return what a name means; see `resolve_type`.

        Raises:
            UnknownNodeType: Nothing has this name.
        """
        try:
            found = self._here(resolve_type(name, self.catalog, self.extra_paths))
            is_named = self._is_installed(found.type.spec) or ":" not in name
            return found if is_named else replace(found, written=name)
        except UnknownNodeType:
            for entry in self.elsewhere:
                if entry.type.spec.name == name:
                    return entry
            raise

    def describe(self, entry: Entry) -> NodeDescription:
        """Return all that is known of a node type."""
        described, wanted = entry.described, entry.environment
        if described is None:
            return describe(entry.type, self.catalog, entry.written)
        if not isinstance(wanted, MadeEnvironment):
            return described
        piece = with_environment(described.snippet, wanted.python, wanted.requirements)
        return msgspec.structs.replace(described, snippet=piece)

    def _here(self, node: NodeType) -> Entry:
        spec = node.spec
        installed = self.catalog.nodes.get(spec.name)
        from_package = self._is_installed(spec)
        base = Path(node.source).parent if node.source else Path()
        with contextlib.suppress(InvalidRequest):  # a pipeline is told
            wanted = requested(
                python=spec.python or None,
                venv_path=None,
                requirements=tuple(anchored(text, base) for text in spec.requirements),
                distribution=installed.plugin.distribution if installed and from_package else None,
                known=True,
            )
            return Entry(node, wanted)
        return Entry(node)

    def _is_installed(self, spec: NodeSpec) -> bool:
        installed = self.catalog.nodes.get(spec.name)
        return installed is not None and installed.spec is spec


def take_inventory(extra_paths: Sequence[Path] = (), *, elsewhere: bool = True) -> Inventory:
    """Look for node types, as a runtime in this directory would.

    Args:
        extra_paths: Directories with node modules, besides those of the configuration.
        elsewhere: Look into environments of nodes too.

    Raises:
        ConfigError: The configuration has a mistake.
    """
    config, policy = load()
    paths = (*map(Path, config.extra_paths), *extra_paths)
    with streams_of_their_own():
        catalog = discover(policy=policy)
        local, broken = local_types(paths)
    problems: list[BrokenPlugin | str] = [*broken]
    known = {*catalog.nodes, *(node.spec.name for node in local)}
    store = Store(config.environments_dir)
    others = [*_of_everyone(config, policy, problems), *_made(store)] if elsewhere else []
    found = [entry for entry in others if entry.type.spec.name not in known]
    return Inventory(catalog, local, found, problems, paths, store, policy)


def _made(store: Store) -> list[Entry]:
    """Return the types in environments that were made for nodes, as they were noted then."""
    return [_entry(found, record.wanted) for _, record in store.records() for found in record.types]


def _of_everyone(
    config: MultiprocessConfig, policy: PluginPolicy, problems: list[BrokenPlugin | str]
) -> list[Entry]:
    """Return the types in the environment that all nodes run in, where that is not this one."""
    wanted = of_everyone(config)
    if wanted is None:
        return []
    asked = survey(Environment(wanted.executable), Questions(policy), config.init_timeout_secs)
    try:
        answer = asyncio.run(asked)
    except Unusable as error:
        problems.append(str(error))
        return []
    problems += answer.problems
    return [_entry(found, wanted) for found in answer.types]


def _entry(found: FoundType, where: ExistingEnvironment | MadeEnvironment) -> Entry:
    return Entry(installed_type(found), where, found.described)
