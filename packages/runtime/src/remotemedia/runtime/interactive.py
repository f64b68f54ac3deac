"""Classes of a notebook: the statements that define them, for the processes that run them.

A class in a cell has no file that another process could import. What IPython has run is known,
though: the statements that define the class and everything that it uses, and no others, are run
again where the node runs.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from dataclasses import dataclass
from typing import Any

from remotemedia.runtime.source_tree import parse

__all__ = ["NoSource", "notebook_source"]


class NoSource(Exception):
    """A class whose definition can't be had; the text says why, and what to do."""


@dataclass
class _Statement:
    text: str
    node: ast.stmt
    binds: set[str]
    uses: set[str]

    @property
    def awaits(self) -> bool:
        return any(
            isinstance(part, (ast.Await, ast.AsyncFor, ast.AsyncWith))
            for part in _outside_functions(self.node)
        )


def notebook_source(name: str) -> str:
    """Return the source of a module that defines what `name` is in the running notebook.

    Args:
        name: A class of `__main__`, or one inside of it, as `Outer.Inner`.

    Raises:
        NoSource: `__main__` is no notebook, or its definition is not among what was run.
    """
    namespace = vars(sys.modules["__main__"])
    shell = _shell(namespace)
    if shell is None:
        raise NoSource(
            f"{name!r} is defined where no file holds its source, so that the node's own process "
            "can't find it; write the class into a file, and name it 'file.py:Class'"
        )
    first = name.partition(".")[0]
    statements = _statements(shell.history_manager.input_hist_parsed)
    hidden = set(getattr(shell, "user_ns_hidden", ()))
    chosen: set[int] = set()
    missing: list[str] = []
    todo = [first]
    seen: set[str] = set()
    while todo:
        wanted = todo.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        found = _definition(wanted, statements)
        if not found and wanted in namespace and wanted not in hidden:
            missing.append(wanted)
        for index in found:
            chosen.add(index)
            todo += statements[index].uses
    _complain(name, first, missing, [statements[index] for index in chosen])
    ordered = [statements[index].text for index in sorted(chosen)]
    future = [s.text for s in statements if _is_future(s.node) and s.text not in ordered]
    return "\n\n".join([*dict.fromkeys(future), *ordered]) + "\n"


def _complain(name: str, first: str, missing: list[str], chosen: list[_Statement]) -> None:
    if first in missing:
        raise NoSource(
            f"the definition of {name!r} is not among the cells that this notebook has run (a cell "
            "magic hides it, perhaps); define it in a cell of its own, or in a file"
        )
    if missing:
        raise NoSource(
            f"{name!r} uses {missing[0]!r}, which no cell of this notebook defines; define it in a "
            "cell, or write the class into a file"
        )
    for statement in chosen:
        if statement.awaits:
            raise NoSource(
                f"{name!r} uses {', '.join(sorted(statement.binds))}, whose definition awaits "
                "something; set it in initialize(), or pass it as config"
            )


def _shell(namespace: dict[str, Any]) -> Any:  # noqa: ANN401 - IPython's, which need not be there
    get = namespace.get("get_ipython") or getattr(builtins, "get_ipython", None)
    return get() if callable(get) and "IPython" in sys.modules else None


def _statements(cells: list[str]) -> list[_Statement]:
    found = []
    for cell in cells:
        try:
            body = parse(cell).body
        except (SyntaxError, ValueError):  # it was not run either
            continue
        for node in body:
            text = ast.unparse(node)
            try:
                binds, uses = _names(symtable.symtable(text, "<notebook>", "exec"))
            except SyntaxError:
                continue
            if isinstance(node, ast.AugAssign):  # no reference, by the symbol table
                uses |= binds
            found.append(_Statement(text, node, binds, uses))
    return found


def _names(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the global names that a statement binds, and those that it needs."""
    binds, uses = set[str](), set[str]()
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            binds.add(symbol.get_name())
        if symbol.is_referenced():
            uses.add(symbol.get_name())
    todo = table.get_children()
    while todo:
        inner = todo.pop()
        todo += inner.get_children()
        for symbol in inner.get_symbols():
            if symbol.is_global():
                uses.add(symbol.get_name())
                if symbol.is_assigned():
                    binds.add(symbol.get_name())
    return binds, uses


def _definition(name: str, statements: list[_Statement]) -> list[int]:
    """Return the last statement that binds a name, and those before that it builds upon."""
    found: list[int] = []
    for index in range(len(statements) - 1, -1, -1):
        statement = statements[index]
        if name in statement.binds:
            found.append(index)
            defines = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            if isinstance(statement.node, defines) or name not in statement.uses:
                break
    return found


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _outside_functions(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a statement that run when it runs."""
    found: list[ast.AST] = []
    todo: list[ast.AST] = [node]
    while todo:
        part = todo.pop()
        found.append(part)
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(part)
    return found
