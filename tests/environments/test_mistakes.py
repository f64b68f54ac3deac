"""What can't be had is told with its place, before anything is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import remotemedia.core
from remotemedia.core.errors import NodeEnvironmentError, PipelineError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Progress, Runtime, Session
from remotemedia.runtime.environments.uv import find

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def check(tmp_path: Path, lines: str, config: MultiprocessConfig) -> None:
    """Check a pipeline file of one node, with these lines."""
    path = tmp_path / "p.toml"
    path.write_text(f'[nodes.a]\ntype = "acme_after"\n{lines}\n', encoding="utf-8")
    Runtime(config).check(Pipeline.load(path))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            'requirements = ["acme >> 1"]',
            "3: node 'a': requirements: 'acme >> 1' is no requirement",
        ),
        ('requirements = ["--pre"]', "'--pre' is no requirement; write one as 'name==1.2'"),
        ('requirements = [""]', "'' is no requirement"),
        ('requirements = "acme"', "3: node 'a': requirements must be a list as"),
        ('requirements = ["./nowhere"]', "there is no .*/nowhere"),
        ('requirements = ["./p.toml"]', "is neither a wheel nor a directory"),
        ('requirements = ["acme"]\nvenv_path = "."', "4: .*venv_path: is set together with requi"),
        ('python = "3.12"\nvenv_path = "."', "is set together with python"),
        ('venv_path = "nowhere"', "3: node 'a': venv_path: .*/nowhere is no directory; make it"),
        ('venv_path = "."', "has no bin/python; make it with"),
        ('python = "3.9"', "3: node 'a': python: '3.9': nodes need Python 3.10 or newer"),
        ('python = "2"', "nodes need Python 3.10 or newer"),
        ("python = 3.12", "python must be a version as"),
        ('python = "pythn3"', "there is no interpreter 'pythn3'; give a version as"),
        ('python = "bin/python"', "there is no interpreter '.*/bin/python'"),
        ('python = "3.10.0"', r"made for this node, .* with requirements = \["),
        ('executor = "inline"\nrequirements = ["acme"]', "requirements needs a process of its own"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, store: Path, lines: str, message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        check(tmp_path, lines, MultiprocessConfig(environments_dir=store))
    assert not store.exists()


def test_no_environment_is_made_for_a_pipeline_with_another_mistake(store: Path) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    pipeline.add_node("nobody_has_this", "b")
    with pytest.raises(PipelineError, match="nobody_has_this"):
        Runtime(MultiprocessConfig(environments_dir=store)).check(pipeline)
    assert not store.exists()


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("remotemedia-no-such-package==1", "remotemedia-no-such-package was not found"),
        ("iceoryx2==0.9.0", "remotemedia-runtime.* depends on\\s+iceoryx2"),
    ],
    ids=["unknown", "conflict"],
)
async def test_what_the_installer_says_is_passed_on(
    store: Path, requirement: str, message: str
) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after", requirement])
    with pytest.raises(NodeEnvironmentError, match=message) as caught:
        await Session("s", pipeline, config=MultiprocessConfig(environments_dir=store)).initialize()
    assert caught.value.node_id == "a"
    assert "correct the node's requirements" in str(caught.value)
    assert not os.listdir(store)  # noqa: PTH208 - a look from an async test


async def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    config = MultiprocessConfig(environments_dir=tmp_path / "file" / "environments")
    with pytest.raises(NodeEnvironmentError, match=r"can't be written: .* set 'environments_dir'"):
        await Session("s", pipeline, config=config).initialize()


async def test_a_missing_installer_is_told_with_the_extra_that_brings_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(store))
    monkeypatch.setitem(sys.modules, "uv", None)  # what importing it does where it is missing
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    with pytest.raises(NodeEnvironmentError, match=r"pip install 'remotemedia-runtime\[environ"):
        await Session("s", pipeline, config=MultiprocessConfig(environments_dir=store)).initialize()


# ---- environments that somebody else has made


@pytest.fixture
def made(config: MultiprocessConfig) -> str:
    """The interpreter of an environment with acme-after in it."""
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    graph = Runtime(config).check(pipeline)
    environment = graph.nodes["a"].environment
    assert environment is not None
    return environment.executable


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An empty virtual environment."""
    path = tmp_path / "venv"
    command = [find(), "venv", "--quiet", "--no-project", "--python", sys.executable, str(path)]
    subprocess.run(command, check=True)
    return path


async def test_a_node_runs_in_a_virtual_environment_that_is_there(made: str) -> None:
    venv = Path(made).parents[1]
    pipeline = Pipeline().add_node("acme_after", "a", venv_path=venv)
    async with Session("s", pipeline) as session:
        await session.send("a", [])
        (node,) = (await session.receive("a")).payload
    assert node["prefix"] == str(venv)


async def test_a_node_runs_with_an_interpreter_that_is_there(made: str) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", python=made)
    async with Session("s", pipeline) as session:
        await session.send("a", [])
        (node,) = (await session.receive("a")).payload
    assert node["packaging"] == "24.0"


async def test_an_environment_without_the_runtime_is_told_what_to_install(venv: Path) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", venv_path=venv)
    steps: list[Progress] = []
    with pytest.raises(NodeEnvironmentError, match=r"has no remotemedia-runtime .*-m pip install"):
        await Session("s", pipeline).initialize(progress_callback=steps.append)
    assert not steps


@pytest.fixture
def like_made(venv: Path, made: str, site_packages: Callable[[str], Path]) -> Path:
    """An environment that finds what is in `made`, after what is put into it itself."""
    (site_packages(str(venv / "bin" / "python")) / "zz.pth").write_text(
        f"import site; site.addsitedir({str(site_packages(made))!r})\n", encoding="utf-8"
    )
    return venv


@pytest.fixture
def other_iceoryx2(like_made: Path) -> Path:
    """An environment with an older iceoryx2."""
    command = [find(), "pip", "install", "--quiet", "--no-deps", "iceoryx2==0.9.0", "--python"]
    subprocess.run([*command, str(like_made / "bin" / "python")], check=True)
    return like_made


@pytest.fixture
def other_api(like_made: Path, site_packages: Callable[[str], Path]) -> Path:
    """An environment with an SDK that has another API."""
    target = site_packages(str(like_made / "bin" / "python")) / "remotemedia" / "core"
    target.mkdir(parents=True)
    for path in Path(remotemedia.core.__path__[0]).glob("*.py"):
        text = path.read_text(encoding="utf-8").replace("API_VERSION = 1", "API_VERSION = 2")
        (target / path.name).write_text(text, encoding="utf-8")
    return like_made


async def test_another_version_of_iceoryx2_is_told_with_both_sides(other_iceoryx2: Path) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", venv_path=other_iceoryx2)
    steps: list[Progress] = []
    with pytest.raises(NodeEnvironmentError, match=r"iceoryx2 0\.10 here, 0\.9 in") as caught:
        await Session("s", pipeline).initialize(progress_callback=steps.append)
    assert sys.executable in str(caught.value)
    assert str(other_iceoryx2 / "bin" / "python") in str(caught.value)
    assert not steps


async def test_another_api_of_the_sdk_is_told_with_both_sides(other_api: Path) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", venv_path=other_api)
    with pytest.raises(NodeEnvironmentError, match="SDK API 1 here, 2 in the node's env") as caught:
        await Session("s", pipeline).initialize()
    assert "install the same ones in both environments" in str(caught.value)
