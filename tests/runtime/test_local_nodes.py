"""Nodes that are no packages: a file, or a module of a directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from remotemedia.core.errors import PipelineError
from remotemedia.runtime import Pipeline, Runtime, Session

HEAD = "from remotemedia.core.multiprocessing import MultiprocessNode, register_node\n"
NODE = HEAD + (
    "{decorator}\nclass Node(MultiprocessNode):\n"
    "    def process(self, data):\n        return {answer!r}\n"
)


def write(path: Path, answer: str, decorator: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(NODE.format(answer=answer, decorator=decorator), encoding="utf-8")
    return path


async def answer_of(pipeline: Pipeline) -> object:
    async with Session("local", pipeline) as session:
        await session.send("n", "x")
        return (await session.receive("n", timeout=10)).payload


@pytest.mark.anyio
async def test_a_file_is_found_beside_its_pipeline_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here" / "nodes" / "node.py", "found")
    file = tmp_path / "here" / "p.toml"
    file.write_text("[nodes.n]\ntype = 'nodes/node.py:Node'", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert await answer_of(Pipeline.load(file)) == "found"


@pytest.mark.anyio
@pytest.mark.parametrize("executor", ["multiprocess", "inline"])
async def test_a_file_may_be_called_as_a_module_that_is_there_already(
    tmp_path: Path, executor: str
) -> None:
    path = write(tmp_path / "json.py", "mine")
    pipeline = Pipeline().add_node(f"{path}:Node", "n").with_executor(executor)
    assert await answer_of(pipeline) == "mine"


def check(type_name: str, path: Path) -> str:
    with pytest.raises(PipelineError) as caught:
        Runtime().check(Pipeline(extra_paths=[path]).add_node(type_name, "n"))
    return str(caught.value)


def test_a_file_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    text = check("nowhere.py:Node", tmp_path)
    assert f"no file nowhere.py in {Path.cwd()}, {tmp_path}" in text


def test_a_name_that_two_files_register_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / f"{name}.py", name, "@register_node('same')")
    text = check("same", tmp_path)
    assert f"node type 'same' is registered in {tmp_path}/one.py and {tmp_path}/two.py" in text


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("@register_node('n', gpu=True)", "unexpected keyword argument 'gpu'"),
        ("@register_node('n', summary=5)", "summary must be a text"),
        ("@register_node('n', inputs=[Port('a', 'adio')])", "has the unknown type 'adio'"),
        ("@register_node('n', inputs=[Port('a', kind='x')])", "can't be imported"),
        ("@register_node('a b')", "node type name 'a b' is not valid"),
    ],
)
def test_a_registration_that_makes_no_sense(tmp_path: Path, decorator: str, message: str) -> None:
    write(tmp_path / "node.py", "x", decorator)
    assert message in check("a b" if "a b" in decorator else "n", tmp_path)


def test_a_module_whose_package_can_not_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "broken_package"
    package.mkdir()
    (package / "__init__.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = check("broken_package.node:Node", tmp_path / "..")
    assert "broken_package can't be imported: ZeroDivisionError" in text


SCRIPT = """
import asyncio
import os

if "IN_ITS_NODE" in os.environ:
    import no_such_library
from remotemedia.core.multiprocessing import MultiprocessNode, Pipeline, Session


class Node(MultiprocessNode):
    def process(self, data):
        return data


async def main():
    pipeline = Pipeline().add_node(Node, "n", environment={"IN_ITS_NODE": "1"})
    async with Session("script", pipeline):
        pass


asyncio.run(main())
"""


def test_a_script_whose_imports_its_node_does_not_have_is_told_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(SCRIPT, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(file)], capture_output=True, encoding="utf-8", timeout=30, check=False
    )
    assert ran.returncode == 1
    assert f"No module named 'no_such_library': the class is defined in {file}" in ran.stderr
    assert "put it into a file of its own, and name it 'file.py:Class'" in ran.stderr
