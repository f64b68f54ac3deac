"""The files of a new package of nodes: made from templates, and written all at once or not."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path, PurePosixPath
from string import Template
from typing import TYPE_CHECKING

from remotemedia.core.errors import RemoteMediaError
from remotemedia.core.plugin import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from remotemedia.runtime.new_package.name import PackageName

__all__ = ["DirectoryRefused", "check_place", "render", "write"]

_SUFFIX = ".template"  # or tools would take the templates for what will be made of them
_MODULE = "package"  # the directory that gets the name of the import package


class DirectoryRefused(RemoteMediaError):
    """A directory can't be made; nothing is left of the attempt.

    Attributes:
        directory: The directory.
    """

    def __init__(self, directory: Path, reason: str, advice: str) -> None:
        self.directory = directory
        super().__init__(f"{directory}: {reason}; {advice}")


def render(name: PackageName) -> dict[PurePosixPath, str]:
    """Return the text of each file of a new package, by its path in the package's directory."""
    values = {
        "name": name.distribution,
        "package": name.module,
        "node_type": name.node_type,
        "prefix": name.class_prefix,
        "bounds": _bounds(version("remotemedia-sdk")),
        "api_version": str(API_VERSION),
    }
    rendered = {}
    for path, text in _templates(files(__package__) / "template", PurePosixPath()):
        parts = (name.module if part == _MODULE else part for part in path.parts)
        target = PurePosixPath(*parts).with_suffix("")
        rendered[target] = Template(text).substitute(values)
    return rendered


def _templates(folder: Traversable, at: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in folder.iterdir():
        path = at / entry.name
        if entry.is_dir():
            yield from _templates(entry, path)
        elif path.suffix == _SUFFIX:
            yield path, entry.read_text(encoding="utf-8")


def _bounds(installed: str) -> str:
    """Return which versions of the SDK fit one that was written with this one."""
    major, minor = map(int, installed.split(".")[:2])
    # Before 1.0 a minor version may change public names; see docs/compatibility.md.
    until = f"0.{minor + 1}" if major == 0 else str(major + 1)
    return f">={major}.{minor},<{until}"


def check_place(directory: Path) -> None:
    """Check that a new directory can be made.

    Raises:
        DirectoryRefused: There is something, or it would lie in nothing.
    """
    if directory.exists() or directory.is_symlink():
        raise DirectoryRefused(directory, "is there already", "name another with --directory")
    if not directory.parent.is_dir():
        wrong = f"there is no directory {directory.parent}"
        raise DirectoryRefused(directory, wrong, "make it, or name another with --directory")


def write(texts: Mapping[PurePosixPath, str], directory: Path) -> None:
    """Write files into a new directory: all of them, or nothing.

    Raises:
        DirectoryRefused: It can't be made.
    """
    check_place(directory)
    try:
        # Beside its place, so that it gets there in one step.
        with tempfile.TemporaryDirectory(prefix=".remotemedia-new-", dir=directory.parent) as made:
            draft = Path(made) / "package"
            for path, text in texts.items():
                file = draft / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            draft.rename(directory)
    except OSError as error:
        wrong = f"can't be written ({error.strerror or error})"
        raise DirectoryRefused(directory, wrong, "name another with --directory") from error
