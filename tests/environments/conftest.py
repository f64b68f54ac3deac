"""Wheels that conflict, a store that all tests share, and a package whose build can be held."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.runtime import MultiprocessConfig
from remotemedia.runtime.environments.pythons import own_version, version_to_find
from remotemedia.runtime.environments.uv import find

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).parent
_APART = _HERE.parent / "third_party" / "apart"
_TEST_SECS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here a deadline: packages may have to be fetched."""
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TEST_SECS))


@pytest.fixture
def anyio_backend() -> str:
    """asyncio, where a test does not ask for both."""
    return "asyncio"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of acme-before and acme-after."""
    built = os.environ.get("REMOTEMEDIA_WHEELS")
    if built:
        return Path(built)
    folder = tmp_path_factory.mktemp("wheels")
    for project in sorted(_APART.iterdir()):
        command = [find(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(project)]
        subprocess.run(command, check=True)
    return folder


@pytest.fixture(autouse=True)
def _uv_settings(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let uv find these wheels, and save the time that compiling takes."""
    links = os.environ.get("UV_FIND_LINKS")
    monkeypatch.setenv("UV_FIND_LINKS", f"{links},{wheels}" if links else str(wheels))
    monkeypatch.setenv("UV_COMPILE_BYTECODE", "0")


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where environments are kept that more than one test uses."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def config(shared_store: Path) -> MultiprocessConfig:
    """A configuration with the shared store."""
    return MultiprocessConfig(environments_dir=shared_store)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where this test alone keeps environments."""
    return tmp_path / "environments"


@pytest.fixture(scope="session")
def other_python() -> str:
    """A Python version that is installed and not that of this process."""
    for version in ("3.12", "3.10", "3.11", "3.13"):
        if version != own_version() and version_to_find(version) != version:
            return version
    pytest.skip("no second Python from 3.10 to 3.13 is on PATH: run this through tox")


class Gate:
    """A source package whose installation waits until the test lets it go on.

    Attributes:
        requirement: What asks for it.
    """

    def __init__(self, folder: Path) -> None:
        self._reached, self._go = folder / "reached", folder / "go"
        os.mkfifo(self._reached)
        os.mkfifo(self._go)
        project = folder / "acme_gate"
        shutil.copytree(_HERE / "acme_gate", project)
        backend = project / "backend.py"
        text = backend.read_text(encoding="utf-8").replace("@FOLDER@", str(folder))
        backend.write_text(text, encoding="utf-8")
        self.requirement = f"acme-gate @ {project.as_uri()}"

    def wait(self) -> None:
        """Return when the installation has come to it."""
        self._reached.read_bytes()

    def open(self) -> None:
        """Let one installation go on."""
        self._go.write_bytes(b"")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A package whose installation waits."""
    return Gate(tmp_path)


@pytest.fixture
def site_packages() -> Callable[[str], Path]:
    """Find the site-packages of an interpreter."""

    def find_them(executable: str) -> Path:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        done = subprocess.run(
            [executable, "-I", "-c", code],
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return Path(done.stdout.strip())

    return find_them
