"""NodeOptions: what a pipeline says of the process that a node runs in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgspec

from remotemedia.core.errors import near

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "OPTIONS",
    "PATH_OPTIONS",
    "NodeOptions",
    "WrittenOptions",
    "anchor_environment",
    "check_options",
]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_NICEST, _LEAST_NICE = 19, -20
_CAP_SYS_NICE = 23


class WrittenOptions(TypedDict, total=False):
    """The options of a node, as keyword arguments of `Pipeline.add_node`; see `NodeOptions`."""

    max_memory: int | str
    environment: Mapping[str, str]
    working_directory: str | os.PathLike[str]
    cpu_affinity: Sequence[int]
    nice: int
    preload: Sequence[str]
    item_timeout_secs: float
    on_item_timeout: Literal["report", "kill"]
    python: str | os.PathLike[str]
    venv_path: str | os.PathLike[str]
    requirements: Sequence[str]


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline says of the process that a node runs in.

    Attributes:
        max_memory: Bytes of private memory that it may have; None for no limit.
        environment: Variables that it has besides the application's.
        working_directory: Where it runs; the application's own directory if None.
        cpu_affinity: The cores that it may use; empty for those of the application.
        nice: Its niceness, from -20 (first in line) to 19; the application's if None.
        preload: Modules that its interpreter imports once for all nodes that say the same; whose
            process starts later has them at once.
        item_timeout_secs: Seconds that it may work on one item; None for no limit.
        on_item_timeout: What happens when it takes longer: it is reported, or killed.
        python: A version, as `3.12`, or the interpreter that it runs in.
        venv_path: The virtual environment that it runs in.
        requirements: What the runtime makes an environment of for it; empty for none, whatever
            its type asks for.
    """

    max_memory: int | None = None
    environment: dict[str, str] = {}
    working_directory: Path | None = None
    cpu_affinity: tuple[int, ...] = ()
    nice: int | None = None
    preload: tuple[str, ...] = ()
    item_timeout_secs: float | None = None
    on_item_timeout: Literal["report", "kill"] = "report"
    python: str | None = None
    venv_path: str | None = None
    requirements: tuple[str, ...] | None = None


#: The keys of a node in a pipeline that are options of its process.
OPTIONS = NodeOptions.__struct_fields__
#: Those that are paths; in a pipeline file, relative to the file.
PATH_OPTIONS = ("working_directory", "venv_path")


def check_options(written: Mapping[str, Any]) -> tuple[NodeOptions, dict[str, str]]:
    """Check a node's options.

    Args:
        written: As they were written down.

    Returns:
        Those that make sense, and for each of the others what is wrong with it.
    """
    checked: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for key, value in written.items():
        check = _CHECKS.get(key)
        if check is None:
            problems[key] = f"unknown key {key!r}; {near(key, OPTIONS)}"
            continue
        try:
            checked[key] = check(value)
        except ValueError as error:
            problems[key] = f"{key} {error}"
    return NodeOptions(**checked), problems


def anchor_environment(written: dict[str, Any], base: Path) -> None:
    """Have the paths in `python` and `requirements` no longer depend on the working directory.

    Args:
        written: The options of a node as they were written down; changed.
        base: What relative paths are relative to.
    """
    python, requirements = written.get("python"), written.get("requirements")
    if isinstance(python, str) and "/" in python:
        written["python"] = str(base / Path(python).expanduser())
    if isinstance(requirements, (list, tuple)) and requirements:
        from remotemedia.runtime.environments.requirements import anchored

        written["requirements"] = [
            anchored(text, base) if isinstance(text, str) else text for text in requirements
        ]


def _memory(value: object) -> int:
    size = value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            size = int(float(match[1]) * 1024 ** _POWERS[match[2].upper()])
    if type(size) is not int or size <= 0:
        raise ValueError(f'must be a size as "2GB" or "512MB", or bytes, not {value!r:.60}')
    return size


def _environment(value: object) -> dict[str, str]:
    try:
        table = msgspec.convert(value, dict[str, str])
    except msgspec.ValidationError as error:
        raise ValueError(f"must be a table of strings: {error}") from None
    for name, text in table.items():
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(f"has a variable that no process can have: {name!r:.60}")
    return table


def _directory(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"must be a path, not {value!r:.60}")  # noqa: TRY004 - as all others
    path = Path(value).absolute()
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is no directory; make it, or correct the path")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{str(path)!r} can't be entered: permission denied")
    return path


def _python(value: object) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError(f'must be a version as "3.12", or an interpreter, not {value!r:.60}')
    return str(os.fspath(value))


def _venv(value: object) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError(f"must be a path, not {value!r:.60}")
    return str(Path(os.fspath(value)).absolute())


def _requirements(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f'must be a list as ["acme-denoise==1.2"], not {value!r:.60}')
    return tuple(value)


def _cores(value: object) -> tuple[int, ...]:
    numbers = list(value) if isinstance(value, (list, tuple, set, frozenset, range)) else []
    if not numbers or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError(f"must be a list of core numbers as [0, 1], not {value!r:.60}")
    wanted = set(numbers)
    mine = os.sched_getaffinity(0)
    try:  # affinity is a thread's; nothing but trying tells what the kernel permits
        os.sched_setaffinity(0, wanted)
        granted = os.sched_getaffinity(0)
    except (OSError, OverflowError, ValueError):
        granted = set()
    finally:
        os.sched_setaffinity(0, mine)
    missing = sorted(wanted - granted)
    if missing:
        count = os.cpu_count()
        raise ValueError(f"names cores that can't be used here: {missing}; there are {count}")
    return tuple(sorted(wanted))


def _niceness(value: object) -> int:
    if type(value) is not int or not _LEAST_NICE <= value <= _NICEST:
        raise ValueError(f"must be a whole number from -20 to 19, not {value!r:.60}")
    least = least_niceness()
    if value < least:
        raise ValueError(f"of {value} is not permitted to this user: it can be {least} or more")
    return value


def least_niceness() -> int:
    """Return the lowest niceness that this process may give to another of its user."""
    import resource  # there is none on other systems than Unix

    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> _CAP_SYS_NICE & 1:
            return _LEAST_NICE
    limit, _ = resource.getrlimit(resource.RLIMIT_NICE)
    permitted = _LEAST_NICE if limit == resource.RLIM_INFINITY else 20 - limit
    return min(os.getpriority(os.PRIO_PROCESS, 0), max(permitted, _LEAST_NICE))


def _modules(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, (list, tuple)) else [None]
    if not all(
        isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
        for name in names
    ):
        raise ValueError(f'must be a list of modules as ["torch"], not {value!r:.60}')
    return tuple(names)


def _seconds(value: object) -> float:
    if type(value) not in (int, float) or not 0 < value < float("inf"):  # type: ignore[operator]
        raise ValueError(f"must be a number of seconds above 0, not {value!r:.60}")
    return float(value)  # type: ignore[arg-type]


def _on_item_timeout(value: object) -> str:
    if value not in ("report", "kill"):
        raise ValueError(f"is 'report' or 'kill', not {value!r:.60}")
    return str(value)


_CHECKS: dict[str, Callable[[object], object]] = {
    "max_memory": _memory,
    "environment": _environment,
    "working_directory": _directory,
    "cpu_affinity": _cores,
    "nice": _niceness,
    "preload": _modules,
    "item_timeout_secs": _seconds,
    "on_item_timeout": _on_item_timeout,
    "python": _python,
    "venv_path": _venv,
    "requirements": _requirements,
}
