"""Ids and names are names: none leads out of the folder that it is used in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import PipelineError, SessionError
from remotemedia.runtime import Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotemedia.runtime.testing import LiveSession

NODES = Path(__file__).parent / "nodes"
BAD = ["../escaped", "/tmp/escaped", "..", "a/b", "a\\b", "a\0b", "a b", "-rf", "\x1b[2J", ""]  # noqa: S108

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_is_made(open_tmp: Path) -> Iterator[None]:
    """Look, afterwards, whether anything was."""
    yield
    assert not [path for path in open_tmp.rglob("*") if "escaped" in path.name]
    assert not (open_tmp / "escaped").exists()
    assert not Path("/tmp/escaped").exists()  # noqa: S108


@pytest.mark.parametrize("name", BAD)
def test_a_session_id(name: str) -> None:
    with pytest.raises(SessionError, match=r"session id .* is not valid"):
        Session(name, Pipeline())


@pytest.mark.parametrize("name", BAD)
async def test_a_node_id(name: str) -> None:
    pipeline = Pipeline(extra_paths=[NODES]).add_node("plain:Echo", name)
    with pytest.raises(PipelineError, match=r"node id .* is not valid"):
        await Session("s", pipeline).initialize()


@pytest.mark.parametrize("side", ["IN", "OUT"])
@pytest.mark.parametrize("name", [name for name in BAD if "\0" not in name])
async def test_a_port_that_a_plugin_declares(
    monkeypatch: pytest.MonkeyPatch, side: str, name: str
) -> None:
    monkeypatch.setenv("IN", "input")
    monkeypatch.setenv("OUT", "output")
    monkeypatch.setenv(side, name)
    pipeline = Pipeline(extra_paths=[NODES]).add_node("strange", "a")
    with pytest.raises(PipelineError, match=r"port name .* is not valid"):
        await Session("s", pipeline).initialize()


def test_the_name_of_a_pipeline_is_for_people_only(
    open_tmp: Path, remotemedia_session: Callable[..., LiveSession]
) -> None:
    pipeline = Pipeline("../../escaped", extra_paths=[NODES]).add_node("plain:Echo", "a")
    live = remotemedia_session(pipeline)
    live.send("x")
    assert live.receive().payload == "x"
    assert not [path for path in open_tmp.rglob("*") if "escaped" in path.name]
