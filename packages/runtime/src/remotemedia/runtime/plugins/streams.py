"""Plugins apart from what a command reads and writes."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["streams_of_their_own"]


@contextlib.contextmanager
def streams_of_their_own() -> Iterator[None]:
    """Let plugins that print do so on standard error, and those that read find no input.

    Standard output is what programs read, and standard input may be the data of a run.
    """
    own, sys.stdin = sys.stdin, io.StringIO()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdin = own
