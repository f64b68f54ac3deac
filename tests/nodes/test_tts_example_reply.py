from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.plugin import registered_nodes

REPLY = Path(__file__).parents[2] / "examples" / "nodes" / "reply.py"


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ("He might go.", "You said: He might go."),
        ("Where is he?", "I can only repeat, not answer. You asked: Where is he?"),
        ("  ", None),
    ],
)
def test_the_reply_node_answers(heard: str, answer: str | None) -> None:
    node = runpy.run_path(str(REPLY))["ReplyNode"]()
    reply = node.process(RuntimeData.text(heard))
    assert (reply and reply.payload) == answer
    assert registered_nodes()["reply"].summary
