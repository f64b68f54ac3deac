"""Pipeline: nodes and the edges between them, as an application or a file describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from remotemedia.core.errors import PipelineError, near
from remotemedia.runtime.node_options import OPTIONS, anchor_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from remotemedia.core.node import MultiprocessNode
    from remotemedia.runtime.channels.plan import Policy
    from remotemedia.runtime.node_options import WrittenOptions

__all__ = ["EdgeSpec", "NodeEntry", "Pipeline"]

_ARGUMENTS = ("type", "id", "config", "executor", "on_error", *OPTIONS)


@dataclass
class NodeEntry:
    """A node of a pipeline, as it was written down.

    Attributes:
        id: Its name in the pipeline.
        type: The node type's name, or a class.
        config: Its configuration, unchecked.
        executor: Which executor runs it.
        on_error: What an exception in `process` does: end the session, or skip the item.
        options: What it says of its process, unchecked; see `NodeOptions`.
    """

    id: str
    type: str | type[MultiprocessNode]
    config: Any = field(default_factory=dict)
    executor: str = "multiprocess"
    on_error: str = "stop"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class EdgeSpec:
    """An edge, as it was written down.

    Attributes:
        source: `(node, port)` that the data leaves.
        target: `(node, port)` that it enters.
        policy: What happens when the receiver has no room; the runtime's default if None.
        capacity: How many messages may wait; the runtime's default if None.
        message_bytes: The payload that memory is prepared for; what the ports say if None.
    """

    source: tuple[str, str]
    target: tuple[str, str]
    policy: str | None = None
    capacity: int | None = None
    message_bytes: int | None = None

    def __str__(self) -> str:
        source, target = (".".join(filter(None, end)) for end in (self.source, self.target))
        return f"{source} -> {target}"


class Pipeline:
    """A graph of nodes.

    Args:
        name: For people.
        inputs: Ports that the application sends to, as `node.port`; by default the inputs of
            nodes that nothing is connected to.
        outputs: Ports that the application receives from; by default those with no edge.
        extra_paths: Directories where node modules are looked for.
    """

    def __init__(
        self,
        name: str = "pipeline",
        *,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        extra_paths: Sequence[str | Path] = (),
    ) -> None:
        self.name = name
        self.nodes: dict[str, NodeEntry] = {}
        self.edges: list[EdgeSpec] = []
        self.inputs: list[str] | None = None if inputs is None else list(inputs)
        self.outputs: list[str] | None = None if outputs is None else list(outputs)
        self.extra_paths: list[Path] = [Path(path) for path in extra_paths]
        #: Where the paths of node types such as `file.py:Class` begin.
        self.directory: Path = Path()
        #: Where things stand in the file that the pipeline came from: (kind, name) to place.
        self.places: dict[tuple[str, ...], str] = {}

    def add_node(
        self,
        type: str | type[MultiprocessNode],  # noqa: A002 - the field's word
        id: str,  # noqa: A002
        config: Mapping[str, Any] | None = None,
        *,
        executor: str = "multiprocess",
        on_error: Literal["stop", "continue"] = "stop",
        **options: Unpack[WrittenOptions],
    ) -> Pipeline:
        """Add a node.

        Args:
            type: Name of an installed or registered node type, `"module:Class"`, or a class.
            id: The node's name in this pipeline.
            config: Its configuration.
            executor: Which executor runs it.
            on_error: `stop` ends the session when `process` raises; `continue` skips the item.
            options: What its process may use, and where it runs: the fields of `NodeOptions`.

        Raises:
            PipelineError: There is a node of this name already.
            TypeError: There is no such option.
        """
        for key in options:
            if key not in OPTIONS:
                raise TypeError(f"add_node() has no argument {key!r}; {near(key, _ARGUMENTS)}")
        if id in self.nodes:
            raise PipelineError([f"node {id!r} is there already; give the second another id"])
        given = {} if config is None else config
        plain = dict(given) if isinstance(given, Mapping) else given  # checked with all the rest
        written = dict(options)
        anchor_environment(written, Path.cwd())
        self.nodes[id] = NodeEntry(id, type, plain, executor, on_error, written)
        return self

    def with_executor(self, name: str) -> Pipeline:
        """Have the node that was added last run by this executor."""
        if not self.nodes:
            raise PipelineError(["with_executor() needs a node: call add_node() first"])
        next(reversed(self.nodes.values())).executor = name
        return self

    def connect(
        self,
        source: str,
        source_port: str,
        target: str,
        target_port: str,
        *,
        policy: Policy | None = None,
        capacity: int | None = None,
        message_bytes: int | None = None,
    ) -> Pipeline:
        """Connect an output to an input.

        Args:
            source: Node that the data leaves.
            source_port: Its output.
            target: Node that the data enters.
            target_port: Its input.
            policy: `block` (lossless), `drop_oldest`, `drop_newest` or `error`.
            capacity: How many messages may wait.
            message_bytes: The payload of a usual message in bytes, as `Port.message_bytes`; what
                the two ports say if None. Larger ones pass too.
        """
        ends = (source, source_port), (target, target_port)
        self.edges.append(EdgeSpec(*ends, policy, capacity, message_bytes))
        return self

    @classmethod
    def load(cls, path: str | Path) -> Pipeline:
        """Read a pipeline file (TOML).

        Raises:
            ConfigError: The file can't be read, or is not TOML.
            PipelineError: It is no pipeline; every mistake of its form is named.
        """
        from remotemedia.runtime.pipeline_file import read_pipeline

        return read_pipeline(Path(path))
