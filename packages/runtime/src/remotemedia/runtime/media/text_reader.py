"""Reading lines of text, from a file or from standard input, without blocking the event loop."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from remotemedia.runtime.media.files import STANDARD_STREAM, MediaError, check_readable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["TextReader"]

_BLOCK = 1 << 16


class TextReader:
    """Lines of UTF-8 text; those with nothing on them are left out.

    Args:
        path: A file, or `-` for standard input.

    Raises:
        MediaError: It is not there, is no text, or holds none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._number = 0
        self._fd = -1
        self._first = ""
        if str(path) == STANDARD_STREAM:
            try:
                self._fd = os.dup(sys.stdin.fileno())
            except (AttributeError, ValueError, OSError) as error:
                raise MediaError("standard input", "is closed") from error
            return
        check_readable(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._first = self._read()
        except MediaError:
            self.close()
            raise
        if not self._first.strip():
            self.close()
            raise MediaError(path, "holds no text")

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines, without their ends.

        Raises:
            MediaError: What comes is not UTF-8.
        """
        rest, ended = "", False
        while not ended:
            block = self._first
            if block:
                self._first = ""
            else:
                await self._wait()
                block = self._read()
                ended = not block
            *lines, rest = (rest + block).split("\n") if not ended else (rest, "")
            for line in lines:
                self._number += 1
                if line.strip():
                    yield line.rstrip("\r")

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    async def _wait(self) -> None:
        try:
            await anyio.wait_readable(self._fd)
        except PermissionError:  # a file is always readable, and epoll refuses it
            await anyio.lowlevel.checkpoint()

    def _read(self) -> str:
        data = os.read(self._fd, _BLOCK)
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise MediaError(self.path, f"is no UTF-8 text near line {self._number + 1}") from error
        if "\0" in text:
            raise MediaError(self.path, "is no text: it holds NUL characters")
        # A block may end within a character: nothing is decoded then, and it is not the end.
        return text if text or not data else self._read()
