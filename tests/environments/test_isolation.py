"""Nodes whose libraries contradict each other, in one pipeline."""

from __future__ import annotations

import asyncio
import sysconfig
from pathlib import Path

import packaging.requirements  # noqa: F401 - the application's own: a test here puts another before it
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import NodeError, PipelineError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Progress, Runtime, Session
from remotemedia.runtime.environments.pythons import own_version

pytestmark = pytest.mark.anyio
NODES = Path(__file__).parent / "nodes"


def contradictory(other_python: str) -> Pipeline:
    """A pipeline of two nodes that can't share an environment, on two Python versions."""
    before, after = sorted((own_version(), other_python), key=lambda v: int(v.split(".")[1]))
    return (
        Pipeline()
        .add_node("acme_before", "a", requirements=["acme-before"], python=before)
        .add_node("acme_after", "b", {"greeting": "hi"}, requirements=["acme-after"], python=after)
        .connect("a", "output", "b", "input")
    )


async def test_each_node_gets_its_own_version_of_a_library(
    config: MultiprocessConfig, other_python: str
) -> None:
    async with Session("s", contradictory(other_python), config=config) as session:
        await session.send("a", RuntimeData.json([]))
        first, second = (await session.receive("b")).payload
    assert (first["packaging"], second["packaging"]) == ("23.0", "24.0")
    assert (first["greeting"], second["greeting"]) == ("hello", "hi")
    assert {own_version(), other_python} == {
        ".".join(node["python"].split(".")[:2]) for node in (first, second)
    }
    assert first["numpy"].startswith("1.")


async def test_nothing_of_the_application_is_mixed_in(
    config: MultiprocessConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "packaging.py").write_text("__version__ = 'of the application'", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pipeline = Pipeline(extra_paths=[tmp_path])
    pipeline.add_node("acme_after", "a", requirements=["acme-after"])
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", RuntimeData.json([]))
        (node,) = (await session.receive("a")).payload
    assert node["packaging"] == "24.0"
    assert not {str(tmp_path), sysconfig.get_path("purelib")} & {*node["path"]}


async def test_a_node_process_imports_nothing_that_only_applications_need(
    config: MultiprocessConfig,
) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", RuntimeData.json([]))
        (node,) = (await session.receive("a")).payload
    unneeded = {"anyio", "click", "psutil", "rich", "soundfile", "soxr"}
    assert not unneeded & {*node["imported"]}


async def test_progress_shows_the_environment_before_the_first_process(
    store: Path, anyio_backend: str
) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    steps: list[Progress] = []
    config = MultiprocessConfig(environments_dir=store)
    async with Runtime(config) as runtime:
        session = Session("s", pipeline, runtime=runtime)
        await session.initialize(progress_callback=steps.append)
        await session.cleanup()
    stages = list(dict.fromkeys(step.status for step in steps))
    assert stages == ["preparing", "starting", "loading", "connecting", "ready"]
    assert steps[0].message == "making the environment"
    assert any("Installed" in step.message for step in steps)


async def test_an_environment_that_is_there_needs_neither_network_nor_cache(
    config: MultiprocessConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    async with Session("first", pipeline, config=config):
        pass
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    steps: list[Progress] = []
    session = Session("second", pipeline, config=config)
    await session.initialize(progress_callback=steps.append)
    await session.cleanup()
    assert "preparing" not in {step.status for step in steps}


async def test_a_source_file_says_what_its_node_requires(config: MultiprocessConfig) -> None:
    pipeline = Pipeline(extra_paths=[NODES]).add_node("local_old", "a", {"word": "has"})
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", "it")
        assert (await session.receive("a")).payload == "it has 23.0"


async def test_a_pipeline_can_take_a_node_out_of_the_environment_that_its_type_asks_for(
    config: MultiprocessConfig,
) -> None:
    pipeline = Pipeline(extra_paths=[NODES]).add_node("local_old", "a", requirements=[])
    async with Session("s", pipeline, config=config) as session:
        await session.send("a", "it")
        assert (await session.receive("a")).payload != "it with 23.0"


async def test_looking_at_an_environment_imports_no_node(config: MultiprocessConfig) -> None:
    pipeline = Pipeline(extra_paths=[NODES]).add_node("needs_missing", "a")
    runtime = Runtime(config)
    assert await asyncio.to_thread(runtime.check, pipeline)
    with pytest.raises(NodeError, match="a_library_that_nobody_has"):
        async with runtime:
            await runtime.create_session("s", pipeline)


async def test_config_is_checked_by_the_environment_that_knows_it(
    config: MultiprocessConfig,
) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", {"greting": 1}, requirements=["acme-after"])
    with pytest.raises(PipelineError, match="unknown config key 'greting'; did you mean 'greet"):
        await Session("s", pipeline, config=config).initialize()


async def test_a_type_that_is_not_in_the_environment_is_told_with_near_names(
    config: MultiprocessConfig,
) -> None:
    pipeline = Pipeline().add_node("acme_aftre", "a", requirements=["acme-after"])
    with pytest.raises(PipelineError, match=r"did you mean 'acme_after'\?; looked for in Python"):
        await Session("s", pipeline, config=config).initialize()


async def test_the_environment_that_knows_the_config_says_which_ports_it_gives(
    config: MultiprocessConfig,
) -> None:
    pipeline = Pipeline(extra_paths=[NODES]).add_node("chooses", "a", {"mode": "listen"})
    graph = await asyncio.to_thread(Runtime(config).check, pipeline)
    assert [str(ref) for ref in (*graph.inputs, *graph.outputs)] == ["a.audio", "a.words"]
    pipeline.outputs = ["a.sounds"]
    with pytest.raises(PipelineError, match="'a' has no output 'sounds' while"):
        await asyncio.to_thread(Runtime(config).check, pipeline)
