"""Items of a node with several outputs: each leaves by the port that it names when it is sent."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError, NodeError
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import NodeSpec, Port
from remotemedia.core.testing import NodeHarness, speech

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIO = [Port("audio", "audio")]
BOTH = [Port("loud", "audio"), Port("soft", "audio")]


def spec(cls: type, outputs: list[Port]) -> NodeSpec:
    return NodeSpec("tested", f"{__name__}:{cls.__name__}", inputs=AUDIO, outputs=outputs)


def sent(cls: type, outputs: list[Port] | None = None) -> dict[str, int]:
    """Feed one item; return how many left by each port."""
    with NodeHarness(spec(cls, outputs or BOTH)) as node:
        node.feed(speech(0.1))
        return {port: len(items) for port, items in node.outputs.items()}


class Lists(MultiprocessNode):
    """Gives what it got by two ports, and forgets that an item has one."""

    def process(self, data: RuntimeData) -> list[RuntimeData]:
        data.port = "loud"
        first = data
        data.port = "soft"
        return [first, data]


def test_an_item_that_is_listed_twice_is_an_error_that_names_node_and_way_out() -> None:
    with NodeHarness(spec(Lists, BOTH), node_id="gate") as node:
        with pytest.raises(NodeError, match="Node 'gate' failed in process of audio#0") as caught:
            node.feed(speech(0.1))
        assert isinstance(caught.value.__cause__, DataError)
        assert "item 2 of what process returned is the same RuntimeData" in str(caught.value)
        assert "copy.copy(item)" in str(caught.value)
        assert not any(node.outputs.values())  # nothing of it left by the wrong port


def test_where_all_leave_by_one_output_an_item_may_be_listed_twice() -> None:
    assert sent(Lists, [Port("only", "audio")]) == {"only": 2}


class Yields(MultiprocessNode):
    """Gives what it got by two ports, one after the other."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        for data.port in ("loud", "soft", "loud"):
            yield data


def test_an_item_that_is_yielded_again_leaves_by_the_port_that_it_names_then() -> None:
    assert sent(Yields) == {"loud": 2, "soft": 1}


class Copies(MultiprocessNode):
    """Gives what it got by two ports, as two items."""

    def process(self, data: RuntimeData) -> list[RuntimeData]:
        other = copy.copy(data)
        data.port, other.port = "loud", "soft"
        assert other.as_numpy() is data.as_numpy()
        return [data, other]


class CopiesALoan(MultiprocessNode):
    """Gives a loan by the port that it is of, and a copy by another."""

    def process(self, data: RuntimeData) -> list[RuntimeData]:
        samples = data.as_numpy()
        loan = self.loan_audio(len(samples), 16_000, port="loud")
        loan.as_numpy()[:] = samples
        other = copy.copy(loan)
        other.port = "soft"
        return [loan, other]


@pytest.mark.parametrize("cls", [Copies, CopiesALoan])
def test_a_copy_shares_the_payload_and_leaves_by_its_own_port(cls: type) -> None:
    with NodeHarness(spec(cls, BOTH)) as node:
        node.feed(speech(0.1))
        (loud,), (soft,) = node.outputs["loud"], node.outputs["soft"]
        assert loud.as_numpy().tolist() == soft.as_numpy().tolist()
        assert loud.as_numpy().any()
