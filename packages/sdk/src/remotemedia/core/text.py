"""Text that a node gives to others: of any size, with anything in it, until made sendable."""

from __future__ import annotations

__all__ = ["sendable"]

# What a node raises may hold what it was given, and that may be megabytes.
_AT_MOST = 100_000


def sendable(text: str) -> str:
    """Return text that every reader can take: bounded, and without what is no character."""
    if len(text) > _AT_MOST:
        half = _AT_MOST // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}… ({left_out} characters left out) …{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
