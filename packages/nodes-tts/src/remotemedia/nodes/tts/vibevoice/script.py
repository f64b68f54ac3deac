"""Script: who speaks which line of a text."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Line", "script"]

#: What the model's tokenizer would take for a command.
_SPECIAL = re.compile(r"<\|[^|<>]*\|>")


class Line(NamedTuple):
    """A line that one speaker says.

    Attributes:
        speaker: A name that the config knows; None for the voice of the node.
        words: What is said.
    """

    speaker: str | None
    words: str


def script(text: str, speakers: Iterable[str]) -> list[Line]:
    """Return the lines of a text that have something to say.

    Args:
        text: Any text; a line that begins with a speaker's name and a colon is that speaker's.
        speakers: The names, in any case.
    """
    names = {name.strip().casefold(): name for name in speakers}
    lines = []
    for line in _SPECIAL.sub(" ", text).splitlines():
        words = "".join(c if unicodedata.category(c) != "Cc" else " " for c in line)
        head, colon, said = words.partition(":")
        speaker = names.get(head.strip().casefold()) if colon else None
        words = " ".join((words if speaker is None else said).split())
        if any(c.isalnum() for c in words):
            lines.append(Line(speaker, words))
    return lines
