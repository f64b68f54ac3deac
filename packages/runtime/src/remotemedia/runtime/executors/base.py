"""The interface between a session and whatever runs its nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.core.errors import RemoteMediaError
    from remotemedia.runtime.channels.plan import Endpoint
    from remotemedia.runtime.graph import GraphNode
    from remotemedia.runtime.processes.messages import FromNode

__all__ = ["Executor", "NodeEvents", "NodeLaunch", "RunningNode"]


@dataclass(frozen=True)
class NodeLaunch:
    """What an executor needs to run a node.

    Attributes:
        session_id: The session.
        node: What to run.
        endpoint: The channels that it opens.
        room: The bell that is rung when it may send again.
        ledger: Descriptor of the session's counters.
        bells: Descriptors of the session's bells.
    """

    session_id: str
    node: GraphNode
    endpoint: Endpoint
    room: int
    ledger: int
    bells: Sequence[int]


class NodeEvents(Protocol):
    """What a session wants to know of its nodes; called in the runtime's thread."""

    def said(self, node_id: str, message: FromNode) -> None:
        """The node has said something."""

    def ended(self, node_id: str, error: RemoteMediaError | None) -> None:
        """Nothing of the node runs any more; called once, after all that it has said.

        Args:
            node_id: The node.
            error: Why it ended, if it was not because it was asked to.
        """


class RunningNode(ABC):
    """A node that an executor runs."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process that the node runs in."""

    @abstractmethod
    def prepare(self) -> None:
        """Have it prepare its channels: their other ends are open."""

    @abstractmethod
    def start(self) -> None:
        """Let it work: every node of the session is ready."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to finish the item in work, to clean up and to end."""

    @abstractmethod
    def terminate(self) -> None:
        """Interrupt it where it is."""

    @abstractmethod
    def kill(self) -> None:
        """End it, whatever it is doing."""

    @abstractmethod
    async def stack(self) -> str:
        """Return its Python stacks, whatever it is doing; an empty string if it has ended."""


class Executor(ABC):
    """Runs nodes. All methods are called in the runtime's thread.

    Attributes:
        node_options: The fields of `NodeOptions` that its nodes can have.
    """

    node_options: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def check(self, launch: NodeLaunch) -> None:
        """Find out, before anything is started, whether this node can be.

        Raises:
            ProcessSpawnError: It can't be.
        """

    @abstractmethod
    async def launch(self, launch: NodeLaunch, events: NodeEvents) -> RunningNode:
        """Start a node; `events` hears of everything that follows.

        Raises:
            ProcessSpawnError: It can't be started.
        """

    @abstractmethod
    async def prepare(self) -> None:
        """Do what makes the first launch faster."""

    @abstractmethod
    async def close(self) -> None:
        """End what nodes share; none runs any more."""
