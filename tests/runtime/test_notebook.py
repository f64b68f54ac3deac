"""Nodes that are defined in a notebook: what their processes are given to run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

#: Runs cells as a notebook's kernel does; prints what fails.
_KERNEL = """
import json, sys, types
from IPython.core.interactiveshell import InteractiveShell

module = types.ModuleType("__main__")
sys.modules["__main__"] = module
shell = InteractiveShell.instance(user_module=module, user_ns=vars(module))
shell.colors = "NoColor" if shell.colors != "nocolor" else "nocolor"
for cell in json.loads(sys.argv[1]):
    shell.run_cell(cell, store_history=True, silent=False)
"""
_IMPORTS = """
import numpy as np
from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, Pipeline, Session, register_node
"""
_RUN = """
async with Session("notebook", Pipeline().add_node({type}, "a", {config})) as session:
    await session.send("a", {data})
    print("got", (await session.receive("a")).payload)
"""


def run(type: str, data: str = "'x'", config: str = "{}") -> str:  # noqa: A002
    return _RUN.format(type=type, data=data, config=config)


@pytest.fixture
def notebook(
    run_program: Callable[..., str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run cells in a fresh notebook, and return what they print."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))

    def run(*cells: str) -> str:
        return run_program(_KERNEL, json.dumps([_IMPORTS, *cells]))

    return run


def test_a_class_of_a_cell_runs_with_all_that_it_uses(notebook: Callable[..., str]) -> None:
    out = notebook(
        "words = ['never', 'run']\nprint('a cell that is run once')",
        "PREFIX = 'hel'\nPREFIX += 'lo '",
        "def greeting(name):\n    return polite(PREFIX) + name",
        "def polite(text):\n    return text.capitalize()",
        "class Greeter(MultiprocessNode):\n    def process(self, data):\n"
        "        return RuntimeData.text(greeting(data.payload))",
        run("Greeter"),
    )
    assert out.count("a cell that is run once") == 1
    assert "got Hello x" in out


def test_the_last_definition_counts(notebook: Callable[..., str]) -> None:
    node = "class Node(MultiprocessNode):\n    def process(self, data):\n        return {}"
    out = notebook("N = 1", node.format("'old'"), node.format("f'new {N}'"), "N = 2", run("Node"))
    assert "got new 2" in out


def test_a_registered_class_and_its_config(notebook: Callable[..., str]) -> None:
    out = notebook(
        "import msgspec\nclass Config(msgspec.Struct):\n    word: str = ''",
        "@register_node('echo', config=Config)\nclass Echo(MultiprocessNode):\n"
        "    def process(self, data):\n        return data.payload + self.config.word",
        run("'echo'", config="{'word': ' again'}"),
    )
    assert "got x again" in out


def test_an_error_in_process_shows_the_line_of_the_cell(notebook: Callable[..., str]) -> None:
    out = notebook(
        "class Node(MultiprocessNode):\n    def process(self, data):\n        return 1 / 0",
        run("Node"),
    )
    assert "ZeroDivisionError" in out
    assert "return 1 / 0" in out


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("import asyncio\nx = await asyncio.sleep(0, 'x')",), "whose definition awaits something"),
        (("globals()['x'] = 1",), "'Node' uses 'x', which no cell of this notebook defines"),
    ],
)
def test_what_can_not_be_run_again_is_named(
    notebook: Callable[..., str], cells: tuple[str, ...], message: str
) -> None:
    node = "class Node(MultiprocessNode):\n    def process(self, data):\n        return x"
    out = notebook(*cells, node, run("Node"))
    assert message in out
    assert "PipelineError" in out


def test_a_definition_that_a_magic_hides(notebook: Callable[..., str]) -> None:
    node = "%%time\nclass Node(MultiprocessNode):\n    def process(self, data):\n        return 1"
    out = notebook(node, run("Node"))
    assert "the definition of 'Node' is not among the cells" in out


def test_where_there_is_no_notebook_and_no_file_the_error_says_what_to_do() -> None:
    source = (
        _IMPORTS
        + "class Node(MultiprocessNode):\n    def process(self, data):\n        return data\n"
        + "from remotemedia.runtime import Runtime\nRuntime().check(Pipeline().add_node(Node, 'a'))"
    )
    done = subprocess.run(
        [sys.executable, "-"],
        input=source,
        capture_output=True,
        encoding="utf-8",
        timeout=15,
        check=False,
    )
    assert done.returncode == 1
    assert "'Node' is defined where no file holds its source" in done.stderr
    assert "write the class into a file, and name it 'file.py:Class'" in done.stderr
