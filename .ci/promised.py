"""Check that a stranger's type checker knows the type of every name that is promised.

python .ci/promised.py    in an environment that has the wheels and basedpyright

The names are those of docs/compatibility.md. A class counts with its attributes and methods, and
what is named in their signatures; inferred types do not count: checkers infer differently.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compatibility.md"
PACKAGES = ("remotemedia.core", "remotemedia.runtime")


def promised() -> list[str]:
    """The full names that the page lists."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(remotemedia\.[\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    return [f"{module}.{name}" for module, names in rows for name in re.findall(r"`(\w+)`", names)]


def looked_at(package: str) -> dict[str, list[str]]:
    """Every name of a package, with what the checker does not know about its type."""
    command = ["basedpyright", "--ignoreexternal", "--outputjson", "--verifytypes", package]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    found: dict[str, list[str]] = {}
    for symbol in json.loads(done.stdout)["typeCompleteness"]["symbols"]:
        known = symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]
        says = [problem["message"] for problem in symbol["diagnostics"]]
        found[symbol["name"]] = [] if known else says or ["something in it"]
    return found


def main() -> str | int:
    """Print what is not known; the result is an exit status or the text of an error."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        found |= looked_at(package)
    names = promised()
    unknown = [name for name in names if found.get(name, ["not there"])]
    for name in unknown:
        inside = [other for other in found if found[other] and other.startswith(f"{name}.")]
        for each in [name, *inside]:
            print(f"{each}: {'; '.join(found.get(each, ['not there']))}")
    if not names or unknown:
        return f"{len(unknown)} of {len(names)} names have no type that every checker knows"
    print(f"all {len(names)} names have a type that every checker knows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
