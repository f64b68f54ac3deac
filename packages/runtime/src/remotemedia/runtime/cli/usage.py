"""Mistakes in how the command was called, and how every error is told on one screen."""

from __future__ import annotations

import re
import signal
import traceback
from typing import TYPE_CHECKING

from remotemedia.core import errors
from remotemedia.core.errors import (
    ConfigError,
    InitTimeout,
    NodeError,
    PipelineError,
    PluginError,
    RemoteMediaError,
    ResourceLimitError,
)

if TYPE_CHECKING:
    from remotemedia.runtime.cli.events import ErrorEvent

__all__ = ["DONE", "FAILED", "MISUSED", "Interrupted", "UsageMistake", "error_event", "exit_code"]

DONE, FAILED, MISUSED = 0, 1, 2
_SCREEN_LINES = 24
_LIMIT_BEFORE_START = "max_processes_per_session"


class UsageMistake(RemoteMediaError):
    """The command was called in a way that makes no sense; nothing was started."""


class Interrupted(Exception):
    """A signal asked the command to stop.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        self.number = signal.Signals(number)
        super().__init__(f"stopped by {self.number.name}")


def exit_code(error: BaseException, *, running: bool) -> int:
    """Return the exit code for an error.

    Args:
        error: The error.
        running: Whether nodes had been started by then.
    """
    if isinstance(error, Interrupted):
        return 128 + error.number
    if isinstance(error, (UsageMistake, PipelineError)):
        return MISUSED
    if isinstance(error, ResourceLimitError) and error.setting == _LIMIT_BEFORE_START:
        return MISUSED
    return MISUSED if not running and isinstance(error, RemoteMediaError) else FAILED


def error_event(
    error: BaseException, code: int | None, *, debug: bool, fatal: bool = True
) -> ErrorEvent:
    """Describe an error: in few lines, or with all tracebacks."""
    from remotemedia.runtime.cli.events import ErrorEvent

    return ErrorEvent(
        type=type(error).__name__,
        message=_message(error, debug=debug),
        node=getattr(error, "node_id", None),
        item=getattr(error, "item", None) or None,
        fatal=fatal,
        exit_code=code,
        traceback=_tracebacks(error) if debug else None,
    )


def _message(error: BaseException, *, debug: bool) -> str:
    if isinstance(error, NodeError):
        lines = [error.summary]
        explained = error.remote_type in errors.__all__  # says itself what is wrong
        place = _last_place(error.remote_traceback)
        if place and not explained:
            lines.append(f"  {place}")
        if not (debug or explained):
            lines.append("  --debug shows the whole traceback")
        return _on_one_screen("\n".join(lines))
    if isinstance(error, InitTimeout):
        # The stack of the thread that initializes comes first.
        text = str(error) if debug else str(error).partition("\n\n")[0]
        others = text != str(error)
        return _on_one_screen(text) + "\n  --debug shows the other threads" * others
    if isinstance(error, (PipelineError, ConfigError, PluginError)):
        return str(error)
    if isinstance(error, (RemoteMediaError, Interrupted)):
        return _on_one_screen(str(error))
    return f"internal error: {type(error).__name__}: {error}" + (
        "" if debug else "; --debug shows where"
    )


_IN_STANDARD_LIBRARY = re.compile(r"/lib/python3\.\d+/(?!(site|dist)-packages/)|<frozen ")


def _last_place(remote: str) -> str:
    """Return where in the node's own code an exception was raised: the last line that says so."""
    places = [line.strip() for line in remote.splitlines() if line.startswith('  File "')]
    own = [place for place in places if not _IN_STANDARD_LIBRARY.search(place)]
    return (own or places or [""])[-1]


def _on_one_screen(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= _SCREEN_LINES:
        return text
    half = _SCREEN_LINES // 2
    left_out = f"  … {len(lines) - 2 * half} lines left out …"
    return "\n".join([*lines[:half], left_out, *lines[-half:]])


def _tracebacks(error: BaseException) -> str:
    here = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    remote = getattr(error, "remote_traceback", "") or getattr(error, "stack", "")
    return here if not remote or remote.rstrip() in here else f"{remote.rstrip()}\n\n{here}"
