"""Output of node processes: line by line into the application's logging, the last lines kept."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from remotemedia.runtime.processes.memory import lacks_memory

__all__ = ["LastLines", "OutputLog"]

_LINE_AT_MOST = 8192
_KEPT_LINES = 40


class LastLines:
    """The last lines that a process wrote.

    Attributes:
        lacks_memory: Whether any of its lines, also of those before, tells of memory refused.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.lacks_memory = False

    def add(self, line: str) -> None:
        """Take note of a line."""
        self._lines.append(line)
        if not self.lacks_memory:
            self.lacks_memory = lacks_memory(line)

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines."""
        return tuple(self._lines)


class OutputLog(asyncio.Protocol):
    """Reads one pipe of a node.

    Args:
        session_id: Goes with each record as `session`.
        node_id: Goes with each record as `node`.
        level: Of the records.
        kept: Where the last lines are kept; the pipes of a node share it.
    """

    def __init__(self, session_id: str, node_id: str, level: int, kept: LastLines) -> None:
        self._logger = logging.getLogger(f"remotemedia.node.{node_id}")
        self._extra = {"session": session_id, "node": node_id}
        self._level, self._kept = level, kept
        self._rest = b""
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Log the lines that are complete; a very long one in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._log(line)
        while len(self._rest) > _LINE_AT_MOST:
            self._log(self._rest[:_LINE_AT_MOST])
            self._rest = self._rest[_LINE_AT_MOST:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Log what the last line has, complete or not."""
        del exc
        if self._rest:
            self._log(self._rest)
        if not self.closed.done():
            self.closed.set_result(None)

    def _log(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self._kept.add(text)
        self._logger.log(self._level, "%s", text, extra=self._extra)
