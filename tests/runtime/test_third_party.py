"""A stranger's package, installed: found by its entry point and run in its own process."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import PipelineError
from remotemedia.runtime import Pipeline, Runtime, Session
from remotemedia.runtime.plugins import discover

pytestmark = pytest.mark.anyio
PACKAGE = Path(__file__).parents[1] / "third_party" / "acme_gain"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use the installed package; in a checkout, one that looks installed."""
    try:
        version("acme-gain")
    except PackageNotFoundError:
        info = tmp_path / "acme_gain-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: acme-gain\nVersion: 1.2.3\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(
            "[remotemedia.nodes]\nacme = acme_gain.plugin\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.syspath_prepend(str(PACKAGE / "src"))


async def test_it_is_found_with_its_distribution() -> None:
    found = discover().nodes["acme_gain"]
    assert (found.plugin.name, found.plugin.origin) == ("acme", "acme-gain 1.2.3")


async def test_it_runs() -> None:
    pipeline = Pipeline().add_node("acme_gain", "gain", {"factor": 3})
    async with Session("s", pipeline) as session:
        await session.send("gain", RuntimeData.audio(np.ones(100, np.float32), 8000))
        got = await session.receive("gain.audio")
    assert (got.as_numpy() == 3).all()


async def test_its_config_is_checked_before_anything_starts() -> None:
    pipeline = Pipeline().add_node("acme_gain", "gain", {"factr": 3})
    with pytest.raises(PipelineError, match="unknown config key 'factr'; did you mean 'factor'"):
        Runtime().check(pipeline)
