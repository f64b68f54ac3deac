"""Rehearsal: messages through all that a node does with one, before the first real one comes.

A forked process shares its memory with its template until it writes to it, and counting references
is writing: the first message would wait for some 150 page faults, which take ten times as long as
the message. So a node sends itself a few, by real ends of a channel, through memory of its own:
an iceoryx2 service for it would cost more than all else that the node does to start.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode, make_node
from remotemedia.core.wire import ALIGNMENT
from remotemedia.runtime.channels.bell import Bells, BlockingBell
from remotemedia.runtime.channels.inlet import Inlet
from remotemedia.runtime.channels.ledger import Ledger
from remotemedia.runtime.channels.outlet import Outlet
from remotemedia.runtime.channels.plan import Channel, InletPlan, Link, OutletPlan
from remotemedia.runtime.processes.worker import Place, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from remotemedia.core.outputs import Outputs
    from remotemedia.runtime.processes.messages import Init

__all__ = ["rehearse"]

_SIZES = 64, 8192  # bytes; they are written in two ways
_SLOT_BYTES = 1 << 14
_LINK = Link(0, "rehearsal", "a.output", "b.input", "block", capacity=16, bell=0)
_CHANNEL = Channel("rehearsal", overflow=False, links=(_LINK,), max_bytes=1 << 20)


def rehearse(
    init: Init, run: Callable[[Coroutine[Any, Any, None]], None], *, is_async: bool
) -> None:
    """Have messages processed as the node will have them; nobody else sees any of it.

    Args:
        init: What the node is.
        run: What runs its worker.
        is_async: Its `process` is a coroutine.
    """
    ledger, bells = Ledger.create(2), Bells.create(2)
    slots: Any = _Slots()  # Any: iceoryx2 has no types
    record = ledger.node(1)
    bell, room = (BlockingBell(bells, number) for number in (0, 1))
    outlet = Outlet(slots, OutletPlan("output", 1, (_CHANNEL,)), ledger, bells, room, record)
    inlet = Inlet(slots, InletPlan("input", "any", _LINK, _CHANNEL, 1), ledger, bells)
    context = _Context()
    node = make_node(_AsyncMirror if is_async else _Mirror, init.node_id, "", {}, context)
    init = msgspec.structs.replace(init, outputs={"output": "any"})
    worker = Worker(node, init, [inlet], {"output": outlet}, record, Place(), threading.Event())
    context.outputs = worker.outputs
    for size in _SIZES * 2:
        outlet.send_now(RuntimeData.tensor(np.ones(size, np.uint8)))
    outlet.end()
    run(worker.run(bell))
    ledger.close()


class _Mirror(MultiprocessNode):
    """Answers with data of its own, and with a loan, by turns."""

    def __init__(self) -> None:
        self._takes_loan = True

    def process(self, data: RuntimeData) -> RuntimeData:
        array = data.as_numpy()
        self._takes_loan = not self._takes_loan
        if self._takes_loan:
            answer = self.loan_tensor(array.shape, array.dtype)
            answer.as_numpy()[:] = array
            return answer
        return RuntimeData.tensor(array + 1)


class _AsyncMirror(_Mirror):
    async def process(self, data: RuntimeData) -> RuntimeData:  # type: ignore[override]
        return super().process(data)


class _Context:
    """What `_Mirror` lends of."""

    outputs: Outputs[Outlet]
    stopping = False

    def report_progress(self, fraction: float, message: str) -> None:
        """Tell nobody."""

    def waiting(self, _port: str) -> int:
        """Return how much waits: that is not asked."""
        return 0

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Lend memory of its output."""
        return self.outputs.outlet_for(blank).loan(blank)


class _Sample:
    """A slot, with the names that iceoryx2's samples have."""

    def __init__(self, slots: _Slots, blocks: int) -> None:
        self._slots, self._blocks = slots, blocks
        self._memory = ctypes.create_string_buffer(_SLOT_BYTES)
        self.payload_ptr = (ctypes.addressof(self._memory) + ALIGNMENT - 1) & -ALIGNMENT

    def assume_init(self) -> _Sample:
        return self

    def slice_len(self) -> int:
        return self._blocks * ALIGNMENT

    def send(self) -> None:
        self._slots.sent.append(self)


class _Slots:
    """Publisher and subscriber of one process, with the names that iceoryx2's have."""

    def __init__(self) -> None:
        self.sent: deque[_Sample] = deque()

    def publisher(self, _channel: Channel, _slice_bytes: int) -> _Slots:
        return self

    def subscriber(self, _channel: Channel, _capacity: int) -> _Slots:
        return self

    def loan(self, blocks: int) -> _Sample:
        return _Sample(self, blocks)

    def receive(self) -> _Sample | None:
        return self.sent.popleft() if self.sent else None


# Python would give these names another prefix in the body of a class.
setattr(_Sample, "__assume_init", _Sample.assume_init)
setattr(_Sample, "__slice_len", property(_Sample.slice_len))
setattr(_Slots, "__loan_slice_uninit", _Slots.loan)
