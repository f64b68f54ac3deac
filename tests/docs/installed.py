"""What `pip install` of a page is in its test: nothing is changed, and it fails where it would be.

Each requirement has to be installed, in a version that it allows, with what it and its extras need.
A path is the project that lies there.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

_NAME = re.compile(r'^name = "(.+)"$', re.MULTILINE)


def lacking(wanted: Requirement) -> list[str]:
    """Say what of a requirement is not installed."""
    try:
        found = distribution(wanted.name)
    except PackageNotFoundError:
        return [str(wanted)]
    if not wanted.specifier.contains(found.version, prereleases=True):
        return [f"{wanted}: {found.version} is installed"]
    known = found.metadata.get_all("Provides-Extra") or []
    lacks = [f"{wanted}: it has no extra {extra}" for extra in wanted.extras if extra not in known]
    for need in map(Requirement, found.requires or ()):
        extras = wanted.extras | {""}
        if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras):
            lacks += lacking(need)
    return lacks


def requirement(argument: str) -> Requirement:
    """Read what a command line asks for."""
    if not argument.startswith("."):
        return Requirement(argument)
    folder, _, extras = argument.partition("[")
    project = (Path(folder) / "pyproject.toml").read_text(encoding="utf-8")
    (name,) = _NAME.findall(project)[:1]
    return Requirement(f"{name}[{extras}" if extras else name)


if __name__ == "__main__":
    command, *arguments = (a for a in sys.argv[1:] if a not in {"-q", "--quiet"})
    if command != "install":
        sys.exit(f"pip {command}: only `pip install` is checked")
    missing = [text for a in arguments for text in lacking(requirement(a))]
    sys.exit("\n".join(f"not installed: {text}" for text in missing) or None)
