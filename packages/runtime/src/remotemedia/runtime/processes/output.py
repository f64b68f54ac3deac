"""Output of node processes: line by line into the application's logging, the last lines kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import time
from collections import deque
from typing import TYPE_CHECKING

from remotemedia.runtime.processes.log_lines import unmarked
from remotemedia.runtime.processes.memory import lacks_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LastLines", "OutputLog", "node_logger"]

# In bytes; a longer line comes in pieces.
_LINE_AT_MOST = 8192
_KEPT_LINES = 40
# Logging these takes about a millisecond; in between, the runtime's thread does other things.
_LINES_AT_ONCE = 50
_READ_AT_ONCE, _READS_AT_MOST = 1 << 16, 16
# What could steer a terminal, or pretend to be a line of its own.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def node_logger(node_id: str) -> logging.Logger:
    """Return what takes all that a node writes and logs."""
    return logging.getLogger(f"remotemedia.node.{node_id}")


class LastLines:
    """The last lines that a process wrote.

    Attributes:
        lacks_memory: Whether any of its lines, also of those before, tells of memory refused.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.lacks_memory = False

    def add(self, lines: Sequence[str]) -> None:
        """Take note of lines."""
        self._lines.extend(lines[-_KEPT_LINES:])
        if not self.lacks_memory:
            self.lacks_memory = lacks_memory("\n".join(lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines."""
        return tuple(self._lines)


class OutputLog(asyncio.Protocol):
    """Reads one pipe of a node.

    However much a node writes, it takes the runtime's thread for half of its time at most: the pipe
    fills up meanwhile, and the node waits. Nothing is left out.

    Args:
        session_id: Goes with each record as `session`.
        node_id: Goes with each record as `node`.
        level: Of the records, unless a line brings its own.
        kept: Where the last lines are kept; the pipes of a node share it.

    Attributes:
        closed: Done when everything is logged.
    """

    def __init__(self, session_id: str, node_id: str, level: int, kept: LastLines) -> None:
        self._logger = node_logger(node_id)
        self._extra = {"session": session_id, "node": node_id}
        self._level, self._kept = level, kept
        self._rest = b""
        self._lines: deque[tuple[int, str]] = deque()
        self._is_paused = self._is_lost = False
        self._transport: asyncio.ReadTransport
        self._loop = asyncio.get_running_loop()
        self.closed = self._loop.create_future()

    def drain(self) -> None:
        """Take what the pipe still holds, now that nobody writes to it, and close it."""
        if self._is_lost:
            return
        fd = self._transport.get_extra_info("pipe").fileno()
        # A process that it has started may hold the other end: no more than a pipe can hold.
        with contextlib.suppress(BlockingIOError):
            for _ in range(_READS_AT_MOST):
                data = os.read(fd, _READ_AT_ONCE)
                if not data:
                    break
                self._take(data)
        self._transport.close()

    # ---- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Get to know the pipe."""
        assert isinstance(transport, asyncio.ReadTransport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Log the lines that are complete."""
        self._take(data)
        if not self._is_paused:
            self._log()

    def connection_lost(self, exc: Exception | None) -> None:
        """Log what the last line has, complete or not."""
        del exc
        self._is_lost = True
        self._take(b"\n" * bool(self._rest))
        if not self._is_paused:
            self._log()

    # ---- inside

    def _take(self, data: bytes) -> None:
        whole = self._rest + data
        # A last "\r" may be the first half of the line's end.
        end = max(whole.rfind(b"\n"), whole.rfind(b"\r", 0, -1)) + 1
        lines = [*_lines(whole[:end])]
        self._rest = whole[end:]
        if len(self._rest) > _LINE_AT_MOST:
            *pieces, self._rest = _pieces(self._rest)
            lines += [(None, _text(piece)) for piece in pieces]
        if lines:
            self._kept.add([text for _, text in lines])
            leveled = ((self._level if level is None else level, text) for level, text in lines)
            self._lines.extend(line for line in leveled if self._logger.isEnabledFor(line[0]))

    def _log(self) -> None:
        """Log some lines; the others follow when as much time has passed."""
        began = time.monotonic()
        try:
            for _ in range(min(len(self._lines), _LINES_AT_ONCE)):
                level, text = self._lines.popleft()
                self._logger.log(level, "%s", text, extra=self._extra)
        finally:  # what a filter of the application raises must not end this
            self._go_on(time.monotonic() - began)

    def _go_on(self, used: float) -> None:
        if self._lines:
            if not (self._is_paused or self._is_lost):
                self._transport.pause_reading()
            self._is_paused = True
            # What is left when the pipe is closed is not much, and somebody waits for it.
            self._loop.call_later(0.0 if self._is_lost else used, self._log)
            return
        if self._is_paused and not (self._is_lost or self._transport.is_closing()):
            self._transport.resume_reading()
        self._is_paused = False
        if self._is_lost and not self.closed.done():
            self.closed.set_result(None)


def _lines(data: bytes) -> Iterator[tuple[int | None, str]]:
    """Yield the lines of data that ends with one, with the level of each that brings its own.

    What a carriage return overwrites is a line too.
    """
    *lines, last = data.replace(b"\r\n", b"\n").split(b"\n")
    for line in (*lines, last) if last else lines:
        for part in filter(None, line.split(b"\r")) if b"\r" in line else (line,):
            level, text = unmarked(part)
            for piece in _pieces(text):
                yield level, _text(piece)


def _pieces(line: bytes) -> Iterator[bytes]:
    """Yield a line in pieces, none of which begins within a character."""
    begin = 0
    while len(line) - begin > _LINE_AT_MOST:
        end = begin + _LINE_AT_MOST
        end -= next((back for back in range(4) if line[end - back] & 0xC0 != 0x80), 0)
        yield line[begin:end]
        begin = end
    yield line[begin:]


def _text(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)
