"""Worker: takes items from a node's inputs, has them processed, and sends what comes of them."""

from __future__ import annotations

import os
import threading
import time
from asyncio import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remotemedia.core.outputs import Outputs, Stopped, check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remotemedia.core.node import MultiprocessNode
    from remotemedia.runtime.channels.bell import Bell
    from remotemedia.runtime.channels.inlet import Inlet
    from remotemedia.runtime.channels.node_record import NodeRecord
    from remotemedia.runtime.channels.outlet import Outlet
    from remotemedia.runtime.processes.messages import Init

__all__ = ["Place", "Worker"]


@dataclass
class Place:
    """Where a node is, for the errors that it raises.

    Attributes:
        stage: `import`, `initialize`, `receive`, `process`, `finish` or `cleanup`.
        source: The input that the item in work came on, the edge that one is received from, or an
            empty string.
        sequence: The number of the item in work there.
    """

    stage: str = ""
    source: str = ""
    sequence: int | None = None

    def enter(self, stage: str, source: str = "", sequence: int | None = None) -> None:
        """Note where the node is now."""
        self.stage, self.source, self.sequence = stage, source, sequence

    @property
    def item(self) -> str:
        """The identity of the input in work (`port#sequence`), or an empty string."""
        return self.source if self.sequence is None else f"{self.source}#{self.sequence}"


class Worker:
    """Runs a node's loop.

    Args:
        node: The node.
        init: What its parent has said of it.
        inlets: Its incoming edges.
        outlets: Its outputs, by port.
        record: Its counters.
        place: Kept up to date.
        stopping: Set when the session stops.

    Attributes:
        outputs: What sends the node's items.
        spin_ns: How long it looks for the next item before it sleeps.
        on_skipped: Called with what `process` raised, where the item is to be skipped; if None,
            the exception goes on.
    """

    def __init__(
        self,
        node: MultiprocessNode,
        init: Init,
        inlets: Sequence[Inlet],
        outlets: Mapping[str, Outlet],
        record: NodeRecord,
        place: Place,
        stopping: threading.Event,
    ) -> None:
        self._node, self._init, self._place, self._record = node, init, place, record
        self._open, self._outlets = list(inlets), outlets
        self._missing = sum(not inlet.plan.link.feedback for inlet in inlets)  # to be waited for
        self._stopping = stopping.is_set
        self.outputs = Outputs(outlets, init.outputs, init.session_id, stopping.is_set)
        self.spin_ns = self._spin_until = 0
        self.on_skipped: Callable[[BaseException], None] | None = None

    async def prepare(self, bell: Bell) -> None:
        """Have memory provided and mapped, at both ends of every channel.

        Args:
            bell: Rings when something has arrived.
        """
        for outlet in self._outlets.values():
            outlet.prepare()
        while not all(inlet.prepare() for inlet in self._open):
            await bell.wait()

    async def run(self, bell: Bell) -> None:
        """Process one item after the other, until all input has ended.

        Args:
            bell: Rings when something has arrived.
        """
        while self._missing:
            took = False
            for inlet in (*self._open,):
                if await self._process(inlet):
                    took = True
                elif inlet.ended:
                    self._open.remove(inlet)
                    self._missing -= not inlet.plan.link.feedback
                if self._stopping():
                    raise Stopped
            if self.spin_ns and self._spins(took=took):
                continue
            if self._missing and not took:
                await bell.wait()
        self._place.enter("finish")
        self._record.begin_finish()
        await self.outputs.emit(self._node.finish())
        self._record.end_finish()
        for outlet in self._outlets.values():
            outlet.end()

    def waiting(self, port: str) -> int:
        """Return how many items wait on an input."""
        return sum(inlet.waiting for inlet in self._open if inlet.plan.port == port)

    def _spins(self, *, took: bool) -> bool:
        """Say whether to look again at once, for it is not long since there was an item."""
        now = time.monotonic_ns()
        if took:
            self._spin_until = now + self.spin_ns
        elif now < self._spin_until:
            os.sched_yield()  # the sender may need this core
            return True
        return False

    async def _process(self, inlet: Inlet) -> bool:
        """Take an item of an input, and process it; returns whether there was one."""
        try:
            data = inlet.receive()
        except Exception:
            self._place.enter("receive", inlet.plan.link.name)
            raise
        if data is None:
            return False
        plan, record = inlet.plan, self._record
        sequence = data.sequence or 0
        place = self._place
        place.stage, place.source, place.sequence = "process", plan.port, sequence
        record.begin(plan.link.index, sequence)
        try:
            if plan.type != "any":
                check_type(f"input {data.port!r} takes", plan.type, data)
            if not data.session_id:
                data.session_id = self._init.session_id
            result = self._node.process(data)
            # Its memory goes back now, not when the answer has found room; and before the answer
            # leaves, so that whoever gets that finds the same memory, still in the caches.
            del data
            if not self.outputs.send_now(result):
                await self.outputs.emit(result)
            self.outputs.check_loans()
        except (Exception, CancelledError) as error:  # nobody but the node itself cancels
            if self.on_skipped is None:
                raise
            record.skip()
            self.on_skipped(error)
        finally:
            record.end()
        return True
