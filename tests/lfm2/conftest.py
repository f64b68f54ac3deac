"""Tiny checkpoints of LFM2-Audio, and nodes that have loaded one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.core.testing import NodeHarness

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., NodeHarness]

_HERE = Path(__file__).parent
#: With many threads, each would wait for the others more than it computes; all of chance is real.
CONFIG: dict[str, Any] = {"text_temperature": 1.0, "audio_top_k": 0, "cpu_threads": 1}
_TEST_SECS = 240
#: The engine's own, with transformers 5.24.
_OLD_NAME = "ignore:`past_key_values` is deprecated:FutureWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here: it needs the engine, and time to load it."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.lfm2)
            item.add_marker(pytest.mark.filterwarnings(_OLD_NAME))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_TEST_SECS))


class Checkpoints:
    """Checkpoints, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("checkpoint", _HERE / "checkpoint.py")
        assert spec is not None
        assert spec.loader is not None
        self._module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._module)
        self._folder = folder

    def _made(self, name: str, **how: Any) -> Path:
        folder = self._folder / name
        if not folder.exists():
            codec = next(self._folder.glob(f"*/{self._module.CODEC}"), None)
            self._module.make_checkpoint(folder, codec=codec, **how)
        return folder

    def converses(self) -> Path:
        """About a dozen words, and eight frames after them."""
        return self._made("converses")

    def never_ends(self) -> Path:
        """Words and sounds until it is stopped."""
        return self._made("never-ends", words=1e12, sound=1e12)

    def transcribes(self) -> Path:
        """About a dozen words."""
        return self._made("transcribes", text_end=self._module.IM_END)

    def reads(self) -> Path:
        """About twenty frames."""
        return self._made("reads", words=1e-9, sound=20, text_end=self._module.AUDIO_START)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """All checkpoints."""
    return Checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def lfm2() -> Open:
    """Make a node of a checkpoint, by default on a GPU where there is one."""

    def make(checkpoint: Path, **config: Any) -> NodeHarness:
        config = {"model": str(checkpoint), "seed": 1, **CONFIG, **config}
        return NodeHarness("lfm2_audio", config, node_id="s2s", deadline=120)

    return make
