"""Which interpreter a Python version or a name means."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

__all__ = ["OLDEST", "is_version", "own_base", "own_version", "version_to_find"]

#: The oldest Python that nodes run in.
OLDEST = (3, 10)
_VERSION = re.compile(r"\d+(\.\d+){0,2}t?")


def is_version(python: str) -> bool:
    """Say whether it is a version, as `3.12`, and not the path or name of an interpreter."""
    return _VERSION.fullmatch(python) is not None


def own_version() -> str:
    """Return the version of this process, as `3.12`."""
    return "{}.{}".format(*sys.version_info)


def own_base() -> str:
    """Return the interpreter that this process's environment was made from."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def version_to_find(version: str) -> str:
    """Return what to ask uv for: an interpreter of this version, or the version itself.

    uv looks on PATH and knows its own ones. What it can't see is behind the shims of pyenv,
    which fail for versions that are not active.
    """
    if version in (own_version(), "{}.{}.{}".format(*sys.version_info)):
        return own_base()
    found = shutil.which(f"python{version}")
    if found is not None and "shims" not in Path(found).parts:
        return found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    matching = [p for p in root.glob(f"{version}*") if _matches(p.name, version)]
    for folder in sorted(matching, key=lambda path: _numbers(path.name), reverse=True):
        if (python := folder / "bin" / "python").is_file():
            return str(python)
    return version


def _matches(name: str, version: str) -> bool:
    return is_version(name) and (name == version or name.startswith(f"{version}."))


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.rstrip("t").split(".")]
