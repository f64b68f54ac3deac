"""Forks of a process: what belongs to the parent is left behind, untouched, by the child.

A child has a copy of every object of its parent. To use them would disturb the parent, and so would
to destroy them: a sample that is dropped goes back to its sender, a session that is collected ends
its nodes. So the child keeps them for ever.
"""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Any, TypeVar

__all__ = ["left_behind"]

_T = TypeVar("_T", bound="type[Any]")
_classes: tuple[type[Any], ...] = ()


def left_behind(cls: _T) -> _T:
    """Have instances of a class left behind when a process forks.

    Those that have a method `_leave_behind` are told, in the child.
    """
    global _classes  # noqa: PLW0603 - one list for the one hook
    _classes = (*_classes, cls)
    return cls


def _leave_behind() -> None:
    # The hot paths keep no lists for this rare case: the collector knows every object.
    for instance in gc.get_objects():
        if issubclass(type(instance), _classes):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(instance))
            tell = getattr(instance, "_leave_behind", None)
            if tell is not None:
                tell()


os.register_at_fork(after_in_child=_leave_behind)
