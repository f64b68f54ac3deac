"""Callbacks: calling what the application has given, whatever that does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call"]

_logger = logging.getLogger(__name__)


def call(callback: Callable[..., object], argument: object) -> None:
    """Call what the application has given; its mistakes are its own and must not end the watch."""
    try:
        callback(argument)
    except Exception:
        _logger.exception("a callback of the application failed")
