"""An interpreter that nodes run in, and how programs are started in its environment."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.runtime.environments.lock import EnvironmentLock

__all__ = ["Environment"]

# They would lead into the application's environment.
_LEADING_BACK = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "CONDA_PREFIX")


@dataclass(frozen=True)
class Environment:
    """An interpreter, with what is installed for it.

    Attributes:
        executable: The interpreter.
        description: What it is, for people.
        lock: Held for as long as it is used, where the runtime has made it.
    """

    executable: str
    description: str = ""
    lock: EnvironmentLock | None = None

    def __str__(self) -> str:
        return self.description or self.executable

    @property
    def is_own(self) -> bool:
        """Whether it is the application's own."""
        mine, its = Path(sys.executable), Path(self.executable)
        return mine == its or (mine.parent == its.parent and mine.resolve() == its.resolve())

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs its interpreter.

        Neither the working directory nor variables of the application may add modules to an
        environment that is not its own.
        """
        return [self.executable, *(() if self.is_own else ("-I",)), *arguments]

    def variables(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables of its processes: the application's, adapted."""
        if self.is_own:
            return dict(ours)
        variables = {name: value for name, value in ours.items() if name not in _LEADING_BACK}
        folder = Path(self.executable).absolute().parent
        variables.pop("VIRTUAL_ENV", None)
        if (folder.parent / "pyvenv.cfg").is_file():
            variables["VIRTUAL_ENV"] = str(folder.parent)
        variables["PATH"] = os.pathsep.join(filter(None, (str(folder), ours.get("PATH"))))
        return variables
