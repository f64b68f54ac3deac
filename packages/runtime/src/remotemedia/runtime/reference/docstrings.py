"""What a class's docstring says of its attributes."""

from __future__ import annotations

import inspect
import re

__all__ = ["attribute_docs"]

_SECTION = re.compile(r"^(?:Attributes|Args):\s*$")
_ENTRY = re.compile(r"^(\s+)(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")


def attribute_docs(cls: type[object]) -> dict[str, str]:
    """Return the texts of the section `Attributes:` (Google style), those of base classes too."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docs.update(_entries(inspect.cleandoc(base.__dict__.get("__doc__") or "").splitlines()))
    return docs


def _entries(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    indent: str | None = None
    inside = False
    name = ""
    for line in lines:
        if not line.strip():
            continue
        if not line[0].isspace():
            inside, indent = bool(_SECTION.match(line)), None
            continue
        if not inside:
            continue
        entry = _ENTRY.match(line)
        if entry and indent in (None, entry[1]):
            indent, name = entry[1], entry[2]
            found[name] = [entry[3]]
        elif name:
            found[name].append(line.strip())
    return {name: " ".join(filter(None, texts)) for name, texts in found.items()}
