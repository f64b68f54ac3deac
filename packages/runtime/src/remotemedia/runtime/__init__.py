"""RemoteMedia's runtime: pipelines whose nodes run in processes of their own.

The public names are imported when they are used, so that the command line starts fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.runtime.config import MultiprocessConfig as MultiprocessConfig
    from remotemedia.runtime.executors.base import Executor as Executor
    from remotemedia.runtime.executors.inline import InlineExecutor as InlineExecutor
    from remotemedia.runtime.executors.multiprocess import (
        MultiprocessExecutor as MultiprocessExecutor,
    )
    from remotemedia.runtime.node_status import Progress as Progress
    from remotemedia.runtime.pipeline import Pipeline as Pipeline
    from remotemedia.runtime.runtime import Runtime as Runtime
    from remotemedia.runtime.session import Session as Session

_HOMES = {
    "Executor": "executors.base",
    "InlineExecutor": "executors.inline",
    "MultiprocessConfig": "config",
    "MultiprocessExecutor": "executors.multiprocess",
    "Pipeline": "pipeline",
    "Progress": "node_status",
    "Runtime": "runtime",
    "Session": "session",
}

__all__ = [
    "Executor",
    "InlineExecutor",
    "MultiprocessConfig",
    "MultiprocessExecutor",
    "Pipeline",
    "Progress",
    "Runtime",
    "Session",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
