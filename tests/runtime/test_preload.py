"""`preload`: what takes long to import is imported once, for all nodes of a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from remotemedia.core.errors import PipelineError, ProcessSpawnError
from remotemedia.runtime import MultiprocessConfig, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remotemedia.runtime import Pipeline

pytestmark = pytest.mark.anyio


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that takes note of each time that it is imported, and where that is written."""
    log = tmp_path / "imports"
    source = f"with open({str(log)!r}, 'a', encoding='utf-8') as log:\n    log.write('once ')\n"
    (tmp_path / "heavy_module.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return log


async def test_it_is_imported_once_and_all_nodes_have_it(
    chain: Callable[..., Pipeline], heavy: Path
) -> None:
    async with Runtime(MultiprocessConfig(preload=("heavy_module",))) as runtime:
        for number in range(2):
            session = await runtime.create_session(f"s{number}", chain("HasModule", "HasModule"))
            await session.send("a", "heavy_module")
            assert (await session.receive("b", timeout=15)).payload == "heavy_module"
            await session.cleanup()
    text = await anyio.Path(heavy).read_text(encoding="utf-8")
    assert text == "once "


async def test_nodes_that_say_the_same_share_one_import_and_others_have_none(
    pipeline: Pipeline, heavy: Path
) -> None:
    for node in "ab":
        pipeline.add_node("samples:HasModule", node, preload=["heavy_module"])
    pipeline.add_node("samples:HasModule", "c", on_error="continue")
    async with Runtime() as runtime:
        for number in range(2):
            session = await runtime.create_session(f"s{number}", pipeline)
            for node in "abc":
                await session.send(node, "heavy_module")
            for node in "ab":
                assert (await session.receive(node, timeout=15)).payload == "heavy_module"
            await session.close_input()
            await session.wait_finished()
            assert [(e.node_id, e.remote_type) for e in session.node_errors] == [
                ("c", "LookupError")
            ]
            await session.cleanup()
    text = await anyio.Path(heavy).read_text(encoding="utf-8")
    assert text == "once "


@pytest.mark.parametrize("wrong", ["torch", [3], ["no module"]])
def test_what_is_no_list_of_modules_is_said(pipeline: Pipeline, wrong: Any) -> None:
    pipeline.add_node("samples:HasModule", "a", preload=wrong)
    with pytest.raises(PipelineError, match="preload must be a list of modules"):
        Runtime().check(pipeline)


async def test_a_module_that_is_not_there_is_named_before_any_node_runs() -> None:
    runtime = Runtime(MultiprocessConfig(preload=("no_such_module",)))
    with pytest.raises(ProcessSpawnError, match=r"No module named 'no_such_module'$"):
        await runtime.start()
    await runtime.shutdown()
