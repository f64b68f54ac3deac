"""Configuration of the runtime: `MultiprocessConfig`, from arguments, environment and file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.runtime.settings import Section, SettingsFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["MULTIPROCESS", "TABLES", "MultiprocessConfig", "load_config"]

#: Tables of a `runtime.toml`; what [plugins] holds is in `plugins.policy`.
TABLES = ("multiprocess", "plugins")
_POSITIVE = (
    "channel_capacity",
    "init_timeout_secs",
    "max_processes_per_session",
    "shm_segment_size",
)
_NOT_NEGATIVE = ("cleanup_grace_period_secs", "spin_us")
_PATHS = ("python_executable", "venv_path", "environments_dir")


class MultiprocessConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How node processes are run.

    Attributes:
        max_processes_per_session: More nodes than this are refused; None for no limit.
        channel_capacity: Messages that may wait in a channel whose edge says nothing else.
        init_timeout_secs: Seconds in which every node has to be ready.
        cleanup_grace_period_secs: Seconds that nodes get to stop before they are killed.
        enable_backpressure: Edges that name no policy block when full; if False, they drop their
            oldest message.
        shm_segment_size: Bytes of messages that one channel may have waiting and held by its
            consumers; a message may take half of them. Loans that are being filled come on top,
            half as much at most; and when larger messages come than ever before, the memory of
            those before for as long as a consumer keeps one of them.
        spin_us: Microseconds that a node whose `process` is a plain function looks for the next
            item before it sleeps. That takes a core meanwhile, and saves waking up.
        python_executable: The interpreter of node processes; the application's own if None.
        venv_path: A virtual environment whose interpreter runs them instead.
        extra_paths: Directories where node modules are looked for.
        preload: Modules that are imported once for all nodes, before they start.
        environments_dir: Where environments are kept that the runtime makes for nodes;
            `remotemedia/environments` in the user's cache directory if None.
    """

    max_processes_per_session: int | None = 10
    channel_capacity: int = 100
    init_timeout_secs: float = 30.0
    cleanup_grace_period_secs: float = 5.0
    enable_backpressure: bool = True
    shm_segment_size: int = 268_435_456
    spin_us: int = 0
    python_executable: str | os.PathLike[str] | None = None
    venv_path: str | os.PathLike[str] | None = None
    extra_paths: tuple[str | os.PathLike[str], ...] = ()
    preload: tuple[str, ...] = ()
    environments_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        MULTIPROCESS.recheck(self)


def _checked(key: str, value: Any, strict: bool) -> Any:  # noqa: ANN401, FBT001
    """Return a value as its field has it; see `Section.check`."""
    if key == "extra_paths":
        if not isinstance(value, (list, tuple)) or not all(map(_is_path, value)):
            raise ValueError(f"must be a list of paths, not {value!r:.60}")
        return tuple(value)
    if key in _PATHS:
        if not (value is None or _is_path(value)):
            raise ValueError(f"must be a path, not {value!r:.60}")
        return value
    types = {field.name: field.type for field in msgspec.structs.fields(MultiprocessConfig)}
    value = msgspec.convert(value, types[key], strict=strict)
    if key in _NOT_NEGATIVE and not value >= 0:
        raise ValueError("must not be negative")
    if key in _POSITIVE and value is not None and not value > 0:
        raise ValueError("must be positive")
    return value


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


#: The table [multiprocess].
MULTIPROCESS = Section(
    "multiprocess",
    MultiprocessConfig,
    "REMOTEMEDIA_",
    _checked,
    keys={
        "python_executable": "python.executable",
        "venv_path": "python.venv_path",
        "extra_paths": "python.extra_paths",
        "preload": "python.preload",
        "environments_dir": "python.environments_dir",
    },
    paths=("venv_path", "extra_paths", "environments_dir"),
    lists=("extra_paths", "preload"),
    others=("REMOTEMEDIA_PLUGINS_",),
)


def load_config(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **arguments: Any,  # noqa: ANN401
) -> MultiprocessConfig:
    """Put the configuration together: arguments over environment over file over defaults.

    Args:
        file: A `runtime.toml`; by default the one in the working directory, if there is one.
        environment: Variables `REMOTEMEDIA_<KEY>`; those of this process if None.
        arguments: Fields of `MultiprocessConfig`.

    Raises:
        ConfigError: Keys are unknown or values have the wrong type; with every mistake.
    """
    source = SettingsFile.find(file)
    variables = os.environ if environment is None else environment
    found = MULTIPROCESS.gather(source, variables, arguments)
    return found.built(source.strangers(TABLES) if source else ())
