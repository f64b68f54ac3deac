"""Nodes for tests of sessions in real processes."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from remotemedia.core.node import MultiprocessNode

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData


class Twice(MultiprocessNode):
    """Says it twice, and how."""

    def process(self, data: RuntimeData) -> list[str]:
        how = self.config.get("how", "")
        return [f"{data.payload}{how}", str(os.getpid())]


class Sleeps(MultiprocessNode):
    """Takes its time."""

    def process(self, data: RuntimeData) -> None:
        time.sleep(60)


class Forks(MultiprocessNode):
    """Starts a process that outlives it."""

    def process(self, data: RuntimeData) -> str:
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        return str(child.pid)
