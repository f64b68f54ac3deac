"""Graph: a pipeline whose every name, type and configuration has been checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from remotemedia.core.configured import why_absent
from remotemedia.core.errors import PipelineError, near
from remotemedia.core.ports import match_port
from remotemedia.runtime.channels.plan import MAX_CAPACITY, POLICIES, Policy
from remotemedia.runtime.cycles import cycles, reachability
from remotemedia.runtime.environments.locating import Locator
from remotemedia.runtime.environments.placement import EnvironmentsNeeded
from remotemedia.runtime.environments.request import InvalidRequest, of_everyone
from remotemedia.runtime.node_options import check_options
from remotemedia.runtime.nodetypes import UnknownNodeType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remotemedia.core.ports import Port
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.environments.environment import Environment
    from remotemedia.runtime.environments.placement import Placement
    from remotemedia.runtime.executors.base import Executor
    from remotemedia.runtime.node_options import NodeOptions
    from remotemedia.runtime.nodetypes import NodeType
    from remotemedia.runtime.pipeline import EdgeSpec, NodeEntry, Pipeline
    from remotemedia.runtime.plugins import Catalog

__all__ = ["Edge", "Graph", "GraphNode", "PortRef", "check_id", "resolve"]

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


def check_id(what: str, value: object) -> str | None:
    """Return what is wrong with an id, or None."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return None
    return (
        f"{what} {value!r:.80} is not valid: use letters, digits, '_' and '-', at most 64, "
        "not beginning with '-'"
    )


@dataclass(frozen=True)
class PortRef:
    """A port of a node in the graph."""

    node: str
    port: Port

    def __str__(self) -> str:
        return f"{self.node}.{self.port.name}"


@dataclass(frozen=True)
class GraphNode:
    """A node that can be run.

    Attributes:
        id: Its name.
        type: The node type.
        config: Its configuration, checked against the type's, as plain values.
        executor: Which executor runs it.
        on_error: What an exception in `process` does.
        options: What is said of its process.
        environment: Where its process runs; None for the application's own environment.
    """

    id: str
    type: NodeType
    config: dict[str, Any]
    executor: str
    on_error: Literal["stop", "continue"]
    options: NodeOptions
    environment: Environment | None = None


@dataclass(frozen=True)
class Edge:
    """An edge between two ports that fit.

    Attributes:
        source: The output.
        target: The input.
        policy: What happens when the receiver has no room.
        capacity: How many messages may wait.
        message_bytes: The payload of a message that memory is prepared for.
        feedback: It closes a cycle; the target's input can end before it does.
    """

    source: PortRef
    target: PortRef
    policy: Policy
    capacity: int
    message_bytes: int = 0
    feedback: bool = False


@dataclass(frozen=True)
class Graph:
    """A checked pipeline.

    Attributes:
        name: For people.
        nodes: By id.
        edges: Between nodes.
        inputs: Where the application sends to.
        outputs: Where it receives from.
    """

    name: str
    nodes: dict[str, GraphNode]
    edges: tuple[Edge, ...]
    inputs: tuple[PortRef, ...]
    outputs: tuple[PortRef, ...]


def resolve(
    pipeline: Pipeline,
    catalog: Catalog,
    config: MultiprocessConfig,
    executors: Mapping[str, Executor],
    placements: Mapping[str, Placement] | None = None,
) -> Graph:
    """Check a pipeline and return its graph.

    Args:
        pipeline: What was written down.
        catalog: What is installed.
        config: Defaults of edges, and where else to look for nodes.
        executors: The executors that there are, by name.
        placements: Where the nodes run that ask for an environment of their own.

    Raises:
        PipelineError: With every mistake there is, each with its place where it came from a file.
        EnvironmentsNeeded: There is no mistake that can be found without placements.
    """
    return _Resolver(pipeline, catalog, config, executors, placements or {}).graph()


class _Resolver:
    def __init__(
        self,
        pipeline: Pipeline,
        catalog: Catalog,
        config: MultiprocessConfig,
        executors: Mapping[str, Executor],
        placements: Mapping[str, Placement],
    ) -> None:
        self.pipeline, self.catalog, self.config = pipeline, catalog, config
        self.executors = executors
        self.problems: list[str] = []
        self.types: dict[str, NodeType] = {}
        self.paths = [*map(Path, config.extra_paths), *pipeline.extra_paths]
        self.locator = Locator(
            catalog, self.paths, pipeline.directory, placements, of_everyone(config)
        )

    def problem(self, place: tuple[str, ...], text: str) -> None:
        places = self.pipeline.places
        while place and place not in places:
            place = place[:-1]
        where = places.get(place, "") or places.get((), "")
        self.problems.append(f"{where}: {text}" if where else text)

    def graph(self) -> Graph:
        for path in dict.fromkeys(self.paths):
            if not path.is_dir():
                self.problem(("extra_paths",), f"extra_paths: {path} is no directory")
        nodes = {entry.id: self.node(entry) for entry in self.pipeline.nodes.values()}
        if not nodes:
            self.problem((), "the pipeline has no nodes; add one with [nodes.NAME] or add_node()")
        edges = tuple(filter(None, map(self.edge, self.pipeline.edges)))
        edges = self.mark_feedback(self.without_doubles(edges))
        inputs = self.inputs(edges)
        outputs = self.outputs(edges)
        if self.problems:
            raise PipelineError(self.problems)
        if self.locator.wishes:
            raise EnvironmentsNeeded(self.locator.wishes)
        known = {name: node for name, node in nodes.items() if node is not None}
        return Graph(self.pipeline.name, known, edges, inputs, outputs)

    # ---- nodes

    def node(self, entry: NodeEntry) -> GraphNode | None:
        place = ("nodes", entry.id)
        wrong = check_id("node id", entry.id)
        if wrong:
            self.problem(place, wrong)
        if entry.on_error not in ("stop", "continue"):
            text = f"on_error is 'stop' or 'continue', not {entry.on_error!r}"
            self.problem((*place, "on_error"), f"node {entry.id!r}: {text}")
        if entry.executor not in self.executors:
            text = f"unknown executor {entry.executor!r}; {near(entry.executor, self.executors)}"
            self.problem((*place, "executor"), f"node {entry.id!r}: {text}")
        options = self.node_options(entry)
        executor = self.executors.get(entry.executor)
        able = executor is not None and "requirements" in executor.node_options
        try:
            found = self.locator.locate(entry, options, able=able)
        except UnknownNodeType as error:
            self.problem((*place, "type"), f"node {entry.id!r}: {error}")
            return None
        except InvalidRequest as error:
            self.problem((*place, error.key), f"node {entry.id!r}: {error}")
            return None
        if found is None:
            return None  # its environment has to be asked first
        self.types[entry.id] = found.type
        for mistake in found.mistakes:
            at = (*place, "config", *mistake.key.split("."))
            self.problem(at, f"node {entry.id!r}: {mistake.text}")
        return GraphNode(
            entry.id,
            found.type,
            found.config,
            entry.executor,
            "continue" if entry.on_error == "continue" else "stop",
            options,
            found.environment,
        )

    def node_options(self, entry: NodeEntry) -> NodeOptions:
        """Check what is said of a node's process, and whether its executor can do that."""
        options, problems = check_options(entry.options)
        executor = self.executors.get(entry.executor)
        for key in entry.options:
            if executor is not None and key not in problems and key not in executor.node_options:
                problems[key] = (
                    f"{key} needs a process of its own, and executor {entry.executor!r} has none "
                    "for it; use 'multiprocess'"
                )
        for key, text in problems.items():
            self.problem(("nodes", entry.id, key), f"node {entry.id!r}: {text}")
        return options

    # ---- edges

    def port(
        self,
        node: str,
        port: str,
        side: Literal["input", "output"],
        place: tuple[str, ...],
        other: PortRef | None = None,
    ) -> PortRef | None:
        if node not in self.pipeline.nodes:
            known = near(node, self.pipeline.nodes)
            self.problem(place, f"{place[-1]}: there is no node {node!r}; {known}")
            return None
        node_type = self.types.get(node)
        if node_type is None:
            return None  # reported with the node
        ports = node_type.spec.inputs if side == "input" else node_type.spec.outputs
        found = match_port(port or side, ports, side, other.port if other else None)
        if found is None:
            gone = why_absent(port or side, node_type.absent, side, other.port if other else None)
            if gone is not None:
                self.problem(place, f"{place[-1]}: node {node!r} has {gone}")
                return None
            known = near(port, [p.name for p in ports])
            what = f"no {side} {port!r}" if port else f"{len(ports)} {side}s, name one"
            self.problem(place, f"{place[-1]}: node {node!r} has {what}; {known}")
            return None
        return PortRef(node, found)

    def edge(self, edge: EdgeSpec) -> Edge | None:
        place = ("edges", str(edge))
        source = self.port(*edge.source, "output", place)
        target = self.port(*edge.target, "input", place, source)
        policy = edge.policy or ("block" if self.config.enable_backpressure else "drop_oldest")
        capacity = self.config.channel_capacity if edge.capacity is None else edge.capacity
        before = len(self.problems)
        if policy not in POLICIES:
            hint = near(str(policy), POLICIES)
            self.problem(place, f"{edge}: unknown policy {policy!r}; {hint}")
        if type(capacity) is not int or not 1 <= capacity <= MAX_CAPACITY:
            text = f"capacity must be a whole number from 1 to {MAX_CAPACITY}, not {capacity!r}"
            self.problem(place, f"{edge}: {text}")
        message_bytes = edge.message_bytes
        if message_bytes is not None and (type(message_bytes) is not int or message_bytes < 1):
            text = f"message_bytes must be a positive whole number, not {message_bytes!r}"
            self.problem(place, f"{edge}: {text}")
        if source is None or target is None or len(self.problems) > before:
            return None
        if not source.port.fits(target.port):
            node, name = edge.target
            gone = why_absent(name or "input", self.types[node].absent, "input", source.port)
            self.problem(
                place,
                f"{edge}: node {node!r} has {gone}"
                if gone
                else f"{edge}: {source} gives {source.port.type}, but {target} takes "
                f"{target.port.type}; put a node between that converts it",
            )
            return None
        if message_bytes is None:
            message_bytes = max(source.port.message_bytes or 0, target.port.message_bytes or 0)
        elif message_bytes > self.config.shm_segment_size // 2:
            self.problem(
                place,
                f"{edge}: message_bytes is {message_bytes}, but a message may take half of "
                f"the {self.config.shm_segment_size} bytes of shm_segment_size; raise that",
            )
        return Edge(source, target, cast("Policy", policy), capacity, message_bytes)

    def without_doubles(self, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
        seen: set[tuple[str, str]] = set()
        for edge in edges:
            key = (str(edge.source), str(edge.target))
            if key in seen:
                text = f"{edge.source} -> {edge.target}: connected twice; remove one of the edges"
                self.problem(("edges", text.partition(":")[0]), text)
            seen.add(key)
        return edges

    def mark_feedback(self, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
        """Mark the dropping edges that close cycles; a cycle of waiting edges is a mistake."""
        waiting = [e for e in edges if e.policy in ("block", "error")]
        for cycle in cycles(waiting):
            text = " -> ".join(cycle)
            self.problem(
                ("edges",),
                f"cycle {text}: it would wait for itself; give one of its edges the policy "
                "drop_oldest or drop_newest",
            )
        reach = reachability(edges)
        return tuple(
            replace(e, feedback=True)
            if e.policy not in ("block", "error") and e.source.node in reach[e.target.node]
            else e
            for e in edges
        )

    # ---- the application's ends

    def inputs(self, edges: tuple[Edge, ...]) -> tuple[PortRef, ...]:
        connected = {(e.target.node, e.target.port.name) for e in edges if not e.feedback}
        connected_nodes = {node for node, _ in connected}
        given = self.pipeline.inputs
        chosen = self.named(given, "input", "inputs") if given is not None else []
        listed = {(ref.node, ref.port.name) for ref in chosen}
        for node, node_type in self.types.items():
            for port in node_type.spec.inputs:
                key = (node, port.name)
                if key in connected or key in listed:
                    continue
                if given is None and node not in connected_nodes:
                    chosen.append(PortRef(node, port))
                elif port.required and not (self.in_broken_edge(node) or self.in_inputs(node)):
                    self.problem(
                        ("nodes", node),
                        f"node {node!r}: input {port.name!r} is not connected; add an edge to it, "
                        "or list it in inputs",
                    )
        return tuple(chosen)

    def in_inputs(self, node: str) -> bool:
        """Say whether the pipeline's inputs name a port that the node does not have."""
        names = [n for n in self.pipeline.inputs or () if n.partition(".")[0] == node]
        return any(f"{name}:" in problem for name in names for problem in self.problems)

    def in_broken_edge(self, node: str) -> bool:
        """Say whether an edge to the node has a mistake of its own, which explains enough."""
        return any(
            f"{edge}:" in p
            for edge in self.pipeline.edges
            if edge.target[0] == node
            for p in self.problems
        )

    def outputs(self, edges: tuple[Edge, ...]) -> tuple[PortRef, ...]:
        if self.pipeline.outputs is not None:
            return tuple(self.named(self.pipeline.outputs, "output", "outputs"))
        connected = {(e.source.node, e.source.port.name) for e in edges}
        return tuple(
            PortRef(node, port)
            for node, node_type in self.types.items()
            for port in node_type.spec.outputs
            if (node, port.name) not in connected
        )

    def named(
        self, names: Sequence[str], side: Literal["input", "output"], key: str
    ) -> list[PortRef]:
        refs: list[PortRef] = []
        for name in names:
            node, _, port = name.partition(".")
            ref = self.port(node, port, side, (key, name))
            if ref is not None and ref not in refs:
                refs.append(ref)
        return refs
