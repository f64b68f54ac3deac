from __future__ import annotations

import pytest

from remotemedia.core.testing import NodeHarness


@pytest.mark.parametrize(
    ("heard", "answers"),
    [
        ("He might go.", ["You said: He might go."]),
        ("Where is he?", ["I can only repeat, not answer. You asked: Where is he?"]),
        ("  ", []),
    ],
)
def test_the_reply_node_answers(heard: str, answers: list[str]) -> None:
    with NodeHarness("reply") as node:
        assert [answer.payload for answer in node.feed(heard)] == answers
