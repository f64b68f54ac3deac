"""The nodes that benchmarks run, as any node author would write them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import Port, register_node
from remotemedia.runtime.bench.payload import COPIED, blank, read, touch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AsyncFar", "AsyncNear", "Drain", "Far", "Near", "Pass", "Source"]


class _Player(MultiprocessNode):
    """Makes messages; config: `size`, `mode`, and perhaps the `cpu` to run on."""

    def initialize(self) -> None:
        if self.config.get("cpu") is not None:
            os.sched_setaffinity(0, [self.config["cpu"]])
        self.size: int = self.config.get("size", 64)
        self.copied = self.config.get("mode", COPIED) == COPIED
        self.source = blank(self.size)

    def message(self) -> RuntimeData:
        """Return a message, from memory of our own or written in place."""
        if self.copied:
            return RuntimeData.tensor(self.source, port="message")
        message = self.loan_tensor((self.size,), "uint8", port="message")
        touch(message.as_numpy())
        return message


@register_node(
    "bench_near",
    inputs=[Port("echo", required=False), Port("order", "json")],
    outputs=[Port("message"), Port("times", "tensor")],
)
class Near(_Player):
    """Sends a message as often as it is ordered to, each when the last one has come back."""

    def initialize(self) -> None:
        """Start with nothing to do."""
        super().initialize()
        self.missing = self.began = 0
        self.times: list[int] = []

    def process(self, data: RuntimeData) -> RuntimeData:
        """Read the echo and send the next; at the end, half of each round trip in nanoseconds."""
        if data.port == "echo":
            read(data.payload)
            self.times.append(time.perf_counter_ns() - self.began)
        else:
            self.missing, self.times = data.payload, []
        if self.missing:
            self.missing -= 1
            self.began = time.perf_counter_ns()
            return self.message()
        return RuntimeData.tensor(np.array(self.times) // 2, port="times")


@register_node("bench_far", inputs=[Port("input")], outputs=[Port("message")])
class Far(_Player):
    """Reads each message and sends one back."""

    def process(self, data: RuntimeData) -> RuntimeData:
        """Read, and send one like it."""
        read(data.payload)
        return self.message()


@register_node(
    "bench_async_near",
    inputs=[Port("echo", required=False), Port("order", "json")],
    outputs=[Port("message"), Port("times", "tensor")],
)
class AsyncNear(Near):
    """`Near`, as a coroutine."""

    async def process(self, data: RuntimeData) -> RuntimeData:  # type: ignore[override]
        """See `Near`."""
        return super().process(data)


@register_node("bench_async_far", inputs=[Port("input")], outputs=[Port("message")])
class AsyncFar(Far):
    """`Far`, as a coroutine."""

    async def process(self, data: RuntimeData) -> RuntimeData:  # type: ignore[override]
        """See `Far`."""
        return super().process(data)


@register_node(
    "bench_source",
    inputs=[Port("order", "json")],
    outputs=[Port("message"), Port("started", "json")],
)
class Source(_Player):
    """Sends as many messages as it is ordered to, as fast as it can."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Send them; says before when it began, on the machine's monotonic clock."""
        yield RuntimeData.json([data.payload, time.monotonic()], port="started")
        for _ in range(data.payload):
            yield self.message()


@register_node(
    "bench_drain",
    inputs=[Port("input"), Port("started", "json")],
    outputs=[Port("seconds", "json")],
)
class Drain(_Player):
    """Reads messages, and says how long all of an order took."""

    def initialize(self) -> None:
        """Start with nothing to do."""
        super().initialize()
        self.missing, self.began = 0, 0.0

    def process(self, data: RuntimeData) -> RuntimeData | None:
        """Read; after the last one, return seconds and the number of messages."""
        if data.port == "started":
            count, self.began = data.payload
            self.missing += count
        else:
            read(data.payload)
            self.missing -= 1
        if self.missing == 0 and self.began:
            seconds, self.began = time.monotonic() - self.began, 0.0
            return RuntimeData.json(seconds)
        return None


@register_node("bench_pass")
class Pass(MultiprocessNode):
    """Passes everything on."""

    def process(self, data: RuntimeData) -> Any:  # noqa: ANN401
        """Return the input."""
        return data
