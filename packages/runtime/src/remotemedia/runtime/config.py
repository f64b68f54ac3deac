"""Configuration of the runtime: `MultiprocessConfig`, from arguments, environment and file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.errors import ConfigError, near

if TYPE_CHECKING:
    from collections.abc import Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["MultiprocessConfig", "load_config", "parse_toml", "read_text", "read_toml"]

_ENVIRONMENT = "REMOTEMEDIA_"
_LINE_OF_ERROR = re.compile(r"\(at line (\d+), column \d+\)")
#: Tables of a `runtime.toml`; what [plugins] holds is in `plugins.policy`.
_TABLES = ("multiprocess", "plugins")
_POSITIVE = (
    "channel_capacity",
    "init_timeout_secs",
    "max_processes_per_session",
    "shm_segment_size",
)
_PYTHON_KEYS = {
    "executable": "python_executable",
    "venv_path": "venv_path",
    "extra_paths": "extra_paths",
    "preload": "preload",
    "environments_dir": "environments_dir",
}


class MultiprocessConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How node processes are run.

    Attributes:
        max_processes_per_session: More nodes than this are refused; None for no limit.
        channel_capacity: Messages that may wait in a channel whose edge says nothing else.
        init_timeout_secs: Seconds in which every node has to be ready.
        cleanup_grace_period_secs: Seconds that nodes get to stop before they are killed.
        enable_backpressure: Edges that name no policy block when full; if False, they drop their
            oldest message.
        shm_segment_size: Bytes that one channel may have in flight; it keeps at most half as much
            more. Of a `drop_oldest` edge only the messages are counted.
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
        for key in self.__struct_fields__:
            _checked(key, getattr(self, key), self.__class__.__name__)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: It can't be read, or is not TOML; with the place.
    """
    return parse_toml(path, read_text(path))


def read_text(path: Path) -> str:
    """Read a file.

    Raises:
        ConfigError: It can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(str(path), "", "no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "", f"is no UTF-8 text: {error}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(str(path), "", f"can't be read: {reason}") from error


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Parse what a TOML file holds.

    Raises:
        ConfigError: It is not TOML; with the place.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _LINE_OF_ERROR.search(str(error))
        where = f"{path}:{line.group(1)}" if line else str(path)
        raise ConfigError(where, "", f"not valid TOML: {error}") from error


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
        ConfigError: A key is unknown or a value has the wrong type.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    default = Path("runtime.toml")
    if file is None and default.is_file():
        file = default
    if file is not None:
        for key, value in _from_file(file).items():
            values[key], sources[key] = value, str(file)
    for key, value in _from_environment(os.environ if environment is None else environment).items():
        values[key], sources[key] = value, f"environment variable {_ENVIRONMENT}{key.upper()}"
    for key, value in arguments.items():
        values[key], sources[key] = value, "argument"
    for key in values:
        if key not in MultiprocessConfig.__struct_fields__:
            known = near(key, MultiprocessConfig.__struct_fields__)
            raise ConfigError(sources[key], key, f"unknown; {known}")
    return _convert(values, sources)


def _convert(values: dict[str, Any], sources: dict[str, str]) -> MultiprocessConfig:
    return MultiprocessConfig(
        **{key: _checked(key, value, sources[key]) for key, value in values.items()}
    )


def _checked(key: str, value: Any, source: str) -> Any:  # noqa: ANN401
    """Return a value as its field has it, or raise ConfigError with where it came from."""
    if key == "extra_paths":
        if not isinstance(value, (list, tuple)) or not all(map(_is_path, value)):
            raise ConfigError(source, key, f"must be a list of paths, not {value!r:.60}")
        return tuple(value)
    if key in ("venv_path", "python_executable", "environments_dir"):
        if not (value is None or _is_path(value)):
            raise ConfigError(source, key, f"must be a path, not {value!r:.60}")
        return value
    types = {field.name: field.type for field in msgspec.structs.fields(MultiprocessConfig)}
    try:
        value = msgspec.convert(value, types[key], strict=not source.startswith("environment"))
    except msgspec.ValidationError as error:
        raise ConfigError(source, key, str(error)) from error
    if key in ("cleanup_grace_period_secs", "spin_us"):
        if not value >= 0:
            raise ConfigError(source, key, "must not be negative")
    elif key in _POSITIVE and value is not None and not value > 0:
        raise ConfigError(source, key, "must be positive")
    return value


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def _from_file(path: Path) -> dict[str, Any]:
    table = read_toml(path)
    for key in table:
        if key not in _TABLES:
            raise ConfigError(str(path), key, f"unknown; {near(key, _TABLES)}")
    values = _table(path, "multiprocess", table.get("multiprocess", {}))
    python = _table(path, "multiprocess.python", values.pop("python", {}))
    for key, value in python.items():
        if key not in _PYTHON_KEYS:
            raise ConfigError(
                str(path), f"multiprocess.python.{key}", f"unknown; {near(key, _PYTHON_KEYS)}"
            )
        values[_PYTHON_KEYS[key]] = value
    base = path.parent
    for key in ("venv_path", "environments_dir"):
        if isinstance(values.get(key), str):
            values[key] = base / values[key]
    if isinstance(values.get("extra_paths"), list):
        values["extra_paths"] = [
            base / entry if isinstance(entry, str) else entry for entry in values["extra_paths"]
        ]
    return values


def _table(path: Path, name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise ConfigError(str(path), name, f"must be a table: [{name}]")
    return dict(value)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in MultiprocessConfig.__struct_fields__:
        text = environment.get(_ENVIRONMENT + field.upper())
        if text is None:
            continue
        if field in ("extra_paths", "preload"):
            values[field] = [entry for entry in text.split(os.pathsep) if entry]
        elif text.lower() in ("none", "null"):
            values[field] = None
        else:
            values[field] = text
    return values
