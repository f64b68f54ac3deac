"""The engine of vibe_voice, with random weights that are made here: tox -e vibevoice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.testing import NodeHarness

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Speaker = Callable[..., NodeHarness]

_HERE = Path(__file__).parent
#: The engine's own, with numpy 2.
_OLD_NUMPY = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
_MAKER = _HERE.parents[1] / "examples" / "speech-to-speech" / "random_vibevoice.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test here; the engine alone may take half a minute to import."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.vibevoice)
            item.add_marker(pytest.mark.timeout(300))
            item.add_marker(pytest.mark.filterwarnings(_OLD_NUMPY))


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_vibevoice", _MAKER)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["random_vibevoice"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose turns end after some tens of frames."""
    folder = tmp_path_factory.mktemp("checkpoint")
    _maker().make(folder)
    return folder


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose turns never end by themselves."""
    folder = tmp_path_factory.mktemp("endless")
    _maker().make(folder, endless=True)
    return folder


def _devices() -> list[str]:
    try:
        import torch
    except ImportError:
        return ["cpu"]  # nothing here is run then
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(params=_devices())
def device(request: pytest.FixtureRequest) -> str:
    """Each kind of device that there is."""
    name: str = request.param
    return name


@pytest.fixture
def speaker(checkpoint: Path, device: str) -> Speaker:
    """Make a node that speaks with the small model; keywords are its config."""

    def make(**config: object) -> NodeHarness:
        config = {"model": str(checkpoint), "device": device, "seed": 1, **config}
        return NodeHarness("vibe_voice", config, node_id="tts", deadline=120)

    return make
