"""Syntax trees of source code, which threads can ask for at once."""

from __future__ import annotations

import ast
import os
import threading

__all__ = ["parse"]

# Of Python before 3.13.1 and 3.12.8: it makes trees by a count of its depth that all threads share,
# and then finds the count wrong. Whoever formats a traceback at that moment makes trees too, and
# does not know our lock.
_MISCOUNTED = "recursion depth mismatch"
_ATTEMPTS = 100
_lock = threading.Lock()


def _new_lock() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it at that moment
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


def parse(source: str | bytes, name: str = "<unknown>") -> ast.Module:
    """Return the tree of a module's source.

    Raises:
        SyntaxError: It is no Python.
        ValueError: It has null bytes.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            with _lock:
                return ast.parse(source, name)
        except SystemError as error:  # noqa: PERF203 - that is what the loop is for
            if _MISCOUNTED not in str(error):
                raise
    return ast.parse(source, name)
