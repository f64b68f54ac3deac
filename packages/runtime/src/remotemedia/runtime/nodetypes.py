"""What a pipeline's node type means: an installed plugin, or a class that is not packaged.

Unpackaged classes are found by reading source, not by importing it: a node's module may load a
model library, and a mistake in a pipeline has to be found without that.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pkgutil
import sys
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.configured import configured
from remotemedia.core.errors import near
from remotemedia.core.plugin import NodeSpec, load_object, registered_nodes
from remotemedia.core.specs import wrong_spec
from remotemedia.runtime.interactive import NoSource, notebook_source
from remotemedia.runtime.node_source import (
    NodeClass,
    UnreadableSource,
    classes_in,
    modules_in,
    registered_in,
    why_no_node,
)
from remotemedia.runtime.plugins.catalog import PACKAGE_OF_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remotemedia.core.configured import AbsentPort
    from remotemedia.runtime.plugins import Catalog

__all__ = ["NodeType", "UnknownNodeType", "file_of", "local_types", "resolve_type", "type_of_class"]

_HERE = Path()
_FEW = 3


@dataclass(frozen=True)
class NodeType:
    """A node type that can be run.

    Attributes:
        spec: Its description.
        source: File of the class's module where that may not be importable by name, else empty.
        paths: Directories that its process needs to import it.
        script: Source of a module that defines it, where no file does; see `interactive`.
        config_name: Its config struct, as `"module:Class"`, where that can't be imported here.
        complete: Whether ports and config are known; else only running its module can tell them.
        absent: The ports that a node of this type does not have, because of its config.
    """

    spec: NodeSpec
    source: str = ""
    paths: tuple[str, ...] = ()
    script: str = ""
    config_name: str = ""
    complete: bool = True
    absent: tuple[AbsentPort, ...] = ()

    def configured(self, config: Mapping[str, Any]) -> NodeType:
        """Return the type as it is for a node with this config, which was checked against it."""
        spec, absent = configured(self.spec, config)
        return replace(self, spec=spec, absent=absent) if absent else self

    @property
    def config_target(self) -> str:
        """Its config struct, as `"module:Class"`; empty where it declares none."""
        struct = self.spec.config
        return self.config_name if struct is None else f"{struct.__module__}:{struct.__qualname__}"


class UnknownNodeType(LookupError):
    """A node type that is not installed, or a class that is not there; the text says which."""


def resolve_type(
    name: str,
    catalog: Catalog,
    extra_paths: Sequence[Path],
    directory: Path = _HERE,
    *,
    run: bool = True,
) -> NodeType:
    """Find out what a node type means.

    Args:
        name: A registered or installed type, `"module:Class"`, or `"file.py:Class"`.
        catalog: What is installed.
        extra_paths: Directories with node modules.
        directory: Where the path of a file begins.
        run: Run the module of a source file if nothing else can tell what the type is; if not,
            the type may be incomplete.

    Raises:
        UnknownNodeType: Nothing has this name.
    """
    if ":" in name:
        return _class_in_module(name, catalog, extra_paths, directory, run=run)
    registered = registered_nodes().get(name)
    if registered is not None:
        return _of_spec(registered)
    local, broken = _registered(extra_paths, name)
    if len(local) > 1:
        files = " and ".join(str(path) for _, path, _ in local)
        raise UnknownNodeType(
            f"node type {name!r} is registered in {files}; rename one, or name the class as "
            "'module:Class'"
        )
    if local:
        return _from_source(*local[0], run=run)
    installed = catalog.nodes.get(name)
    if installed is not None:
        return _installed(installed.spec)
    broken = _concerned(name, [*(str(problem) for problem in catalog.problems), *broken])
    if catalog.blocked:
        names = sorted(blocked.plugin.name for blocked in catalog.blocked)
        broken.append(f"plugins that the policy keeps out: {', '.join(_concerned(name, names))}")
    advice = _where_to_get(name, {*catalog.nodes, *registered_nodes()})
    raise UnknownNodeType(
        f"node type {name!r} is not installed; {advice}"
        + (f" ({'; '.join(broken)})" if broken else "")
    )


def local_types(extra_paths: Sequence[Path]) -> tuple[list[NodeType], list[str]]:
    """Return the types that files in directories register, and what is wrong with other files."""
    found, problems = _registered(extra_paths)
    types = []
    for cls, path, module in found:
        try:
            types.append(_from_source(cls, path, module))
        except UnknownNodeType as error:  # noqa: PERF203 - few files
            problems.append(str(error))
    return types, problems


def _registered(
    extra_paths: Sequence[Path], name: str | None = None
) -> tuple[list[tuple[NodeClass, Path, str]], list[str]]:
    found, broken = [], []
    seen: set[Path] = set()
    for path, module in modules_in(extra_paths):
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        try:
            classes = registered_in(path)
        except UnreadableSource as error:  # it may have nothing to do with what is looked for
            broken.append(str(error))
            continue
        found += [(cls, path, module) for cls in classes if name in (None, cls.type_name)]
    return found, broken


def _concerned(name: str, texts: Sequence[str]) -> list[str]:
    """Return those of several texts that name a node type; if none does, the first few."""
    plain = name.replace("-", "_")
    named = [text for text in texts if plain in text.replace("-", "_")]
    shown = named or list(texts[:_FEW])
    more = len(texts) - len(shown)
    return [*shown, *([f"and {more} more: remotemedia nodes list"] if more else [])]


def _where_to_get(name: str, known: set[str]) -> str:
    close = get_close_matches(name, {*known, *PACKAGE_OF_TYPE}, n=1)
    package = PACKAGE_OF_TYPE.get(close[0]) if close and close[0] not in known else None
    if package is None:
        return near(name, known)
    meant = "" if close[0] == name else f"did you mean {close[0]!r}? "
    return f"{meant}pip install '{package}'"


def _installed(spec: NodeSpec) -> NodeType:
    """Return an installed type, if reading the file of its class finds nothing wrong with that."""
    module, _, class_name = spec.target.partition(":")
    parent = module.rpartition(".")[0]
    found = None
    if not parent or parent in sys.modules:  # else looking for it would import that
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(module)
            if found is None and parent and not spec.requirements:
                beside = getattr(sys.modules[parent], "__path__", ())
                known = {one.name for one in pkgutil.iter_modules(beside)}
                raise UnknownNodeType(
                    f"node type {spec.name!r} is {spec.target!r}, but {parent} has no module "
                    f"{module.rpartition('.')[2]!r}; {near(module.rpartition('.')[2], known)}"
                )
    if found is not None and found.origin is not None and found.origin.endswith(".py"):
        try:
            wrong = why_no_node(Path(found.origin), class_name)
        except UnreadableSource as error:
            wrong = str(error)
        if wrong:
            raise UnknownNodeType(f"node type {spec.name!r} is {spec.target!r}, but {wrong}")
    return NodeType(spec)


def _spec_for(target: str, catalog: Catalog) -> NodeSpec | None:
    """Return the spec of an installed type whose class this is, if it is that of only one."""
    specs = [node.spec for node in catalog.nodes.values() if node.spec.target == target]
    return specs[0] if len(specs) == 1 else None


def type_of_class(cls: type[Any], catalog: Catalog | None = None) -> NodeType:
    """Return the node type of a class that the application has at hand.

    Args:
        cls: The class.
        catalog: What is installed; a class of that has the ports and config of its type.

    Raises:
        UnknownNodeType: It is no node class, or no other process could import it.
    """
    from remotemedia.core.node import MultiprocessNode

    if not (isinstance(cls, type) and issubclass(cls, MultiprocessNode)):
        raise UnknownNodeType(f"{cls!r:.80} is no node type: a name or a MultiprocessNode class is")
    spec = cls.__dict__.get("__remotemedia_spec__")
    if spec is None:
        target = f"{cls.__module__}:{cls.__qualname__}"
        spec = None if catalog is None else _spec_for(target, catalog)
    if spec is None:
        summary = (cls.__doc__ or "").strip().partition("\n")[0]
        spec = NodeSpec(cls.__name__, target, summary=summary)
    return _of_spec(spec)


def _of_spec(spec: NodeSpec) -> NodeType:
    _check(spec)
    module_name, _, class_name = spec.target.partition(":")
    module = sys.modules.get(module_name)
    source = str(getattr(module, "__file__", None) or "")
    if module_name != "__main__" or Path(source).is_file():  # standard input is "<stdin>"
        return NodeType(spec, source=source)
    try:
        return NodeType(spec, script=notebook_source(class_name))
    except NoSource as error:
        raise UnknownNodeType(str(error)) from error


def _check(spec: NodeSpec, *, whole: bool = True) -> None:
    if "<locals>" in str(spec.target):
        raise UnknownNodeType(
            f"{spec.target!r} is defined inside of a function, where the node's own process can't "
            "find it; define it in the module itself"
        )
    wrong = wrong_spec(spec, whole=whole)
    if wrong:
        raise UnknownNodeType("; ".join(filter(None, wrong)))


def file_of(written: str, extra_paths: Sequence[Path], directory: Path) -> Path | None:
    """Return the file that `file.py` of a type means: from a directory, or else an extra path."""
    candidates = (base / written for base in (directory, *extra_paths))
    return next((path.resolve() for path in candidates if path.is_file()), None)


def _class_in_module(
    name: str, catalog: Catalog, extra_paths: Sequence[Path], directory: Path, *, run: bool
) -> NodeType:
    module, _, class_name = name.rpartition(":")
    if not (module and class_name):
        raise UnknownNodeType(f"node type {name!r} must be 'module:Class'")
    if module.endswith(".py"):
        path = file_of(module, extra_paths, directory)
        if path is None:
            places = ", ".join(str(base.resolve()) for base in (directory, *extra_paths))
            raise UnknownNodeType(f"node type {name!r}: no file {module} in {places}")
        return _named_class(name, class_name, path, path.stem, run=run)
    local = _module_file(module, extra_paths)
    if local is not None:
        return _named_class(name, class_name, local, module, run=run)
    installed = _spec_for(name, catalog)
    if installed is not None:
        return _installed(installed)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    except Exception as error:  # the package that it is in is imported
        raise UnknownNodeType(
            f"node type {name!r}: {module.rpartition('.')[0]} can't be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    if spec is None or spec.origin is None:
        where = ", ".join(map(str, extra_paths)) or "none are set"
        raise UnknownNodeType(
            f"node type {name!r}: no module {module!r}; install it, or put its directory into "
            f"extra_paths ({where})"
        )
    return _named_class(name, class_name, Path(spec.origin), module, run=run, installed=True)


def _module_file(module: str, directories: Sequence[Path]) -> Path | None:
    relative = Path(*module.split("."))
    for base in directories:
        for path in (base / relative.with_suffix(".py"), base / relative / "__init__.py"):
            if path.is_file():
                return path
    return None


def _named_class(
    name: str, class_name: str, path: Path, module: str, *, run: bool, installed: bool = False
) -> NodeType:
    try:
        classes = {found.class_name: found for found in classes_in(path)}
    except UnreadableSource as error:
        raise UnknownNodeType(f"node type {name!r}: {error}") from error
    found = classes.get(class_name)
    if found is None:
        raise UnknownNodeType(
            f"node type {name!r}: {path.name} has no class {class_name!r}; "
            f"{near(class_name, classes)}"
        )
    if found.wrong:
        raise UnknownNodeType(f"node type {name!r}: {found.wrong}")
    return _from_source(found, path, module, run=run, installed=installed)


def _from_source(
    found: NodeClass, path: Path, module: str, *, run: bool = True, installed: bool = False
) -> NodeType:
    root = path.parents[module.count(".") + (path.name == "__init__.py")]
    paths = () if installed else (str(root.resolve()),)
    if run and not found.complete:  # ports or config that only running the module can tell
        sys.path[:0] = [entry for entry in paths if entry not in sys.path]
        try:
            target = load_object(f"{module}:{found.class_name}")
        except Exception as error:
            raise UnknownNodeType(
                f"{path} can't be imported: {type(error).__name__}: {error}; that is needed only "
                "because its register_node() has arguments that are no literals"
            ) from error
        spec = type_of_class(target).spec
    else:
        try:
            spec = NodeSpec(
                name=found.type_name,
                target=f"{module}:{found.class_name}",
                **{"summary": found.doc, **found.arguments},
            )
        except TypeError as error:
            raise UnknownNodeType(f"{path}: register_node({found.type_name!r}): {error}") from error
        _check(spec, whole=found.complete)
    source = str(path.resolve())
    return NodeType(spec, source=source, paths=paths, complete=run or found.complete)
