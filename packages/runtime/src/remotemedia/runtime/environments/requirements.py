"""Requirements as people write them, and as they are compared and handed to uv.

`packaging` is imported when there is one: most pipelines have none, and it takes its time.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["InvalidRequirementText", "anchored", "fingerprint", "name_of", "normalised"]

_LOCAL = re.compile(r"\.{0,2}/|~/|\.{1,2}$")
_PATH_AND_EXTRAS = re.compile(r"(?P<path>.*?)(?P<extras>\[[^\]]*\])?")
_GENERATED = re.compile(r"\..*|__pycache__|build|dist|.*\.egg-info")


class InvalidRequirementText(ValueError):
    """A requirement that can't be understood; the text says why."""


def anchored(text: str, base: Path) -> str:
    """Return a requirement whose path, if it is one, no longer depends on the working directory.

    Args:
        text: A requirement.
        base: What a relative path is relative to.
    """
    name, at, url = (part.strip() for part in text.partition("@"))
    if at and not urlsplit(url).scheme and "/" in url:
        return f"{name} @ {_absolute(url, base).as_uri()}"
    bare = text.strip()
    if _LOCAL.match(bare) or (bare.endswith(".whl") and "@" not in bare):
        found = _PATH_AND_EXTRAS.fullmatch(bare)
        path, extras = (found["path"], found["extras"] or "") if found else (bare, "")
        return f"{_absolute(path, base)}{extras}"
    return text


def _absolute(path: str, base: Path) -> Path:
    return (base / Path(path).expanduser()).resolve()


def normalised(text: str) -> str:
    """Return a requirement in the one way in which it is compared and handed to uv.

    Args:
        text: As `name[extra]>=1; marker`, `name @ URL`, or the absolute path of a wheel or of a
            directory with a project.

    Raises:
        InvalidRequirementText: It is none of these, or there is nothing at the path.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    bare = text.strip()
    if bare.startswith("/"):
        return _of_path(bare)
    if not bare or bare.startswith("-") or "\n" in bare:
        raise InvalidRequirementText(
            f"{text!r:.80} is no requirement; write one as 'name==1.2', options of the installer "
            "go into its own configuration"
        )
    try:
        parsed = Requirement(bare)
    except InvalidRequirement as error:
        first = str(error).partition("\n")[0]
        raise InvalidRequirementText(
            f"{text!r:.80} is no requirement: {first}; write one as 'name==1.2'"
        ) from error
    if parsed.url and (path := _file_of(parsed.url)) is not None and not path.exists():
        raise InvalidRequirementText(f"{text!r:.200}: there is no {path}")
    parsed.name = canonicalize_name(parsed.name)
    return str(parsed)


def _of_path(text: str) -> str:
    found = _PATH_AND_EXTRAS.fullmatch(text)
    path, extras = (Path(found["path"]), found["extras"] or "") if found else (Path(text), "")
    if not path.exists():
        raise InvalidRequirementText(f"{text!r:.200}: there is no {path}")
    name = _name_at(path)
    if name is None:
        raise InvalidRequirementText(
            f"{text!r:.200} is neither a wheel nor a directory whose pyproject.toml has a "
            "project.name; write it as 'name @ file:///…'"
        )
    return normalised(f"{name}{extras} @ {path.as_uri()}")


def _name_at(path: Path) -> str | None:
    if path.suffix == ".whl":
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        try:
            return parse_wheel_filename(path.name)[0]
        except InvalidWheelFilename:
            return None
    try:
        project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name = project["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def name_of(requirement: str) -> str:
    """Return the canonical name of the distribution that a normalised requirement asks for."""
    from packaging.requirements import Requirement

    return Requirement(requirement).name


def fingerprint(requirement: str) -> str:
    """Return what tells two states of a local file or directory apart; empty for others.

    A directory is told by the times and sizes of its files, so that changed sources mean another
    environment.
    """
    from packaging.requirements import Requirement

    url = Requirement(requirement).url
    path = _file_of(url) if url else None
    if path is None:
        return ""
    state = hashlib.sha256()
    for file in [path] if path.is_file() else _sources(path):
        info = file.stat()
        state.update(f"{file}\0{info.st_mtime_ns}\0{info.st_size}\0".encode())
    return state.hexdigest()


def _sources(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if _GENERATED.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _sources(path)
        elif path.is_file():
            yield path


def _file_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
