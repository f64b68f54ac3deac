"""Policy: which installed plugins may be used, by name."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.runtime.config import TABLES
from remotemedia.runtime.settings import Section, SettingsFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.runtime.plugins.catalog import InstalledPlugin

__all__ = ["PLUGINS", "PluginPolicy", "load_policy"]


class PluginPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which installed plugins may be used.

    A name is that of a plugin (its entry point) or of a distribution; `*` stands for anything, as
    in `acme-*`. What is not allowed, or blocked, is not even imported.

    Attributes:
        allow: Only these are used; None allows all.
        block: These are not used, also when they are allowed.
        strict: A plugin that is broken is an error, also where nothing of it is used.
        timeout_secs: So long each plugin may take to say what it has.
    """

    allow: tuple[str, ...] | None = None
    block: tuple[str, ...] = ()
    strict: bool = False
    timeout_secs: float = 10.0

    def __post_init__(self) -> None:
        PLUGINS.recheck(self)

    def refusal(self, plugin: InstalledPlugin) -> str | None:
        """Return which setting keeps a plugin out, or None."""
        for pattern in self.block:
            if _means(pattern, plugin):
                return f"blocked by plugins.block = {pattern!r}"
        if self.allow is not None and not any(_means(name, plugin) for name in self.allow):
            return "not in plugins.allow"
        return None


def _means(pattern: str, plugin: InstalledPlugin) -> bool:
    distribution = _normal(plugin.distribution)
    return fnmatchcase(plugin.name, pattern) or (
        bool(distribution) and fnmatchcase(distribution, _normal(pattern))
    )


def _normal(name: str) -> str:
    """Return a distribution's name as all its spellings are compared."""
    return name.lower().replace("_", "-").replace(".", "-")


def load_policy(
    file: Path | None = None, environment: Mapping[str, str] | None = None
) -> PluginPolicy:
    """Put the policy together: environment over file over defaults.

    Args:
        file: A `runtime.toml`, with a table `[plugins]`; by default the one in the working
            directory, if there is one.
        environment: Variables `REMOTEMEDIA_PLUGINS_<KEY>`, lists separated by commas; those of this
            process if None.

    Raises:
        ConfigError: A key is unknown or a value has the wrong type.
    """
    source = SettingsFile.find(file)
    variables = os.environ if environment is None else environment
    return PLUGINS.gather(source, variables, {}).built(source.strangers(TABLES) if source else ())


def _checked(key: str, value: Any, strict: bool) -> Any:  # noqa: ANN401, FBT001
    """Return a value as its field has it; see `Section.check`."""
    types = {field.name: field.type for field in msgspec.structs.fields(PluginPolicy)}
    value = msgspec.convert(value, types[key], strict=strict)
    if key == "timeout_secs" and not value > 0:
        raise ValueError("must be positive")
    return value


#: The table [plugins].
PLUGINS = Section(
    "plugins",
    PluginPolicy,
    "REMOTEMEDIA_PLUGINS_",
    _checked,
    lists=("allow", "block"),
    separator=",",
    owns_prefix=True,
)
