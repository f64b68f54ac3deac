"""The catalog: what discovery has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.core.errors import PluginError
    from remotemedia.core.plugin import NodeSpec

__all__ = ["PACKAGE_OF_TYPE", "BlockedPlugin", "Catalog", "InstalledNode", "InstalledPlugin"]

#: What to install for the node types of this project.
PACKAGE_OF_TYPE = {
    "whisper": "remotemedia-nodes-whisper[tiny-en]",
    "piper_tts": "remotemedia-nodes-tts[piper]",
    "kokoro_tts": "remotemedia-nodes-tts[kokoro]",
    "lfm2_audio": "remotemedia-nodes-lfm2",
}


@dataclass(frozen=True)
class InstalledPlugin:
    """An entry point of the group `remotemedia.nodes`.

    Attributes:
        name: The entry point's name.
        module: What it names: a module, or `module:object`.
        distribution: Name of the distribution that declares it; empty if it belongs to none.
        version: The distribution's version.
    """

    name: str
    module: str
    distribution: str = ""
    version: str = ""

    @property
    def origin(self) -> str:
        """The distribution, with its version."""
        return f"{self.distribution} {self.version}".strip() or "an unknown package"


@dataclass(frozen=True)
class InstalledNode:
    """A node type, and where it comes from."""

    spec: NodeSpec
    plugin: InstalledPlugin


@dataclass(frozen=True)
class BlockedPlugin:
    """A plugin that the policy keeps out; nothing of it was imported.

    Attributes:
        plugin: The plugin.
        reason: Which setting keeps it out.
    """

    plugin: InstalledPlugin
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin.name!r} of {self.plugin.origin}: {self.reason}"


@dataclass
class Catalog:
    """What is installed.

    Attributes:
        nodes: Node types by name.
        problems: Plugins, or node types of plugins, that can't be used.
        blocked: Plugins that the policy keeps out.
        seconds: How long each plugin took to say what it has, by the plugin's name.
    """

    nodes: dict[str, InstalledNode] = field(default_factory=dict)
    problems: list[PluginError] = field(default_factory=list)
    blocked: list[BlockedPlugin] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
