"""The traffic's own checks: a node that loses, doubles, swaps, tears or mixes up is found out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.runtime import Runtime
from remotemedia.runtime.bench.traffic.inspector import BadTraffic
from remotemedia.runtime.bench.traffic.layout import Layout
from remotemedia.runtime.bench.traffic.traffic import Traffic, traffic_config

if TYPE_CHECKING:
    from remotemedia.runtime import Pipeline

pytestmark = pytest.mark.anyio

NODES = Path(__file__).parent / "nodes"


class Sabotaged(Layout, frozen=True):
    """A layout in which one carrier does what must not happen."""

    saboteur: str = ""

    def pipeline(self) -> Pipeline:
        made = super().pipeline()
        made.extra_paths = [NODES]
        made.nodes["line1"].type = f"saboteurs:{self.saboteur}"
        return made


@pytest.mark.parametrize(
    ("saboteur", "finding"),
    [
        ("Loses", r"line2\.in0: lost: 19 to 19 of line1"),
        ("Doubles", r"line2\.in0: doubled \(parcel 19 of"),
        ("Swaps", r"line2\.in0: lost: 19 to 19 of line1"),
        ("Tears", r"line2\.in0: torn: \d+ bytes of tensor that are not what was sent"),
        ("MixesUp", r"line2\.in0: mixed up: nothing of line0 belongs here"),
        ("LosesTheLast", r"channel line1_to_line2 \(block\): 1 of 100 never came, but 0 are"),
    ],
)
async def test_what_must_not_happen_is_found(saboteur: str, finding: str) -> None:
    line = Layout.line(7, 3, max_size=5000)
    layout = Sabotaged(
        line.seed, line.origins, line.carriers, line.edges, line.max_size, line.options, saboteur
    )
    async with Runtime(traffic_config(3)) as runtime, Traffic(runtime, layout) as traffic:
        with pytest.raises(BadTraffic, match=finding) as caught:
            await traffic.run(lambda made: made < 100)
    assert "seed 7, 3 nodes, up to 5000 bytes" in str(caught.value)


def test_the_same_seed_gives_the_same_layout() -> None:
    assert Layout.random(5, 20) == Layout.random(5, 20)
    assert Layout.random(5, 20) != Layout.random(6, 20)


def test_layouts_have_fan_in_and_fan_out_and_every_policy() -> None:
    edges = [edge for seed in range(20) for edge in Layout.random(seed, 20).edges]
    assert {edge.policy for edge in edges} == {"block", "drop_oldest", "drop_newest", "error"}
    for seed in range(20):
        layout = Layout.random(seed, 20)
        targets = [edge.target for edge in layout.edges]
        sources = [edge.source for edge in layout.edges]
        assert max(map(targets.count, targets)) > 1
        assert max(map(sources.count, sources)) > 1
