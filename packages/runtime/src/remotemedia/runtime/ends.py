"""The application's ends of a session's channels: it sends by feeds and receives from taps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import anyio

from remotemedia.core.configured import why_absent
from remotemedia.core.errors import EndOfStream, SessionError, near
from remotemedia.core.ports import Port, match_port
from remotemedia.runtime.channels.bell import AsyncBell, Bell, Bells
from remotemedia.runtime.channels.inlet import Inlet
from remotemedia.runtime.channels.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.core.configured import AbsentPort
    from remotemedia.core.data import RuntimeData
    from remotemedia.core.ports import PortType
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.space import Space
    from remotemedia.runtime.graph import Graph, PortRef
    from remotemedia.runtime.nodetypes import NodeType
    from remotemedia.runtime.wiring import Wiring

__all__ = ["End", "Ends", "Feed", "Tap", "open_feeds", "open_taps"]


class End:
    """A port of the pipeline that the application uses.

    Attributes:
        ref: The port.
        bell: Rings when there is something to receive, or room to send.
        lock: Held by the task that uses it.
    """

    def __init__(self, ref: PortRef, bell: Bell) -> None:
        self.ref, self.bell = ref, bell
        self.lock = anyio.Lock()


class Feed(End):
    """An input of the pipeline, as the application sends to it.

    Attributes:
        closed: Whether the application has said that nothing more will come.
    """

    def __init__(self, ref: PortRef, bell: Bell, outlet: Outlet) -> None:
        super().__init__(ref, bell)
        self.closed = False
        self._outlet = outlet

    def prepare(self) -> None:
        """Provide memory for the first messages, once the node is there; see `Outlet.prepare`."""
        self._outlet.prepare()

    async def send(self, data: RuntimeData) -> None:
        """Send; waits while the node is behind."""
        await self._outlet.send(data)

    def close(self) -> None:
        """Say that nothing more will come."""
        if not self.closed:
            self.closed = True
            self._outlet.end()


class Tap(End):
    """An output of the pipeline, as the application receives from it.

    Attributes:
        is_used: Whether the application has received from it, or tried to.
    """

    def __init__(self, ref: PortRef, bell: Bell, inlet: Inlet) -> None:
        super().__init__(ref, bell)
        self._inlet = inlet
        self.is_used = False
        self._taken: anyio.Event | None = None

    def prepare(self) -> None:
        """Map the memory that the sender has prepared; see `Inlet.prepare`."""
        self._inlet.prepare()

    def take(self) -> RuntimeData | None:
        """Return the next item, or None if there is none yet; EndOfStream after the last."""
        self.is_used = True
        data = self._inlet.receive()
        if data is not None:
            data.port = self.ref.port.name
            if self._taken is not None:
                self._taken.set()
        elif self._inlet.ended:
            raise EndOfStream(str(self.ref))
        return data

    async def emptied(self) -> None:
        """Return when everything that has been sent so far was taken."""
        while self._inlet.waiting:
            self._taken = anyio.Event()
            await self._taken.wait()


_End = TypeVar("_End", bound=End)


class Ends(Generic[_End]):
    """The application's ends on one side of the pipeline, found by the names that people use.

    Args:
        side: `input` or `output`.
        ends: All of them.
        types: The types of all nodes, by node id, for messages.
    """

    def __init__(
        self,
        side: Literal["input", "output"],
        ends: list[_End],
        types: Mapping[str, NodeType],
    ) -> None:
        self._side = side
        self._ports = {
            node: of.spec.inputs if side == "input" else of.spec.outputs
            for node, of in types.items()
        }
        self._absent = {node: of.absent for node, of in types.items()}
        self._ends = {str(end.ref): end for end in ends}

    @property
    def names(self) -> list[str]:
        """Their names, as `node.port`."""
        return [*self._ends]

    def all(self) -> list[_End]:
        """Return all of them."""
        return [*self._ends.values()]

    def why_absent(self, name: str, data_type: PortType) -> AbsentPort | None:
        """Find the port for data of this type that `name` would mean with another config."""
        node, _, port = name.partition(".")
        other = Port("", data_type)
        return why_absent(port or self._side, self._absent.get(node, ()), self._side, other)

    def find(self, name: str | None) -> _End:
        """Return the one that is meant.

        Args:
            name: `node.port`, a node that has only one, or None where there is only one at all.

        Raises:
            SessionError: None is meant, or no single one.
        """
        ends, side = self._ends, self._side
        if name is None:
            if len(ends) == 1:
                return next(iter(ends.values()))
            raise SessionError(f"name one of the {side}s {sorted(ends)}")
        if name in ends:
            return ends[name]
        node, _, port = name.partition(".")
        of_node = {key: end for key, end in ends.items() if end.ref.node == node}
        found = match_port(port or side, [end.ref.port for end in of_node.values()], side)
        if found is not None:
            return ends[f"{node}.{found.name}"]
        if of_node and not port:
            raise SessionError(f"node {node!r} has several {side}s; name one of {sorted(of_node)}")
        known = f"the application's {side}s are {sorted(ends)}"
        ports = self._ports.get(node)
        if ports is not None:
            if port and match_port(port, ports, side) is None:
                gone = why_absent(port, self._absent.get(node, ()), side)
                if gone is not None:
                    raise SessionError(f"node {node!r} has {gone}")
                theirs = near(port, [port.name for port in ports])
                raise SessionError(f"node {node!r} has no {side} {port!r} ({known}); {theirs}")
            verb = "sent to" if side == "input" else "received from"
            raise SessionError(
                f"{name!r} can't be {verb}: {known}; list others in the pipeline's {side}s"
            )
        raise SessionError(f"there is no node {node!r} ({known}); {near(node, self._ports)}")


def open_feeds(
    space: Space, graph: Graph, wiring: Wiring, ledger: Ledger, bells: Bells
) -> Ends[Feed]:
    """Open what the application sends by."""
    refs = {str(ref): ref for ref in graph.inputs}
    feeds = []
    for plan in wiring.application.outlets:
        bell = AsyncBell(bells, plan.room)
        feeds.append(Feed(refs[plan.port], bell, Outlet(space, plan, ledger, bells, bell)))
    return Ends("input", feeds, {node.id: node.type for node in graph.nodes.values()})


def open_taps(
    space: Space, graph: Graph, wiring: Wiring, ledger: Ledger, bells: Bells
) -> Ends[Tap]:
    """Open what the application receives from."""
    refs = {str(ref): ref for ref in graph.outputs}
    taps = []
    for plan in wiring.application.inlets:
        bell = AsyncBell(bells, plan.link.bell)
        taps.append(Tap(refs[plan.port], bell, Inlet(space, plan, ledger, bells)))
    return Ends("output", taps, {node.id: node.type for node in graph.nodes.values()})
