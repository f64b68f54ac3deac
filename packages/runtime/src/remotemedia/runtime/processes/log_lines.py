"""What a node logs: lines among its output that bring their level along."""

from __future__ import annotations

import logging
import sys

__all__ = ["log_to_parent", "unmarked"]

# A character that texts have no use for; then the level, then the line.
_MARK = b"\x1d"
_LEVEL_DIGITS = 3


def log_to_parent(level: int) -> None:
    """Have everything logged in this process arrive in the application's logging.

    Args:
        level: What is less is not even written: the application would not take it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Marking("%(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)


def unmarked(line: bytes) -> tuple[int | None, bytes]:
    """Split the level off a line, which has one if it was logged."""
    if not line.startswith(_MARK):
        return None, line
    level, _, text = line[1:].partition(b" ")
    if not level.isdigit() or len(level) > _LEVEL_DIGITS:
        return None, line  # somebody else's
    return int(level), text


class _Marking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        mark = f"{_MARK.decode()}{min(record.levelno, 10**_LEVEL_DIGITS - 1)} "
        return "\n".join(mark + line for line in super().format(record).split("\n"))
