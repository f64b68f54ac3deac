"""The whole configuration: every section of `runtime.toml`, and all that is wrong in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ConfigError
from remotemedia.runtime.config import MULTIPROCESS, TABLES, load_config
from remotemedia.runtime.plugins.policy import PLUGINS, load_policy
from remotemedia.runtime.settings import SettingsFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.plugins.policy import PluginPolicy
    from remotemedia.runtime.settings import Setting

__all__ = ["explain", "load"]


def load(
    config: MultiprocessConfig | None = None, policy: PluginPolicy | None = None
) -> tuple[MultiprocessConfig, PluginPolicy]:
    """Put together what is not given, from the environment and the `runtime.toml` here.

    Raises:
        ConfigError: With every mistake.
    """
    if config is not None:
        return config, load_policy() if policy is None else policy
    if policy is not None:
        return load_config(), policy
    file = SettingsFile.find(None)
    config_found = MULTIPROCESS.gather(file, os.environ, {})
    policy_found = PLUGINS.gather(file, os.environ, {})
    problems = [*(file.strangers(TABLES) if file else ()), *policy_found.problems]
    return config_found.built(problems), policy_found.built()


def explain(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **arguments: Any,  # noqa: ANN401
) -> tuple[list[Setting], ConfigError | None]:
    """Tell what is in effect, and where each value comes from.

    Args:
        file: A `runtime.toml`; by default the one in the working directory, if there is one.
        environment: The environment variables; those of this process if None.
        arguments: Fields of `MultiprocessConfig`, as they would be given to `load_config`.

    Returns:
        Every setting, and what is wrong: values that are have no effect here, and are an error for
        whoever starts a runtime.

    Raises:
        ConfigError: The file can't be read, or is not TOML.
    """
    source = SettingsFile.find(file)
    variables = os.environ if environment is None else environment
    problems = source.strangers(TABLES) if source else []
    settings: list[Setting] = []
    for found in (
        MULTIPROCESS.gather(source, variables, arguments),
        PLUGINS.gather(source, variables, {}),
    ):
        settings += found.settings.values()
        problems += found.problems
    return settings, ConfigError.of(problems) if problems else None
