"""PackageName: the name of a package of nodes, what follows from it, and whether it is free."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotemedia.core.errors import RemoteMediaError

if TYPE_CHECKING:
    from remotemedia.runtime.plugins import Catalog

__all__ = ["NameRefused", "PackageName"]

_MAX_LENGTH = 32  # So that lines with the name in them stay within 100 characters
_DISTRIBUTION = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Modules that would hide what the package itself, its tests or its tools import.
_TAKEN = frozenset({"remotemedia", "src", "tests", "conftest"})
_CLASSES_TAKEN = frozenset({"MultiprocessNode"})


class NameRefused(RemoteMediaError):
    """A name is not one that a new package of nodes can have.

    Attributes:
        name: The name.
    """

    def __init__(self, name: str, reason: str, advice: str) -> None:
        self.name = name
        super().__init__(f"{name!r} {reason}; {advice}")


@dataclass(frozen=True)
class PackageName:
    """The name of a distribution, such as `acme-denoise`.

    Raises:
        NameRefused: It can't be the name of one, or what follows from it is taken in Python.
    """

    distribution: str

    def __post_init__(self) -> None:
        name, other = self.distribution, "choose another name"
        if not _DISTRIBUTION.fullmatch(name):
            normal = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("0123456789-")
            hint = f"did you mean {normal!r}?" if normal else "such as 'acme-denoise'"
            rule = "is not made of lower-case letters, digits and single hyphens, a letter first"
            raise NameRefused(name, rule, hint)
        if len(name) > _MAX_LENGTH:
            wrong = f"has {len(name)} characters"
            raise NameRefused(name, wrong, f"choose one of at most {_MAX_LENGTH}")
        module = self.module
        if keyword.iskeyword(module) or keyword.issoftkeyword(module):
            raise NameRefused(name, "is a word of Python's grammar", other)
        if module in sys.stdlib_module_names:
            raise NameRefused(name, "is a module of Python itself", other)
        if module in _TAKEN or f"{self.class_prefix}Node" in _CLASSES_TAKEN:
            raise NameRefused(name, "is used by every package of nodes itself", other)

    @property
    def module(self) -> str:
        """The import package."""
        return self.distribution.replace("-", "_")

    @property
    def node_type(self) -> str:
        """What pipelines call the node."""
        return self.module

    @property
    def class_prefix(self) -> str:
        """What the names of its classes begin with."""
        return "".join(part.capitalize() for part in self.distribution.split("-"))

    def check_free(self, catalog: Catalog) -> None:
        """Check that nothing that is installed here has the name.

        Args:
            catalog: What discovery has found.

        Raises:
            NameRefused: Something has; the message says what.
        """
        name, advice = self.distribution, "choose another name, or uninstall that one"
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
        else:
            raise NameRefused(name, f"is installed here already, as version {installed}", advice)
        node = catalog.nodes.get(self.node_type)
        if node is not None:
            owner = node.plugin.origin
            wrong = f"would give a node type {self.node_type!r}, which {owner} has already"
            raise NameRefused(name, wrong, advice)
        try:
            found = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            found = None
        if found is not None:
            where = f" from {found.origin}" if found.origin else ""
            wrong = f"would be the module {self.module!r}, which is importable already{where}"
            raise NameRefused(name, wrong, "choose another name")
