"""Loading a node's class in the process that runs it."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import load_object, registered_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ScriptReachedSession", "load_node_class", "stop_if_loading_script"]

_SCRIPT_MODULE = "__remotemedia_main__"
_FILE_MODULE = "__remotemedia_file__"
_loading_script = False


class ScriptReachedSession(BaseException):
    """Ends the loading of a script: all before its first session has run, its nodes are defined."""


def stop_if_loading_script() -> None:
    """End the loading of the script that runs, if a node process loads one.

    A script that defines nodes is run again in the processes of these nodes. A session that it
    starts, unguarded by `if __name__ == "__main__"`, marks the end of its definitions.
    """
    if _loading_script:
        raise ScriptReachedSession


def load_node_class(
    target: str,
    source: str,
    type_name: str,
    paths: Sequence[str] = (),
    more_paths: Sequence[str] = (),
    arguments: Sequence[str] = (),
    *,
    script: str = "",
) -> type[MultiprocessNode]:
    """Import a node's class.

    Args:
        target: `"module:Class"`.
        source: File of the module, for modules that can't be imported by name, and for scripts.
        type_name: The node type, to find the class by what the module registered.
        paths: Where modules are looked for first.
        more_paths: Where they are looked for last.
        arguments: What a script finds in `sys.argv`.
        script: Source of the module, where no file has it.

    Raises:
        ImportError: The module has no such class, or it is no node.
    """
    sys.path[:0] = [path for path in paths if path not in sys.path]
    sys.path += [path for path in more_paths if path not in sys.path]
    module_name, _, class_name = target.partition(":")
    if script or (module_name == "__main__" and source):
        try:
            module = _run_text(script) if script else _run_script(source, arguments)
        except ModuleNotFoundError as error:  # the application has found it
            where = source or "a notebook"
            text = (
                f"{error}: the class is defined in {where}, all of which is run in its node's own "
                "environment too; put it into a file of its own, and name it 'file.py:Class'"
            )
            raise ModuleNotFoundError(text, name=error.name) from error
    else:
        try:
            module = _import(module_name, source)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise
            text = f"node type {type_name!r}: {target!r} names a module that is not there: {error}"
            raise ImportError(f"{text}; correct its target, or install it again") from error
    found: Any = module
    for part in class_name.split("."):
        found = getattr(found, part, None)
    if found is None:
        registered = registered_nodes().get(type_name)
        if registered is not None:
            found = load_object(registered.target)
    if not (isinstance(found, type) and issubclass(found, MultiprocessNode)):
        what = "has no such class" if found is None else "is no subclass of MultiprocessNode"
        text = f"node type {type_name!r}: {target!r} {what}; correct its target"
        raise ImportError(text)  # noqa: TRY004 - mostly, there is nothing that has a type
    return found


def _import(name: str, source: str) -> Any:  # noqa: ANN401
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not source or error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
    else:
        if not source or _is_from(module, source):
            return module
        name = f"{_FILE_MODULE}{name}"  # a file may be called as a module that is there already
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no module {name!r}, and {source} can't be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _is_from(module: ModuleType, source: str) -> bool:
    try:
        return module.__file__ is not None and Path(module.__file__).samefile(source)
    except OSError:  # a module of an archive, or a source that is gone: its name is all there is
        return True


def _run_text(text: str) -> ModuleType:
    """Run the definitions of a notebook; tracebacks show its lines."""
    name = f"<{_SCRIPT_MODULE}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = sys.modules[_SCRIPT_MODULE] = ModuleType(_SCRIPT_MODULE)
    exec(compile(text, name, "exec"), vars(module))  # noqa: S102 - as importing it would
    return module


def _run_script(path: str, arguments: Sequence[str]) -> ModuleType:
    """Run the application's script up to its first session."""
    global _loading_script  # noqa: PLW0603 - one script in one process
    spec = importlib.util.spec_from_file_location(_SCRIPT_MODULE, path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"the script {path} can't be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_SCRIPT_MODULE] = module
    sys.argv = [path, *arguments]
    _loading_script = True
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if not _is_end_of_script(error):
            raise
    finally:
        _loading_script = False
    return module


def _is_end_of_script(error: BaseException) -> bool:
    """Say whether it is `ScriptReachedSession`, also one that went through task groups."""
    if isinstance(error, ScriptReachedSession):
        return True
    inner = getattr(error, "exceptions", ())  # those of a BaseExceptionGroup
    return bool(inner) and all(map(_is_end_of_script, inner))
