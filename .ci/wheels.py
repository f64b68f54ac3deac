"""Build every package of this repository once, or check that what was built is current.

python .ci/wheels.py build DIR   wheels of packages/*, examples/*, tests/third_party/*, and apart/*
python .ci/wheels.py check DIR   exit 1, and say what to do, if wheels are missing or stale

Beside the wheels, DIR gets files for the test environments: `constraints.txt` binds our names
to these very wheels (an index is never asked for them), `plugins.txt` lists the packages of
examples and tests/third_party. Those of tests/third_party/apart are listed in `apart.txt`: they
can't share an environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {".venv", "build", "__pycache__"}
SOURCES = ("*.py", "*.template")
FOLDERS = {
    "constraints.txt": ("packages",),
    "plugins.txt": ("examples", "tests/third_party"),
    "apart.txt": ("tests/third_party/apart",),
}


def projects(folders: tuple[str, ...]) -> list[Path]:
    """The directories below `folders` that hold a pyproject.toml."""
    found = (path.parent for folder in folders for path in (ROOT / folder).glob("*/pyproject.toml"))
    return sorted(found)


def requirement(wheel: Path) -> str:
    """`name @ file:///…` for a wheel."""
    name = wheel.name.partition("-")[0].replace("_", "-")
    return f"{name} @ {wheel.as_uri()}"


def build_wheel(project: Path, out: Path) -> Path:
    """Build one project's wheel into `out`."""
    with tempfile.TemporaryDirectory(dir=out) as folder:
        command = ["uv", "build", "--quiet", "--wheel", "--out-dir", folder, str(project)]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.rename(out / wheel.name)


def build(out: Path) -> None:
    """Replace `out` by fresh wheels and the files that list them."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for listing, folders in FOLDERS.items():
        wheels = [build_wheel(project, out) for project in projects(folders)]
        lines = "".join(f"{requirement(wheel)}\n" for wheel in wheels)
        (out / listing).write_text(lines, encoding="utf-8")
        print(*(f"built {wheel.name}\n" for wheel in wheels), sep="", end="")


def complaint(out: Path) -> str | None:
    """What is wrong with the wheels in `out`, if anything."""
    listings = [out / listing for listing in FOLDERS]
    if not all(listing.is_file() for listing in listings):
        return f"there are no wheels in {out}"
    built = min(listing.stat().st_mtime for listing in listings)
    for folders in FOLDERS.values():
        for project in projects(folders):
            sources = (path for kind in SOURCES for path in project.rglob(kind))
            for path in (project / "pyproject.toml", *sources):
                if path.stat().st_mtime > built and not GENERATED.intersection(path.parts):
                    return f"{path.relative_to(ROOT)} is newer than the wheels in {out}"
    return None


def main(arguments: list[str]) -> int | str:
    """Run the command; the result is an exit status or the text of an error."""
    match arguments:
        case ["build", folder]:
            build(Path(folder).resolve())
            return 0
        case ["check", folder]:
            problem = complaint(Path(folder).resolve())
            hint = "build them first: tox -e wheels, or for example tox -e wheels,py311"
            return f"wheels.py: {problem}; {hint}" if problem else 0
        case _:
            return __doc__ or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
