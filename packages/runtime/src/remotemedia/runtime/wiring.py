"""Wiring: from a graph to the channels that each process has to open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remotemedia.runtime.channels.plan import Channel, Endpoint, InletPlan, Link, OutletPlan

if TYPE_CHECKING:
    from remotemedia.runtime.channels.plan import Policy
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.graph import Graph, PortRef
    from remotemedia.runtime.space_files import RuntimeFiles

__all__ = ["APPLICATION", "Wiring", "wire"]

#: The name that the application has in the names of channels.
APPLICATION = "app"


@dataclass
class _End:
    """A link in the making: between two ports, of which one may be the application's."""

    source: str
    source_port: str
    target: str
    target_port: str
    target_type: str
    policy: Policy
    capacity: int
    message_bytes: int
    feedback: bool = False


@dataclass
class Wiring:
    """The channels of a session.

    Attributes:
        session: The session's name, unique in its runtime.
        endpoints: What each node's process opens, by node id.
        rooms: The bell of each node that is rung when it may send again.
        application: What the application opens: an outlet for each input, an inlet for each
            output, each with a bell of its own.
        links: Every edge, by name.
        bells: How many bells there are.
    """

    session: str
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    rooms: dict[str, int] = field(default_factory=dict)
    application: Endpoint = field(init=False)
    links: dict[str, Link] = field(default_factory=dict)
    bells: int = 0

    @property
    def records(self) -> int:
        """How many records of the ledger there are: of edges, and after them of nodes."""
        return len(self.links) + len(self.endpoints)


def wire(graph: Graph, config: MultiprocessConfig, files: RuntimeFiles, session: str) -> Wiring:
    """Plan the channels of a session.

    Args:
        graph: The pipeline.
        config: For what the application's own channels hold.
        files: The runtime's.
        session: A name for the session, unique in that runtime.
    """
    return _Wirer(graph, config, files, session).wiring()


class _Wirer:
    def __init__(
        self, graph: Graph, config: MultiprocessConfig, files: RuntimeFiles, session: str
    ) -> None:
        self.graph, self.config, self.session = graph, config, session
        self.places = str(files.root), str(files.space), files.prefix
        self.result = Wiring(session)
        self.data_bells = {node: self.bell() for node in graph.nodes}
        self.result.rooms = {node: self.bell() for node in graph.nodes}

    def bell(self) -> int:
        self.result.bells += 1
        return self.result.bells - 1

    def wiring(self) -> Wiring:
        outlets: dict[str, list[OutletPlan]] = {name: [] for name in (*self.graph.nodes, "")}
        inlets: dict[str, list[InletPlan]] = {name: [] for name in (*self.graph.nodes, "")}
        services = 0
        for (source, port), ends in self.by_output().items():
            room = self.result.rooms[source] if source else self.bell()
            channels = []
            for group in _groups(ends):
                service = f"{self.session}/{services}"
                services += 1
                links = tuple(self.link(end) for end in group)
                channel = Channel(
                    service,
                    group[0].policy == "drop_oldest",
                    links,
                    self.config.shm_segment_size,
                    max(end.message_bytes for end in group),
                )
                channels.append(channel)
                for end, link in zip(group, links, strict=True):
                    inlets[end.target].append(
                        InletPlan(end.target_port, end.target_type, link, channel, room)
                    )
            outlets[source].append(OutletPlan(port, room, tuple(channels)))
        for number, node in enumerate(self.graph.nodes):
            self.result.endpoints[node] = Endpoint(
                *self.places,
                self.data_bells[node],
                tuple(inlets[node]),
                tuple(outlets[node]),
                self.config.spin_us,
                len(self.result.links) + number,
            )
        self.result.application = Endpoint(*self.places, 0, tuple(inlets[""]), tuple(outlets[""]))
        return self.result

    def by_output(self) -> dict[tuple[str, str], list[_End]]:
        """Return the links of each output port, of nodes and of the application (as "")."""
        ends: dict[tuple[str, str], list[_End]] = {
            (node.id, port.name): []
            for node in self.graph.nodes.values()
            for port in node.type.spec.outputs
        }
        capacity = self.config.channel_capacity
        for edge in self.graph.edges:
            ends[edge.source.node, edge.source.port.name].append(
                _End(
                    edge.source.node,
                    edge.source.port.name,
                    edge.target.node,
                    edge.target.port.name,
                    edge.target.port.type,
                    edge.policy,
                    edge.capacity,
                    edge.message_bytes,
                    edge.feedback,
                )
            )
        for ref in self.graph.outputs:
            ends[ref.node, ref.port.name].append(
                _End(
                    ref.node,
                    ref.port.name,
                    "",
                    str(ref),
                    "any",
                    "block",
                    capacity,
                    ref.port.message_bytes or 0,
                )
            )
        for ref in self.graph.inputs:
            ends["", str(ref)] = [self.feed(ref, capacity)]
        return ends

    @staticmethod
    def feed(ref: PortRef, capacity: int) -> _End:
        port = ref.port
        return _End(
            "",
            str(ref),
            ref.node,
            port.name,
            port.type,
            "block",
            capacity,
            port.message_bytes or 0,
        )

    def link(self, end: _End) -> Link:
        source, target = end.source or APPLICATION, end.target or APPLICATION
        name = f"{source}_to_{target}"
        if name in self.result.links:  # a second edge between the same two nodes
            source_port = end.source_port.rpartition(".")[2]
            name = f"{source}.{source_port}_to_{target}.{end.target_port.rpartition('.')[2]}"
        bell = self.data_bells[end.target] if end.target else self.bell()
        link = Link(
            len(self.result.links),
            name,
            f"{source}.{end.source_port}" if end.source else end.source_port,
            f"{target}.{end.target_port}" if end.target else end.target_port,
            end.policy,
            end.capacity,
            bell,
            end.feedback,
        )
        self.result.links[name] = link
        return link


def _groups(ends: list[_End]) -> list[list[_End]]:
    """Split the links of a port into those that can share a service; lossless ones first."""
    lossless = [end for end in ends if end.policy in ("block", "error")]
    oldest: dict[int, list[_End]] = {}
    for end in ends:
        if end.policy == "drop_oldest":
            oldest.setdefault(end.capacity, []).append(end)
    newest = [[end] for end in ends if end.policy == "drop_newest"]
    return [group for group in (lossless, *oldest.values(), *newest) if group]
