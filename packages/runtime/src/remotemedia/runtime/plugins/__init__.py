"""Installed plugins: which node types there are, and which plugins can't be used and why."""

from remotemedia.runtime.plugins.catalog import Catalog as Catalog
from remotemedia.runtime.plugins.catalog import InstalledNode as InstalledNode
from remotemedia.runtime.plugins.discovery import discover as discover
from remotemedia.runtime.plugins.policy import PluginPolicy as PluginPolicy

__all__ = ["Catalog", "InstalledNode", "PluginPolicy", "discover"]
