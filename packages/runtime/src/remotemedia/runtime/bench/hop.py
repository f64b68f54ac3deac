"""A hop through the whole framework: two nodes of a real session play ping-pong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.core.data import RuntimeData
from remotemedia.runtime.bench.payload import COPIED, IN_PLACE
from remotemedia.runtime.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.bench.payload import Mode
    from remotemedia.runtime.runtime import Runtime
    from remotemedia.runtime.session import Session

__all__ = ["Hop", "Stream"]

_NODES = "remotemedia.runtime.bench.nodes"
_ANSWER_SECS = 60.0


class Hop:
    """A session of two nodes that measure how long a message takes from one to the other.

    Args:
        runtime: Where it runs.
        size: Bytes of a message.
        mode: How it is written.
        coroutine: The nodes' `process` is a coroutine, not a plain function.
        pin: The CPUs that the two nodes may run on.
    """

    modes: tuple[Mode, ...] = (COPIED, IN_PLACE)

    def __init__(
        self,
        runtime: Runtime,
        size: int,
        mode: Mode,
        *,
        coroutine: bool = False,
        pin: Sequence[int] | None = None,
    ) -> None:
        kind = "Async" if coroutine else ""
        config = {"size": size, "mode": mode}
        near, far = pin or (None, None)
        self._runtime = runtime
        self._session: Session
        self._pipeline = (
            Pipeline("hop", inputs=["near.order"], outputs=["near.times"])
            .add_node(f"{_NODES}:{kind}Near", "near", {**config, "cpu": near})
            .add_node(f"{_NODES}:{kind}Far", "far", {**config, "cpu": far})
            .connect("near", "message", "far", "input", message_bytes=size)
            # A cycle of waiting edges would be refused; one message is on its way at a time.
            .connect("far", "message", "near", "echo", policy="drop_newest", message_bytes=size)
        )

    async def open(self) -> None:
        """Start the session."""
        self._session = await self._runtime.create_session("bench", self._pipeline)

    async def ping(self, count: int) -> list[int]:
        """Send a message there and back, again and again; returns half of each time, in ns."""
        await self._session.send("near.order", RuntimeData.json(count))
        times = await self._session.receive("near.times", timeout=_ANSWER_SECS)
        return [int(ns) for ns in times.as_numpy()]

    async def close(self) -> None:
        """End the session."""
        await self._session.cleanup()


class Stream:
    """A session of two nodes, of which one sends to the other as fast as it can, lossless.

    Args:
        runtime: Where it runs.
        size: Bytes of a message.
        mode: How it is written.
        pin: The CPUs that the two nodes may run on.
    """

    def __init__(
        self, runtime: Runtime, size: int, mode: Mode, *, pin: Sequence[int] | None = None
    ) -> None:
        config = {"size": size, "mode": mode}
        source, drain = pin or (None, None)
        self._runtime = runtime
        self._session: Session
        self._pipeline = (
            Pipeline("stream")
            .add_node(f"{_NODES}:Source", "source", {**config, "cpu": source})
            .add_node(f"{_NODES}:Drain", "drain", {**config, "cpu": drain})
            .connect("source", "message", "drain", "input", policy="block", message_bytes=size)
            .connect("source", "started", "drain", "started", policy="block")
        )

    async def open(self) -> None:
        """Start the session."""
        self._session = await self._runtime.create_session("bench", self._pipeline)

    async def run(self, count: int) -> float:
        """Send this many messages; returns seconds from the first until the last was read."""
        await self._session.send("source", RuntimeData.json(count))
        seconds = await self._session.receive("drain", timeout=_ANSWER_SECS)
        return float(seconds.payload)

    async def close(self) -> None:
        """End the session."""
        await self._session.cleanup()
