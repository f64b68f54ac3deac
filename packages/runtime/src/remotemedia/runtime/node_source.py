"""Node classes in source files, found by reading them: importing may load a model library."""

from __future__ import annotations

import ast
import contextlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import near
from remotemedia.core.ports import Port
from remotemedia.runtime.source_tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "NodeClass",
    "UnreadableSource",
    "classes_in",
    "modules_in",
    "registered_in",
    "why_no_node",
]


class UnreadableSource(Exception):
    """A source file that can't be read, or is no Python."""


@dataclass(frozen=True)
class NodeClass:
    """A class in a source file.

    Attributes:
        class_name: Its name.
        type_name: The node type that it is registered as; its name if it is not.
        doc: The first line of its docstring.
        registered: Whether it is decorated with `register_node`.
        arguments: Those keyword arguments of `register_node` that are literal.
        complete: Whether these are all; else only running it could tell the others.
        wrong: Why it can't be run as a node, as far as reading it tells.
    """

    class_name: str
    type_name: str
    doc: str
    registered: bool
    arguments: dict[str, Any]
    complete: bool
    wrong: str = ""


def modules_in(directories: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files of directories and of packages in them, each with its module's name."""
    for base in directories:
        for path in sorted(base.glob("*.py")):
            yield path, path.stem
        for path in sorted(base.glob("*/*.py")):
            if (path.parent / "__init__.py").is_file():
                stem = path.parent.name
                yield path, stem if path.name == "__init__.py" else f"{stem}.{path.stem}"


def registered_in(path: Path) -> list[NodeClass]:
    """Return the classes of a file that `register_node` decorates.

    Raises:
        UnreadableSource: It can't be read, or is no Python.
    """
    try:
        if b"register_node" not in path.read_bytes():
            return []
    except OSError as error:
        raise UnreadableSource(f"{path} can't be read: {error}") from error
    return [found for found in classes_in(path) if found.registered]


def classes_in(path: Path) -> tuple[NodeClass, ...]:
    """Return the classes of a file.

    Raises:
        UnreadableSource: It can't be read, or is no Python.
    """
    return _classes(path, *_version(path))


def why_no_node(path: Path, class_name: str) -> str:
    """Return why a file can't give a node class of this name, as far as reading it tells.

    Raises:
        UnreadableSource: It can't be read, or is no Python.
    """
    return _why_no_node(path, class_name.partition(".")[0], *_version(path))


def _version(path: Path) -> tuple[int, int]:
    """Return what is another when the file has changed: each session reads its nodes' files."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableSource(f"{path} can't be read: {error}") from error
    return status.st_mtime_ns, status.st_size


def _tree(path: Path) -> ast.Module:
    try:
        return parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError, OSError) as error:
        raise UnreadableSource(f"{path} can't be read: {error}") from error


@lru_cache(maxsize=128)
def _classes(path: Path, _mtime_ns: int, _size: int) -> tuple[NodeClass, ...]:
    return tuple(_class(s) for s in _tree(path).body if isinstance(s, ast.ClassDef))


@lru_cache(maxsize=128)
def _why_no_node(path: Path, name: str, mtime_ns: int, size: int) -> str:
    classes = {found.class_name: found for found in _classes(path, mtime_ns, size)}
    if name in classes:
        return classes[name].wrong
    if _may_bind(_tree(path), name):
        return ""
    return f"{path.name} has no class {name!r}; {near(name, classes)}"


def _may_bind(scope: ast.AST, name: str) -> bool:
    """Say whether anything in a module or class may give it this name when it runs."""
    for node in ast.walk(scope):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if node is not scope and node.name in (name, "__getattr__"):
                return True
        elif isinstance(node, ast.alias):
            if (node.asname or node.name) in (name, "*"):
                return True
        elif isinstance(node, ast.Name) and node.id in (name, "globals", "setattr"):
            return True
    return False


def _lacks_process(statement: ast.ClassDef) -> bool:
    bases = {ast.unparse(base).rpartition(".")[2] for base in statement.bases}
    ours = bases == {"MultiprocessNode"} and all(map(_register_call, statement.decorator_list))
    return ours and not _may_bind(statement, "process")  # another decorator may add it


def _class(statement: ast.ClassDef) -> NodeClass:
    call = next(filter(None, map(_register_call, statement.decorator_list)), None)
    arguments = _arguments(call)
    return NodeClass(
        statement.name,
        _literal_name(call) or statement.name,
        (ast.get_docstring(statement) or "").partition("\n")[0],
        call is not None,
        arguments,
        call is None or len(arguments) == len(call.keywords),
        f"class {statement.name!r} has no method 'process'" * _lacks_process(statement),
    )


def _literal_name(call: ast.Call | None) -> str | None:
    """Return the name that a class is registered by; None if only running it could tell."""
    first = call.args[0] if call is not None and call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _register_call(decorator: ast.expr) -> ast.Call | None:
    if isinstance(decorator, ast.Call):
        name = decorator.func
        last = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
        if last == "register_node":
            return decorator
    return None


def _literal(node: ast.expr) -> Any:  # noqa: ANN401
    """Return the value of a literal, a `Port(…)`, or a list of these; ValueError for others."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return tuple(_literal(element) for element in node.elts)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Port":
        return Port(
            *map(_literal, node.args), **{str(k.arg): _literal(k.value) for k in node.keywords}
        )
    return ast.literal_eval(node)


def _arguments(call: ast.Call | None) -> dict[str, Any]:
    """Return those keyword arguments of a `register_node` call that are literal."""
    literal = {}
    for keyword in call.keywords if call is not None else ():
        with contextlib.suppress(TypeError, ValueError):
            literal[str(keyword.arg)] = _literal(keyword.value)
    return literal
