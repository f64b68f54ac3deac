"""The parent's end of the socket to a node."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from remotemedia.runtime.channels.plan import Endpoint
from remotemedia.runtime.executors.line import NodeLine, Nonsense
from remotemedia.runtime.processes import messages as msg

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

INIT = msg.Init(
    node_id="a",
    session_id="s",
    target="samples:Echo",
    source="",
    script="",
    type_name="Echo",
    config={},
    config_target="",
    inputs=("input",),
    outputs={"output": "any"},
    paths=(),
    more_paths=(),
    arguments=(),
    on_error="stop",
    endpoint=Endpoint("/nowhere", "/nowhere", "rm_", 0, (), ()),
    room=1,
)
HELLO = msg.Hello(msg.Versions.here(), os.getpid())


@pytest.fixture
def heard() -> list[msg.FromNode]:
    return []


@pytest.fixture
def line_after(heard: list[msg.FromNode]) -> Callable[[bytes], NodeLine]:
    """Make a line whose node has said this and is gone."""

    def make(said: bytes) -> NodeLine:
        here, there = socket.socketpair()
        with there:
            there.sendall(said)
        return NodeLine("a", here, heard.append)

    return make


async def test_last_words_are_heard_whatever_could_not_be_told_to_the_node(
    line_after: Callable[[bytes], NodeLine], heard: list[msg.FromNode]
) -> None:
    line = line_after(msg.frame(HELLO) + msg.frame(msg.Stopped()))
    line.send(msg.Stop())
    await line.run(INIT)
    assert heard == [HELLO, msg.Stopped()]


async def test_a_frame_that_is_cut_off_is_not_heard(
    line_after: Callable[[bytes], NodeLine], heard: list[msg.FromNode]
) -> None:
    await line_after(msg.frame(HELLO) + msg.frame(msg.Stopped())[:-1]).run(INIT)
    assert heard == [HELLO]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (msg.FRAME_HEAD.pack(0), "makes no sense"),
        (msg.FRAME_HEAD.pack(3) + b"\xc1ab", "makes no sense"),
        (msg.FRAME_HEAD.pack(msg.MAX_FRAME + 1), f"a frame of {msg.MAX_FRAME + 1} bytes"),
    ],
    ids=["empty", "garbage", "huge"],
)
async def test_what_makes_no_sense_is_an_error(
    line_after: Callable[[bytes], NodeLine], said: bytes, reason: str
) -> None:
    with pytest.raises(Nonsense, match=reason):
        await line_after(said).run(INIT)
