"""The inventory: every node type that a pipeline here could name, and what is broken."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.runtime.configuration import load
from remotemedia.runtime.nodetypes import NodeType, local_types, resolve_type
from remotemedia.runtime.plugins import Catalog, discover

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Inventory", "take_inventory"]


@dataclass
class Inventory:
    """Every node type that there is.

    Attributes:
        catalog: What is installed.
        local: What files in `extra_paths` register.
        problems: What is wrong with other files there.
        extra_paths: Where was looked.
    """

    catalog: Catalog
    local: list[NodeType]
    problems: list[str]
    extra_paths: tuple[Path, ...]

    @property
    def nodes(self) -> list[NodeType]:
        """All of them, by name; of a local and an installed one of the same name, the local one."""
        installed = {name: NodeType(node.spec) for name, node in self.catalog.nodes.items()}
        local = {node.spec.name: node for node in self.local}
        return [node for _, node in sorted({**installed, **local}.items())]

    def find(self, name: str) -> NodeType:
        """Return what a name means; see `resolve_type`.

        Raises:
            UnknownNodeType: Nothing has this name.
        """
        return resolve_type(name, self.catalog, self.extra_paths)


def take_inventory(extra_paths: Sequence[Path] = ()) -> Inventory:
    """Look for node types, as a runtime in this directory would.

    Args:
        extra_paths: Directories with node modules, besides those of the configuration.

    Raises:
        ConfigError: The configuration has a mistake.
    """
    config, policy = load()
    paths = (*map(Path, config.extra_paths), *extra_paths)
    with contextlib.redirect_stdout(sys.stderr):  # a plugin that prints must not spoil our output
        catalog = discover(policy=policy)
        local, problems = local_types(paths)
    return Inventory(catalog, local, problems, paths)
