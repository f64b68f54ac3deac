"""What comes from another process is parsed, never executed."""

from __future__ import annotations

import ast
from pathlib import Path

import remotemedia.core.data
import remotemedia.runtime

_PACKAGES = [Path(remotemedia.core.data.__file__).parent, Path(remotemedia.runtime.__file__).parent]
#: Not the benchmarks, which run others' ways of moving data to be compared with.
_MODULES = sorted(
    path for package in _PACKAGES for path in package.rglob("*.py") if path.parts[-2] != "bench"
)
#: Modules that make objects, or run code, of what they read.
_EXECUTORS = {
    "_pickle", "cloudpickle", "code", "dill", "joblib", "jsonpickle", "marshal", "multiprocessing",
    "pickle", "pickletools", "shelve", "xmlrpc", "yaml",
}  # fmt: skip
_CALLS = {"eval", "exec", "compile", "__import__"}
#: What may do so all the same, and why.
_ALLOWED = {
    "loading.py": {"exec", "compile"},  # in the node: the cells of the notebook that defines it
}


def used_by(path: Path) -> set[str]:
    """Return what of the above a module imports or calls."""
    found = set()
    for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(part, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in part.names} & _EXECUTORS
        elif isinstance(part, ast.ImportFrom) and not part.level:
            found |= {(part.module or "").partition(".")[0]} & _EXECUTORS
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            found |= {part.func.id} & _CALLS
        elif isinstance(part, ast.keyword) and part.arg == "allow_pickle":
            found.add("allow_pickle")
    return found


def test_no_module_makes_code_or_objects_of_what_it_reads() -> None:
    found = {path.name: used for path in _MODULES if (used := used_by(path))}
    assert found == _ALLOWED
