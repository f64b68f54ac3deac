"""Policy: which installed plugins may be used, by name."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.errors import ConfigError, near
from remotemedia.runtime.config import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.runtime.plugins.catalog import InstalledPlugin

__all__ = ["PluginPolicy", "load_policy"]

_ENVIRONMENT = "REMOTEMEDIA_PLUGINS_"
_LISTS = ("allow", "block")


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
        if not self.timeout_secs > 0:
            raise ConfigError(type(self).__name__, "timeout_secs", "must be positive")

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
    default = Path("runtime.toml")
    if file is None and default.is_file():
        file = default
    table: Any = read_toml(file).get("plugins", {}) if file is not None else {}
    if not isinstance(table, dict):
        raise ConfigError(str(file), "plugins", "must be a table: [plugins]")
    policy = {key: _checked(key, value, f"{file}", key) for key, value in table.items()}
    for name, text in (os.environ if environment is None else environment).items():
        if name.startswith(_ENVIRONMENT):
            key = name.removeprefix(_ENVIRONMENT).lower()
            value = [part.strip() for part in text.split(",") if part.strip()]
            policy[key] = _checked(key, value if key in _LISTS else text, "environment", name)
    return PluginPolicy(**policy)


def _checked(key: str, value: Any, where: str, name: str) -> Any:  # noqa: ANN401
    fields = {field.name: field.type for field in msgspec.structs.fields(PluginPolicy)}
    name = name if where == "environment" else f"plugins.{name}"
    if key not in fields:
        raise ConfigError(where, name, f"unknown; {near(key, fields)}")
    try:
        return msgspec.convert(value, fields[key], strict=where != "environment")
    except msgspec.ValidationError as error:
        raise ConfigError(where, name, str(error)) from error
