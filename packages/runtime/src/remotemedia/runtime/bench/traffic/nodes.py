"""The nodes that traffic runs through, as any node author would write them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import Port, register_node
from remotemedia.runtime.bench.traffic.inspector import Inspector, Report
from remotemedia.runtime.bench.traffic.parcel import Label, Sender

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AsyncCarrier", "Carrier", "Origin"]

_CARRIED = [Port(name, required=False) for name in ("in0", "in1", "in2", "in3", "app")]


@register_node(
    "traffic_origin",
    inputs=[Port("order", "json")],
    outputs=[Port("out"), Port("report", "json")],
)
class Origin(MultiprocessNode):
    """Makes as many parcels as it is ordered to; config: `seed`, `max_size`."""

    def initialize(self) -> None:
        """Make the bytes that parcels are cut from."""
        self.sender = Sender(
            self.node_id,
            self.config["seed"],
            self.config["max_size"],
            lambda size: self.loan_tensor((size,), "uint8", port="out"),
        )

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Send them, and say when all are on their way."""
        for _ in range(data.payload):
            parcel = self.sender.make()
            parcel.port = "out"
            yield parcel
            del parcel
        yield RuntimeData.json(data.payload, port="report")

    def finish(self) -> RuntimeData:
        """Say what was sent."""
        return _report(Report(self.sender.sent, self.sender.made))


@register_node("traffic_carrier", inputs=_CARRIED, outputs=[Port("out"), Port("report", "json")])
class Carrier(MultiprocessNode):
    """Checks what it receives and passes it on.

    Config: `seed`; `expected`, as `Inspector` takes it; `work_us`, how long it takes for one at
    most; `keep`, how many inputs it holds on to.
    """

    def initialize(self) -> None:
        """Start with nothing seen."""
        self.inspector = Inspector(self.node_id, self.config["expected"])
        self.sender = Sender(self.node_id, self.config["seed"])
        self.random = random.Random(f"{self.config['seed']}/{self.node_id}")  # noqa: S311
        self.kept: deque[tuple[RuntimeData, Label]] = deque()

    def process(self, data: RuntimeData) -> Any:  # noqa: ANN401 - `AsyncCarrier` is a coroutine
        """Check, work, pass on."""
        label = self.look_at(data)
        work = self.work_secs()
        if work:
            time.sleep(work)
        return self.onward(data, label)

    def finish(self) -> RuntimeData:
        """Look once more at what was kept, and say what was seen."""
        while self.kept:
            self.inspector.check_content(*self.kept.popleft())
        report = self.inspector.report
        report.sent = self.sender.sent
        return _report(report)

    def look_at(self, data: RuntimeData) -> Label:
        """Check it; and what was kept longest, before it is let go."""
        label = self.inspector.look_at(data)
        if self.config["keep"]:
            self.kept.append((data, label))
            if len(self.kept) > self.config["keep"]:
                self.inspector.check_content(*self.kept.popleft())
        return label

    def work_secs(self) -> float:
        """Return how long it takes for this one."""
        return float(self.config["work_us"] * self.random.random() / 1e6)

    def onward(self, data: RuntimeData, label: Label) -> RuntimeData:
        """Return it as it leaves."""
        parcel = self.sender.pass_on(data, label)
        parcel.port = "out"
        return parcel


@register_node(
    "traffic_async_carrier", inputs=_CARRIED, outputs=[Port("out"), Port("report", "json")]
)
class AsyncCarrier(Carrier):
    """`Carrier`, as a coroutine."""

    async def process(self, data: RuntimeData) -> RuntimeData:
        """See `Carrier`."""
        label = self.look_at(data)
        await asyncio.sleep(self.work_secs())
        return self.onward(data, label)


def _report(report: Report) -> RuntimeData:
    return RuntimeData.json(msgspec.to_builtins(report), port="report")
