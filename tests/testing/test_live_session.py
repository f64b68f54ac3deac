"""The fixture `remotemedia_session`: real processes for tests that are no coroutines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import NodeError, PipelineError, ReceiveTimeout, SessionError
from remotemedia.runtime import MultiprocessConfig, Pipeline
from remotemedia.runtime.testing import LiveTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.testing import LiveSession

    Start = Callable[..., LiveSession]

NODES = Path(__file__).parent / "nodes"
IMPATIENT = MultiprocessConfig(cleanup_grace_period_secs=0.5)


def node(name: str) -> str:
    return f"{NODES / 'stepping.py'}:{name}"


def test_a_node_runs_in_a_process_of_its_own(remotemedia_session: Start) -> None:
    live = remotemedia_session(node("Twice"), {"how": "!"})
    live.send("hi")
    assert live.receive().payload == "hi!"
    assert int(live.receive().payload) != os.getpid()


def test_of_several_inputs_one_has_to_be_named(remotemedia_session: Start) -> None:
    pipeline = Pipeline().add_node(node("Twice"), "a").add_node(node("Twice"), "b")
    live = remotemedia_session(pipeline)
    with pytest.raises(SessionError, match="several inputs; say input= and one of"):
        live.send("hi")
    live.send("hi", "b")
    assert live.receive("b").payload == "hi"


def test_a_pipeline_runs_to_its_end(remotemedia_session: Start) -> None:
    pipeline = Pipeline().add_node(node("Twice"), "a").add_node(node("Twice"), "b")
    live = remotemedia_session(pipeline.connect("a", "output", "b", "input"))
    (received,) = live.run(str(number) for number in range(300)).values()  # more than fits
    assert [item.payload for item in received[::4]] == [str(number) for number in range(300)]


def test_a_pipeline_may_be_a_file(remotemedia_session: Start, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f"[nodes.n]\ntype = '{node('Twice')}'\n", encoding="utf-8")
    assert [*remotemedia_session(path).run(["x"])] == ["n.output"]


def test_mistakes_and_errors_are_those_of_a_session(remotemedia_session: Start) -> None:
    with pytest.raises(PipelineError, match="no class 'Twise'; did you mean 'Twice'"):
        remotemedia_session(node("Twise"))
    live = remotemedia_session(node("Twice"), {"how": 1})
    with pytest.raises(SessionError, match="there is no node 'nobody'"):
        live.send("x", "nobody")


def test_an_error_of_the_node_ends_a_run(remotemedia_session: Start) -> None:
    pipeline = Pipeline().add_node(node("Twice"), "a").add_node("broken:Broken", "b")
    pipeline.extra_paths.append(NODES)
    live = remotemedia_session(pipeline.connect("a", "output", "b", "input"))
    with pytest.raises(NodeError, match="on purpose"):
        live.run(["x"] * 300)


def test_what_takes_too_long_says_what_the_nodes_do(remotemedia_session: Start) -> None:
    live = remotemedia_session(node("Sleeps"), runtime_config=IMPATIENT, deadline=5)
    live.send("x")
    live.deadline = 0.3
    with pytest.raises(LiveTimeout, match=r"receive was not done within 0\.3 s: node was "):
        live.receive()
    with pytest.raises(ReceiveTimeout):
        live.call(lambda: live.session.receive(timeout=0.1))
    live.deadline = 5
