"""The import path of the quick start: nodes, and with the runtime installed also pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import register_node

if TYPE_CHECKING:
    from remotemedia.runtime import Pipeline, Session

__all__ = ["MultiprocessNode", "Pipeline", "Session", "register_node"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name not in ("Pipeline", "Session"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from remotemedia import runtime
    except ModuleNotFoundError as error:
        if error.name != "remotemedia.runtime":
            raise
        raise ImportError(
            f"{name} needs the runtime: pip install 'remotemedia-sdk[multiprocess]'"
        ) from error
    return getattr(runtime, name)
