"""The source files that a pipeline is made of: itself, and what its nodes are imported from."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.plugin import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remotemedia.runtime.pipeline import Pipeline
    from remotemedia.runtime.plugins import Catalog

__all__ = ["SourceFiles", "source_files"]


class SourceFiles(msgspec.Struct):
    """What to watch.

    Attributes:
        files: These files.
        directories: The Python files in these directories, not below.
    """

    files: set[str]
    directories: set[str]

    def has(self, path: str) -> bool:
        """Say whether a file is among them."""
        return path in self.files or (
            path.endswith(".py") and os.path.dirname(path) in self.directories  # noqa: PTH120
        )

    @property
    def folders(self) -> list[str]:
        """Every directory that holds some: files are replaced, directories stay."""
        held = {str(Path(file).parent) for file in self.files} | self.directories
        return sorted(folder for folder in held if Path(folder).is_dir())

    def changed_since(self, when: float) -> list[str]:
        """Return those that were written after a moment, in seconds since the epoch."""
        found = []
        for folder in self.folders:
            with os.scandir(folder) as entries:
                watched = [entry for entry in entries if self.has(entry.path)]
            found += [entry.path for entry in watched if entry.stat().st_mtime > when]
        return sorted(found)


def source_files(
    file: Path, pipeline: Pipeline, catalog: Catalog, extra_paths: Sequence[Path]
) -> SourceFiles:
    """Find the source files of a pipeline, also where some have mistakes.

    Args:
        file: The pipeline file.
        pipeline: What could be read of it.
        catalog: What is installed.
        extra_paths: Directories with node modules, of the configuration.
    """
    found = SourceFiles({str(file.resolve()), str(Path("runtime.toml").resolve())}, set())
    paths = [*extra_paths, *pipeline.extra_paths]
    for path in paths:
        found.directories |= _with_packages(path.resolve())
    modules = [
        entry.module
        for entry in entry_points(group=ENTRY_POINT_GROUP)
        if entry.name in {problem.plugin for problem in catalog.problems}
    ]
    for node in pipeline.nodes.values():
        name = node.type if isinstance(node.type, str) else ""
        written, _, _ = name.rpartition(":")
        if written.endswith(".py"):
            bases = (pipeline.directory, *paths)
            found.directories |= {str((base / written).resolve().parent) for base in bases}
        elif written:
            modules.append(written)
        elif name in catalog.nodes:
            modules.append(catalog.nodes[name].spec.target.partition(":")[0])
            modules.append(catalog.nodes[name].plugin.module.partition(":")[0])
    for module in modules:
        _add_module(module, found)
    return found


def _add_module(name: str, found: SourceFiles) -> None:
    """Add the package that a module is in, or the file that it is; nothing is imported."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if not spec.submodule_search_locations:
        if spec.origin:
            found.files.add(spec.origin)
        return
    for place in spec.submodule_search_locations:
        folder = Path(place)
        inner = list(rest)
        while not (folder / "__init__.py").is_file() and inner:  # a namespace: others share it
            folder /= inner.pop(0)
        if (folder / "__init__.py").is_file():
            found.directories |= _below(folder)


def _with_packages(folder: Path) -> set[str]:
    inner = {str(init.parent) for init in folder.glob("*/__init__.py")}
    return {str(folder), *inner} if folder.is_dir() else set()


def _below(folder: Path) -> set[str]:
    walked: Iterable[tuple[str, list[str], list[str]]] = os.walk(folder.resolve())
    return {place for place, _, _ in walked if not place.endswith("__pycache__")}
