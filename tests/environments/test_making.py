"""Making an environment once, whoever else wants it, and whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from remotemedia.core.errors import NodeEnvironmentError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime, Session
from remotemedia.runtime.environments.placement import EnvironmentsNeeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime import Progress

pytestmark = pytest.mark.anyio

_PROGRAM = """
import asyncio, sys
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

async def main():
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after", sys.argv[2]])
    session = Session("s", pipeline, config=MultiprocessConfig(environments_dir=sys.argv[1]))
    await session.initialize(progress_callback=lambda step: print(step.message, flush=True))
    await session.start()
    await session.send("a", [])
    print("packaging", (await session.receive("a")).payload[0]["packaging"])
    await session.cleanup()

asyncio.run(main())
"""


def pipeline_with(requirement: str) -> Pipeline:
    """A pipeline whose environment needs this too."""
    return Pipeline().add_node("acme_after", "a", requirements=["acme-after", requirement])


def complete(store: Path) -> list[str]:
    """The environments that count as made."""
    return [path.parts[-3] for path in store.glob("*/remotemedia/made.json")]


def begun(store: Path) -> list[str]:
    """The environments that are there, complete or not."""
    return [path.name for path in store.iterdir() if path.is_dir()]


def point_nowhere(store: Path) -> None:
    """Do to the only environment what removing its Python does."""
    (python,) = store.glob("*/bin/python")
    python.unlink()
    python.symlink_to("/nowhere/python")


async def open_gate(gate: Any) -> None:
    with anyio.fail_after(30):
        await anyio.to_thread.run_sync(gate.wait, abandon_on_cancel=True)
        await anyio.to_thread.run_sync(gate.open, abandon_on_cancel=True)


async def test_two_programs_at_once_make_it_once(
    start_program: Callable[..., Any], store: Path, gate: Any
) -> None:
    first = start_program(_PROGRAM, str(store), gate.requirement, name="first.py")
    assert first.line() == "making the environment"
    gate.wait()
    second = start_program(_PROGRAM, str(store), gate.requirement, name="second.py")
    waits = f"waiting for process {first.pid}, which makes or removes the environment"
    assert second.line() == waits
    gate.open()
    code, output = first.result(30)
    assert code == 0, output
    assert "packaging 24.0" in output
    code, output = second.result(30)
    assert code == 0, output
    assert "making" not in output
    assert "packaging 24.0" in output


async def test_what_a_killed_maker_has_left_is_made_anew(
    start_program: Callable[..., Any], store: Path, gate: Any
) -> None:
    program = start_program(_PROGRAM, str(store), gate.requirement)
    assert program.line() == "making the environment"
    gate.wait()
    program.process.kill()
    program.result()
    assert begun(store)
    assert not complete(store)
    gate.open()  # the build that the kernel did not end with it
    config = MultiprocessConfig(environments_dir=store)
    async with anyio.create_task_group() as group:
        group.start_soon(open_gate, gate)
        async with Session("s", pipeline_with(gate.requirement), config=config) as session:
            await session.send("a", [])
            assert (await session.receive("a")).payload[0]["packaging"] == "24.0"
    assert len(complete(store)) == 1


async def test_cancelling_ends_the_installer_and_leaves_nothing(store: Path, gate: Any) -> None:
    session = Session(
        "s",
        pipeline_with(gate.requirement),
        config=MultiprocessConfig(environments_dir=store),
    )
    async with anyio.create_task_group() as group:
        group.start_soon(session.initialize)
        with anyio.fail_after(30):
            await anyio.to_thread.run_sync(gate.wait, abandon_on_cancel=True)
        group.cancel_scope.cancel()
    assert not complete(store)


async def test_ctrl_c_ends_the_command_and_what_it_makes(
    tmp_path: Path, store: Path, gate: Any
) -> None:
    process = _command(tmp_path, store, gate, "check")
    gate.wait()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130, (output, errors)
    assert not complete(store)


async def test_sigterm_ends_the_command_and_what_it_makes(
    tmp_path: Path, store: Path, gate: Any
) -> None:
    process = _command(tmp_path, store, gate, "run")
    gate.wait()
    process.terminate()
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 143, (output, errors)
    assert "a: preparing" in errors
    assert not complete(store)


def _command(tmp_path: Path, store: Path, gate: Any, name: str) -> subprocess.Popen[str]:
    path = tmp_path / "p.toml"
    requirements = json.dumps(["acme-after", gate.requirement])
    path.write_text(f'[nodes.a]\ntype = "acme_after"\nrequirements = {requirements}\n', "utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "remotemedia.runtime.cli.main", name, str(path)],
        env={**os.environ, "REMOTEMEDIA_ENVIRONMENTS_DIR": str(store)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


async def test_a_changed_local_project_means_another_environment(
    store: Path, tmp_path: Path
) -> None:
    project = tmp_path / "acme_local"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "acme-local"\nversion = "1"\n', encoding="utf-8"
    )
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after", str(project)])
    runtime = Runtime(MultiprocessConfig(environments_dir=store))
    keys = set()
    for text in ("ONE = 1", "TWO = 22"):
        (project / "acme_local.py").write_text(text, encoding="utf-8")
        with pytest.raises(EnvironmentsNeeded) as caught:
            runtime.resolve(pipeline)
        keys.add(caught.value.wishes["a"].request.key)  # type: ignore[union-attr]
    assert len(keys) == 2


async def test_an_environment_whose_python_is_gone_is_made_anew(store: Path) -> None:
    config = MultiprocessConfig(environments_dir=store)
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    async with Runtime(config) as runtime:
        await anyio.to_thread.run_sync(runtime.check, pipeline)
        point_nowhere(store)
        with pytest.raises(NodeEnvironmentError, match="a living process still uses it"):
            await Session("s", pipeline, runtime=runtime).initialize()
    steps: list[Progress] = []
    async with Runtime(config) as runtime:
        await anyio.to_thread.run_sync(runtime.check, pipeline, steps.append)
    assert steps[0].message == "making the environment"


async def test_without_network_the_next_step_is_named(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    config = MultiprocessConfig(environments_dir=store)
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    with pytest.raises(NodeEnvironmentError, match="UV_FIND_LINKS"):
        await Session("s", pipeline, config=config).initialize()
