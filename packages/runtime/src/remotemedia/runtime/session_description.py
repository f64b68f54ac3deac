"""SessionDescription: what one has to know of a session to watch it, in this process or another.

What changes is in the session's ledger, what doesn't is here. While a session lives, it lies as a
small file in the directory of its runtime, so that `remotemedia top` finds it; both are readable by
this user only.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.channels.ledger import Ledger
from remotemedia.runtime.channels.plan import Link

if TYPE_CHECKING:
    from remotemedia.runtime.channels.node_record import WorkItem
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.wiring import Wiring

__all__ = ["SessionDescription", "SessionFile", "SessionNode"]


class SessionNode(msgspec.Struct, frozen=True):
    """A node of a session.

    Attributes:
        type: Its node type.
        executor: What runs it.
        record: Its record in the ledger.
        inputs: The edges that it receives from: index, and the port that they lead to.
        item_timeout_secs: How long it may take for an item.
    """

    type: str
    executor: str
    record: int
    inputs: dict[int, str]
    item_timeout_secs: float | None

    def item_name(self, item: WorkItem) -> str:
        """Return the identity of an item in work: `port#sequence`, or `finish` after all input."""
        if item.link is None:
            return "finish"
        return f"{self.inputs.get(item.link, '?')}#{item.sequence}"


class SessionDescription(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        session_id: Its name.
        pipeline: The name of its pipeline.
        pid: The application's process.
        ledger: The descriptor of the ledger there.
        inode: That of the ledger: another file may have the descriptor later.
        layout: What the ledger's words mean.
        started: When it began, in seconds since 1970.
        nodes: By id.
        links: All edges, by their index.
        inputs: Indices of those that the application sends to.
        outputs: Indices of those that it receives from.
    """

    session_id: str
    pipeline: str
    pid: int
    ledger: int
    inode: int
    layout: int
    started: float
    nodes: dict[str, SessionNode]
    links: tuple[Link, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(
        cls, session_id: str, graph: Graph, wiring: Wiring, ledger: Ledger
    ) -> SessionDescription:
        """Describe a session of this process."""
        nodes = {}
        for node in graph.nodes.values():
            endpoint = wiring.endpoints[node.id]
            nodes[node.id] = SessionNode(
                node.type.spec.name,
                node.executor,
                endpoint.record or 0,
                {inlet.link.index: inlet.port for inlet in endpoint.inlets},
                node.options.item_timeout_secs,
            )
        own = wiring.application
        return cls(
            session_id,
            graph.name,
            os.getpid(),
            ledger.fd,
            os.fstat(ledger.fd).st_ino,
            Ledger.LAYOUT,
            time.time(),
            nodes,
            tuple(wiring.links.values()),
            tuple(
                link.index
                for outlet in own.outlets
                for channel in outlet.channels
                for link in channel.links
            ),
            tuple(inlet.link.index for inlet in own.inlets),
        )


class SessionFile:
    """The description of a session as a file.

    Args:
        path: The file.
    """

    #: What the names of such files match.
    PATTERN = "session-*.json"

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def publish(cls, directory: str, name: str, description: SessionDescription) -> SessionFile:
        """Write the file, at once for whoever looks.

        Args:
            directory: That of the runtime.
            name: The session's name there.
            description: What it says.
        """
        path = Path(directory) / cls.PATTERN.replace("*", name)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(description))
        new.replace(path)
        return cls(path)

    def read(self) -> SessionDescription | None:
        """Return the description; None if it is gone, or of another version of the runtime."""
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=SessionDescription)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.layout == Ledger.LAYOUT else None

    def remove(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
