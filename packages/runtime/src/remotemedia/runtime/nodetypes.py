"""What a pipeline's node type means: an installed plugin, or a class that is not packaged.

Unpackaged classes are found by reading source, not by importing it: a node's module may load a
model library, and a mistake in a pipeline has to be found without that.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import near
from remotemedia.core.plugin import NodeSpec, registered_nodes
from remotemedia.core.ports import Port
from remotemedia.runtime.plugins import Catalog
from remotemedia.runtime.plugins.catalog import PACKAGE_OF_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["NodeType", "UnknownNodeType", "resolve_type", "type_of_class"]


@dataclass(frozen=True)
class NodeType:
    """A node type that can be run.

    Attributes:
        spec: Its description.
        source: File of the class's module where that may not be importable by name, else empty.
        paths: Directories that its process needs to import it.
    """

    spec: NodeSpec
    source: str = ""
    paths: tuple[str, ...] = ()


class UnknownNodeType(LookupError):
    """A node type that is not installed, or a class that is not there; the text says which."""


def resolve_type(name: str, catalog: Catalog, extra_paths: Sequence[Path]) -> NodeType:
    """Find out what a node type means.

    Args:
        name: A registered or installed type, `"module:Class"`, or `"file.py:Class"`.
        catalog: What is installed.
        extra_paths: Directories with node modules.

    Raises:
        UnknownNodeType: Nothing has this name.
    """
    if ":" in name:
        return _class_in_module(name, extra_paths)
    local = registered_nodes().get(name)
    if local is not None:
        return _of_spec(local)
    broken = [str(problem) for problem in catalog.problems]
    if catalog.blocked:
        names = ", ".join(sorted(blocked.plugin.name for blocked in catalog.blocked))
        broken.append(f"plugins that the policy keeps out: {names}")
    for path, module in _modules(extra_paths):
        try:
            registered = _registered_in(path)
        except UnknownNodeType as error:  # it may have nothing to do with what is looked for
            broken.append(str(error))
            continue
        for found in registered:
            if found.type_name == name:
                return _from_source(found, path, module)
    installed = catalog.nodes.get(name)
    if installed is not None:
        return NodeType(installed.spec)
    advice = _where_to_get(name, {*catalog.nodes, *registered_nodes()})
    raise UnknownNodeType(
        f"node type {name!r} is not installed; {advice}"
        + (f" ({'; '.join(broken)})" if broken else "")
    )


def _where_to_get(name: str, known: set[str]) -> str:
    close = get_close_matches(name, {*known, *PACKAGE_OF_TYPE}, n=1)
    package = PACKAGE_OF_TYPE.get(close[0]) if close and close[0] not in known else None
    if package is None:
        return near(name, known)
    meant = "" if close[0] == name else f"did you mean {close[0]!r}? "
    return f"{meant}pip install '{package}'"


def type_of_class(cls: type[Any]) -> NodeType:
    """Return the node type of a class that the application has at hand.

    Raises:
        UnknownNodeType: It is no node class, or no other process could import it.
    """
    from remotemedia.core.node import MultiprocessNode

    if not (isinstance(cls, type) and issubclass(cls, MultiprocessNode)):
        raise UnknownNodeType(f"{cls!r:.80} is no node type: a name or a MultiprocessNode class is")
    spec = cls.__dict__.get("__remotemedia_spec__")
    if spec is None:
        summary = (cls.__doc__ or "").strip().partition("\n")[0]
        spec = NodeSpec(cls.__name__, f"{cls.__module__}:{cls.__qualname__}", summary=summary)
    return _of_spec(spec)


def _of_spec(spec: NodeSpec) -> NodeType:
    if "<locals>" in spec.target:
        raise UnknownNodeType(
            f"{spec.target!r} is defined inside of a function, where the node's own process can't "
            "find it; define it in the module itself"
        )
    module = sys.modules.get(spec.target.partition(":")[0])
    return NodeType(spec, source=str(getattr(module, "__file__", None) or ""))


# ---- classes in source files


@dataclass(frozen=True)
class _Found:
    class_name: str
    type_name: str
    call: ast.Call | None
    doc: str


def _class_in_module(name: str, extra_paths: Sequence[Path]) -> NodeType:
    module, _, class_name = name.rpartition(":")
    if not (module and class_name):
        raise UnknownNodeType(f"node type {name!r} must be 'module:Class'")
    if module.endswith(".py"):
        candidates = [base / module for base in (Path(), *extra_paths)]
        path = next((c.resolve() for c in candidates if c.is_file()), None)
        if path is None:
            raise UnknownNodeType(f"node type {name!r}: no file {module}")
        return _named_class(name, class_name, path, path.stem)
    relative = Path(*module.split("."))
    for base in extra_paths:
        for path in (base / relative.with_suffix(".py"), base / relative / "__init__.py"):
            if path.is_file():
                return _named_class(name, class_name, path, module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        where = ", ".join(map(str, extra_paths)) or "none are set"
        raise UnknownNodeType(
            f"node type {name!r}: no module {module!r}; install it, or put its directory into "
            f"extra_paths ({where})"
        )
    return _named_class(name, class_name, Path(spec.origin), module, installed=True)


def _named_class(
    name: str, class_name: str, path: Path, module: str, *, installed: bool = False
) -> NodeType:
    classes = {found.class_name: found for found in _classes_in(path)}
    found = classes.get(class_name)
    if found is None:
        raise UnknownNodeType(
            f"node type {name!r}: {path.name} has no class {class_name!r}; "
            f"{near(class_name, classes)}"
        )
    return _from_source(found, path, module, installed=installed)


def _from_source(found: _Found, path: Path, module: str, *, installed: bool = False) -> NodeType:
    root = path.parents[module.count(".") + (path.name == "__init__.py")]
    paths = () if installed else (str(root.resolve()),)
    arguments = _arguments(found.call)
    if arguments is None:  # ports or config that only running the module can tell
        sys.path[:0] = [entry for entry in paths if entry not in sys.path]
        try:
            target: Any = importlib.import_module(module)
            for part in found.class_name.split("."):
                target = getattr(target, part)
        except Exception as error:
            raise UnknownNodeType(
                f"{path} can't be imported: {type(error).__name__}: {error}; that is needed only "
                "because its register_node() has arguments that are no literals"
            ) from error
        spec = type_of_class(target).spec
    else:
        spec = NodeSpec(
            name=found.type_name,
            target=f"{module}:{found.class_name}",
            **{"summary": found.doc, **arguments},
        )
    return NodeType(spec, source=str(path.resolve()), paths=paths)


def _modules(extra_paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for base in extra_paths:
        for path in sorted(base.glob("*.py")):
            yield path, path.stem
        for path in sorted(base.glob("*/*.py")):
            if (path.parent / "__init__.py").is_file():
                stem = path.parent.name
                yield path, stem if path.name == "__init__.py" else f"{stem}.{path.stem}"


def _registered_in(path: Path) -> list[_Found]:
    if b"register_node" not in path.read_bytes():
        return []
    return [found for found in _classes_in(path) if found.call is not None]


def _classes_in(path: Path) -> list[_Found]:
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError, OSError) as error:
        raise UnknownNodeType(f"{path} can't be read: {error}") from error
    found = []
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            call = next(filter(None, map(_register_call, statement.decorator_list)), None)
            name = _literal_name(call)
            doc = (ast.get_docstring(statement) or "").partition("\n")[0]
            found.append(_Found(statement.name, name or statement.name, call, doc))
    return found


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


def _arguments(call: ast.Call | None) -> dict[str, Any] | None:
    """Return the keyword arguments of a `register_node` call, or None if they are not literal."""
    if call is None:
        return {}
    try:
        return {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
    except ValueError:
        return None
