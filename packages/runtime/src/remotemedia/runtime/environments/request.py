"""What a node's environment is to be: found somewhere, or made of requirements."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.environments.packing import identity_of
from remotemedia.runtime.environments.pythons import OLDEST, is_version, own_version
from remotemedia.runtime.environments.requirements import (
    InvalidRequirementText,
    fingerprint,
    name_of,
    normalised,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.config import MultiprocessConfig

__all__ = [
    "MATCHING",
    "ExistingEnvironment",
    "InvalidRequest",
    "MadeEnvironment",
    "of_everyone",
    "requested",
]

#: What every environment gets, whatever else is in it.
MATCHING = ("remotemedia-sdk", "remotemedia-runtime")
_FORMAT = 2  # of what is made: raised when environments of older runtimes must not be used
# Settings of uv that decide which versions are chosen.
_CHOOSING = ("UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_OVERRIDE", "UV_PRERELEASE", "UV_RESOLUTION")


class InvalidRequest(ValueError):
    """An environment that can't be.

    Attributes:
        key: Which of the node's keys is meant: `python`, `venv_path` or `requirements`.
        reason: Why, and what to do.
    """

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        super().__init__(f"{key}: {reason}")


class ExistingEnvironment(msgspec.Struct, frozen=True):
    """An environment that somebody else has made.

    Attributes:
        executable: Its interpreter.
    """

    executable: str

    def __str__(self) -> str:
        return self.executable


class MadeEnvironment(msgspec.Struct, frozen=True):
    """An environment that the runtime makes.

    Attributes:
        python: A version, or the path of the interpreter that it is made from.
        requirements: What is installed into it, normalised and sorted.
        packed: Distributions of this installation that are installed into it besides: what has
            to be the same on both sides.
    """

    python: str
    requirements: tuple[str, ...]
    packed: tuple[str, ...]

    def __str__(self) -> str:
        python = f"Python {self.python}" if is_version(self.python) else self.python
        return f"{python} with {', '.join(self.content) or 'the runtime alone'}"

    @property
    def content(self) -> tuple[str, ...]:
        """What is in it besides what is in every one."""
        return (*self.requirements, *(name for name in self.packed if name not in MATCHING))

    @property
    def key(self) -> str:
        """What tells environments of different content apart; also the name of the directory."""
        parts = [
            _FORMAT,
            self.python,
            self.requirements,
            [fingerprint(requirement) for requirement in self.requirements],
            [identity_of(name) for name in self.packed],
            sysconfig.get_platform(),
            {name: os.environ[name] for name in _CHOOSING if os.environ.get(name)},
        ]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        version = f"py{self.python}" if is_version(self.python) else "python"
        return f"{version}-{digest[:20]}"


def requested(
    *,
    python: str | None,
    venv_path: str | None,
    requirements: Sequence[str] | None,
    distribution: str | None,
    known: bool,
) -> ExistingEnvironment | MadeEnvironment | None:
    """Find out what a node asks for.

    Args:
        python: A version, or an interpreter.
        venv_path: A virtual environment.
        requirements: What the environment is made of; paths are absolute.
        distribution: The installed distribution that provides the node's type, if one does.
        known: Whether the node's type is known here.

    Returns:
        None where the node runs in the application's own environment.

    Raises:
        InvalidRequest: What is asked for can't be.
    """
    if venv_path is not None:
        return _unless_own(_in_venv(venv_path, python, requirements))
    wanted = _parsed(requirements or ())
    if python is not None and not is_version(python):
        executable = _interpreter(python)
        if not wanted:
            return _unless_own(executable)
        python = executable
    elif python is not None:
        _check_version(python)
    if not wanted and python in (None, own_version()):
        return None
    names = {name_of(requirement) for requirement in wanted}
    if not wanted and not known:
        raise InvalidRequest(
            "python",
            f"an environment of Python {python} has to be made for this node, and nothing that is "
            'installed here provides its type: name what does with requirements = ["…"]',
        )
    packed = [name for name in (*MATCHING, distribution) if name and name not in names]
    return MadeEnvironment(python or own_version(), wanted, tuple(packed))


def of_everyone(config: MultiprocessConfig) -> ExistingEnvironment | None:
    """Return where nodes run that ask for nothing; None for the application's own environment."""
    wanted = config.python_executable
    if config.venv_path is not None:
        wanted = Path(config.venv_path) / "bin" / "python"
    found = None if wanted is None else shutil.which(os.fspath(wanted))
    return None if found is None else _unless_own(found)


def _unless_own(executable: str) -> ExistingEnvironment | None:
    return None if Environment(executable).is_own else ExistingEnvironment(executable)


def _in_venv(venv_path: str, python: str | None, requirements: Sequence[str] | None) -> str:
    for key, value in (("requirements", requirements), ("python", python)):
        if value:
            raise InvalidRequest(
                "venv_path",
                f"is set together with {key}: an environment is either there, or made of "
                "requirements; remove one of the two",
            )
    executable = Path(venv_path) / "bin" / "python"
    if not os.access(executable, os.X_OK):
        what = "has no bin/python" if Path(venv_path).is_dir() else "is no directory"
        raise InvalidRequest(
            "venv_path",
            f"{venv_path} {what}; make it with 'python -m venv {venv_path}' and install "
            "remotemedia-runtime and the node's package into it",
        )
    return str(executable)


def _interpreter(python: str) -> str:
    found = shutil.which(python)
    if found is None:
        raise InvalidRequest(
            "python",
            f"there is no interpreter {python!r}; give a version as '3.12', or the path of one "
            "that has remotemedia-runtime installed",
        )
    return str(Path(found).absolute())


def _check_version(python: str) -> None:
    numbers = tuple(int(part) for part in python.rstrip("t").split("."))
    if numbers[0] != OLDEST[0] or numbers[: len(OLDEST)] < OLDEST[: len(numbers)]:
        oldest = ".".join(map(str, OLDEST))
        raise InvalidRequest("python", f"{python!r}: nodes need Python {oldest} or newer")


def _parsed(requirements: Sequence[str]) -> tuple[str, ...]:
    if isinstance(requirements, str) or not all(isinstance(r, str) for r in requirements):
        raise InvalidRequest("requirements", f"must be a list of strings, not {requirements!r:.80}")
    try:
        return tuple(sorted({normalised(requirement) for requirement in requirements}))
    except InvalidRequirementText as error:
        raise InvalidRequest("requirements", str(error)) from error
