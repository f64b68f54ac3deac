"""Layout: a random graph of origins and carriers, from a seed."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.runtime.channels.plan import Policy
from remotemedia.runtime.pipeline import Pipeline
from remotemedia.runtime.wiring import APPLICATION

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_SIZE", "Edge", "Layout"]

MAX_SIZE = 20 << 20
_NODES = "remotemedia.runtime.bench.traffic.nodes"
_PORTS = ("in0", "in1", "in2", "in3")
_FAN_IN = (1, 1, 2, 2, 3, 4)
_POLICIES: tuple[Policy, ...] = ("block", "block", "block", "drop_oldest", "drop_newest", "error")
_CAPACITIES = (1, 2, 8, 30, 100)
_CAPACITIES_OLDEST = _CAPACITIES[:3]  # of such an edge not the bytes are counted, only messages
_WORK_US = (0, 0, 0, 1000, 5000)
_KEEP = (0, 0, 0, 5, 100)
_ROUTES_AT_MOST = 5  # else a late node would get each parcel a hundred times


class Edge(msgspec.Struct, frozen=True):
    """An edge between two nodes, or one of them and the application.

    Attributes:
        source: Who sends.
        target: Who receives.
        port: On which input.
        policy: What happens when the target has no room.
        capacity: How many parcels may wait.
    """

    source: str
    target: str
    port: str
    policy: Policy
    capacity: int

    @property
    def channel(self) -> str:
        """The channel's name."""
        return f"{self.source}_to_{self.target}"


class Layout(msgspec.Struct, frozen=True):
    """Who sends to whom.

    Attributes:
        seed: What everything random depends on.
        origins: The nodes that make parcels.
        carriers: The nodes that check them and pass them on.
        edges: Between them, and with the application.
        max_size: Bytes of the largest parcel.
        options: Config of each carrier, besides what follows from the edges.
    """

    seed: int
    origins: tuple[str, ...]
    carriers: tuple[str, ...]
    edges: tuple[Edge, ...]
    max_size: int
    options: dict[str, dict[str, Any]]

    @classmethod
    def random(cls, seed: int, nodes: int, max_size: int = MAX_SIZE) -> Layout:
        """Return one of this many nodes, at least two: a fifth of them are origins.

        The application sends to the first carrier, and receives from the last one.
        """
        dice = random.Random(seed)  # noqa: S311 - no secret
        origins = tuple(f"origin{n}" for n in range(max(nodes // 5, 1)))
        carriers = tuple(f"carrier{n}" for n in range(nodes - len(origins)))
        routes = dict.fromkeys(origins, 1)
        unheard = set(origins)
        edges = []
        for number, carrier in enumerate(carriers):
            sources = _sources(dice, routes, unheard)
            routes[carrier] = sum(routes[source] for source in sources)
            unheard = (unheard - {*sources}) | {carrier}
            edges += [_edge(dice, s, carrier, skips=s in carriers) for s in sources]
            if number == 0:
                edges.append(Edge(APPLICATION, carrier, APPLICATION, "block", 0))
        edges.append(Edge(carriers[-1], APPLICATION, "out", "block", 0))
        options = {
            carrier: {
                "work_us": dice.choice(_WORK_US),
                "keep": dice.choice(_KEEP),
                "coroutine": dice.random() < 0.5,
            }
            for carrier in carriers
        }
        return cls(seed, origins, carriers, tuple(edges), max_size, options)

    @classmethod
    def line(cls, seed: int, nodes: int, max_size: int) -> Layout:
        """Return one in which each node passes everything to the next, and nothing is lost."""
        origin, *carriers = names = [f"line{n}" for n in range(nodes)]
        edges = [
            Edge(source, target, "in0", "block", 100)
            for source, target in itertools.pairwise(names)
        ]
        plain = {"work_us": 0, "keep": 0, "coroutine": False}
        options = {carrier: dict(plain) for carrier in carriers}
        return cls(seed, (origin,), tuple(carriers), tuple(edges), max_size, options)

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes."""
        return (*self.origins, *self.carriers)

    @property
    def entries(self) -> list[str]:
        """The inputs that the application sends parcels to."""
        return [f"{e.target}.{e.port}" for e in self.edges if e.source == APPLICATION]

    @property
    def exits(self) -> list[str]:
        """The outputs that it receives parcels from."""
        return [f"{e.source}.out" for e in self.edges if e.target == APPLICATION]

    def skips(self, node: str) -> bool:
        """Whether a node gives up a parcel that one of its consumers has no room for."""
        return any(edge.source == node and edge.policy == "error" for edge in self.edges)

    def loses(self, edge: Edge) -> bool:
        """Whether its target may miss parcels of its source."""
        return edge.policy.startswith("drop") or self.skips(edge.source)

    def expected(self, node: str) -> dict[str, dict[str, bool]]:
        """Return who sends to each input of a node, and whether gaps are allowed."""
        found: dict[str, dict[str, bool]] = {}
        for edge in self.edges:
            if edge.target == node:
                found.setdefault(edge.port, {})[edge.source] = self.loses(edge)
        return found

    def lossless_routes(self, node: str) -> list[tuple[str, ...]]:
        """Return the routes by which everything has to arrive at a node, without the node."""
        routes: list[tuple[str, ...]] = []
        for edge in self.edges:
            if edge.target == node and not self.loses(edge):
                if edge.source in (*self.origins, APPLICATION):
                    routes.append((edge.source,))
                else:
                    routes += [(*r, edge.source) for r in self.lossless_routes(edge.source)]
        return routes

    def pipeline(self) -> Pipeline:
        """Return the pipeline."""
        made = Pipeline(
            "traffic",
            inputs=[*(f"{name}.order" for name in self.origins), *self.entries],
            outputs=[*(f"{name}.report" for name in self.nodes), *self.exits],
        )
        for name in self.origins:
            config: dict[str, Any] = {"seed": self.seed, "max_size": self.max_size}
            made.add_node(f"{_NODES}:Origin", name, config)
        for name in self.carriers:
            options = self.options[name]
            kind = "AsyncCarrier" if options["coroutine"] else "Carrier"
            config = {"seed": self.seed, "expected": self.expected(name), **options}
            on_error: Any = "continue" if self.skips(name) else "stop"
            made.add_node(f"{_NODES}:{kind}", name, config, on_error=on_error)
        for edge in self.edges:
            if APPLICATION not in (edge.source, edge.target):
                made.connect(
                    *(edge.source, "out", edge.target, edge.port),
                    policy=edge.policy,
                    capacity=edge.capacity,
                )
        return made


def _edge(dice: random.Random, source: str, target: str, *, skips: bool) -> Edge:
    policy = dice.choice(_POLICIES if skips else _POLICIES[:-1])
    capacity = dice.choice(_CAPACITIES_OLDEST if policy == "drop_oldest" else _CAPACITIES)
    return Edge(source, target, dice.choice(_PORTS), policy, capacity)


def _sources(dice: random.Random, routes: dict[str, int], unheard: set[str]) -> Sequence[str]:
    """Choose who sends to a new node: first of all somebody whom nobody listens to yet."""
    candidates = sorted(routes, key=lambda name: (name not in unheard, dice.random()))
    if dice.random() < 0.3:
        dice.shuffle(candidates)
    chosen: list[str] = []
    wanted, total = dice.choice(_FAN_IN), 0
    for name in candidates:
        if len(chosen) < wanted and total + routes[name] <= _ROUTES_AT_MOST:
            chosen.append(name)
            total += routes[name]
    return chosen
