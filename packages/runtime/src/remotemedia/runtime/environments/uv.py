"""uv, the installer that makes environments: found, and called."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from remotemedia.runtime.environments.program import Ended, run_program

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MissingInstaller", "call", "find"]

# Becomes uv after asking the kernel to kill it when the runtime's thread ends (PR_SET_PDEATHSIG):
# gigabytes must not go on arriving for a program that was killed.
_END_WITH_US = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"
    "os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])"
)


class MissingInstaller(Exception):
    """There is no uv; the text says how to get it."""


def find() -> str:
    """Return where uv is: the installed package's, else the one on PATH.

    Raises:
        MissingInstaller: It is nowhere.
    """
    try:
        return str(import_module("uv").find_uv_bin())
    except (ImportError, OSError):
        found = shutil.which("uv")
    if found is None:
        raise MissingInstaller(
            "environments are made with uv, which is neither installed nor on PATH: "
            "pip install 'remotemedia-runtime[environments]'"
        )
    return found


async def call(*arguments: str, lock: int, on_line: Callable[[str], object]) -> Ended:
    """Run uv; it sees the user's own configuration and UV_ variables.

    Args:
        arguments: Of uv.
        lock: Held by it too, so that nobody takes over what it still writes.
        on_line: Called with each line that it says.

    Raises:
        MissingInstaller: There is no uv.
    """
    variables = {**os.environ, "NO_COLOR": "1", "UV_NO_WRAP": "1"}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"):
        variables.pop(name, None)
    # A node that starts often must not compile what it imports often, or at all in a cache that
    # can only be read.
    variables.setdefault("UV_COMPILE_BYTECODE", "1")
    return await run_program(
        [sys.executable, "-I", "-S", "-c", _END_WITH_US, str(os.getpid()), find(), *arguments],
        variables=variables,
        pass_fds=(lock,),
        on_line=on_line,
    )
