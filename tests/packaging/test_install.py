"""The wheels in fresh environments: alone, in any order, and removed again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {
    "remotemedia-sdk": "remotemedia.core",
    "remotemedia-runtime": "remotemedia.runtime",
    "remotemedia-nodes-whisper": "remotemedia.nodes.whisper",
    "remotemedia-nodes-tts": "remotemedia.nodes.tts",
    "remotemedia-nodes-lfm2": "remotemedia.nodes.lfm2",
}
NODES = {
    "remotemedia-nodes-whisper": ("whisper",),
    "remotemedia-nodes-lfm2": ("lfm2_audio",),
    "remotemedia-nodes-tts": ("kokoro_tts", "piper_tts", "vibe_voice"),
}

pytestmark = pytest.mark.timeout(180)  # dependencies may have to be fetched


class Environment:
    """A fresh virtual environment that takes our packages from the built wheels only."""

    def __init__(self, folder: Path, wheelhouse: Path) -> None:
        uv = shutil.which("uv")
        if uv is None:
            pytest.skip("uv is not on PATH: run this through tox")
        self._uv = uv
        self._constraints = wheelhouse / "constraints.txt"
        self.python = folder / "bin" / "python"
        self._run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))

    def install(self, *names: str) -> None:
        """Install our packages and what they depend on."""
        constraint = ("--constraint", str(self._constraints))
        self._pip("install", *constraint, *names)

    def uninstall(self, name: str) -> None:
        """Remove one package, not its dependencies."""
        self._pip("uninstall", name)

    def imports(self, *modules: str) -> None:
        """Import the modules in a process of this environment; any warning is an error."""
        self._python("; ".join(f"import {module}" for module in modules))

    def lacks(self, module: str) -> None:
        """Check that nothing is left of a module, also no folder."""
        self._python(f"import importlib.util as u; assert u.find_spec({module!r}) is None")

    def finds(self, *nodes: str) -> None:
        """Check that the runtime finds these node types, no others, and no broken plugin."""
        self._python(
            "from remotemedia.runtime.plugins import discover; found = discover(); "
            f"assert sorted(found.nodes) == {sorted(nodes)}, found; assert not found.problems"
        )

    def _python(self, code: str) -> None:
        self._run(str(self.python), "-I", "-W", "error", "-c", code)

    def _pip(self, verb: str, *arguments: str) -> None:
        self._run(self._uv, "pip", verb, "--quiet", "--python", str(self.python), *arguments)

    def _run(self, *command: str) -> None:
        # Our own environment's settings must not reach into the fresh one.
        environ = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, encoding="utf-8", env=environ
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def environment(tmp_path: Path, wheelhouse: Path) -> Environment:
    """An empty environment."""
    return Environment(tmp_path / "venv", wheelhouse)


@pytest.mark.parametrize(("name", "module"), PACKAGES.items(), ids=PACKAGES)
def test_installs_alone(environment: Environment, name: str, module: str) -> None:
    environment.install(name)
    environment.imports(module, "remotemedia.core")


@pytest.mark.parametrize("first", PACKAGES)
@pytest.mark.parametrize("step", [1, -1], ids=["onwards", "backwards"])
def test_installs_in_any_order(environment: Environment, first: str, step: int) -> None:
    names = list(PACKAGES)[::step]
    at = names.index(first)
    for name in (*names[at:], *names[:at]):
        environment.install(name)
    environment.imports(*PACKAGES.values())
    environment.finds(*(node for found in NODES.values() for node in found))


@pytest.mark.parametrize("removed", NODES)
def test_removing_a_node_package_leaves_the_others(environment: Environment, removed: str) -> None:
    environment.install(*PACKAGES)
    environment.uninstall(removed)
    environment.imports(*(module for name, module in PACKAGES.items() if name != removed))
    environment.lacks(PACKAGES[removed])
    environment.finds(*(node for name, found in NODES.items() if name != removed for node in found))


def test_removing_the_runtime_leaves_the_nodes(environment: Environment) -> None:
    environment.install(*PACKAGES)
    environment.uninstall("remotemedia-runtime")
    environment.lacks("remotemedia.runtime")
    environment.imports(
        "remotemedia.core.multiprocessing",
        "remotemedia.nodes.whisper.node",
        "remotemedia.nodes.tts.piper",
        "remotemedia.nodes.lfm2.node",
    )
