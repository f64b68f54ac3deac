from __future__ import annotations

import pytest
from acme_reply.node import ReplyNode
from acme_reply.plugin import remotemedia_nodes

from remotemedia.core.data import RuntimeData


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ("He might go.", "You said: He might go."),
        ("Where is he?", "I can only repeat, not answer. You asked: Where is he?"),
        ("  ", None),
    ],
)
def test_the_reply_node_answers(heard: str, answer: str | None) -> None:
    reply = ReplyNode().process(RuntimeData.text(heard))
    assert (reply and reply.payload) == answer


def test_its_plugin_names_it() -> None:
    (spec,) = remotemedia_nodes()
    assert spec.name == "reply"
    assert spec.target == f"{ReplyNode.__module__}:{ReplyNode.__qualname__}"
