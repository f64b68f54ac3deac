"""TOML files: reading, parsing, and the line in which each key stands."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["key_places", "parse_toml", "read_text", "table_header"]

_LINE_OF_ERROR = re.compile(r"\(at line (\d+), column \d+\)")
_TABLE = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


def read_text(path: Path) -> str:
    """Read a file.

    Raises:
        ConfigError: It can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(str(path), "", "no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "", f"is no UTF-8 text: {error}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(str(path), "", f"can't be read: {reason}") from error


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Parse what a TOML file holds.

    Raises:
        ConfigError: It is not TOML; with the place.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _LINE_OF_ERROR.search(str(error))
        where = f"{path}:{line.group(1)}" if line else str(path)
        raise ConfigError(where, "", f"not valid TOML: {error}") from error


def key_places(path: str, lines: Sequence[str]) -> dict[tuple[str, ...], str]:
    """Find the line of each table and key, dotted keys included.

    A TOML parser gives no positions; messages need them only for keys that begin a line.

    Returns:
        `path:line` of each; of `()`, the path.
    """
    places: dict[tuple[str, ...], str] = {(): path}
    table: tuple[str, ...] = ()
    for number, line in enumerate(lines, 1):
        header = table_header(line)
        key = _KEY.match(line)
        if header:
            table = header
            places.setdefault(table, f"{path}:{number}")
        elif key:
            full = (*table, *_parts(key.group(1)))
            for end in range(len(table) + 1, len(full) + 1):
                places.setdefault(full[:end], f"{path}:{number}")
    return places


def table_header(line: str) -> tuple[str, ...]:
    """Return the parts of the name of a table that begins in this line; none if none does."""
    header = _TABLE.match(line)
    return _parts(header.group(1)) if header and not _KEY.match(line) else ()


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
