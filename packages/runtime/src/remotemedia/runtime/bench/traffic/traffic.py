"""Traffic: a session of origins and carriers that runs as long as wanted, and is audited."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from remotemedia.core.errors import NodeError
from remotemedia.runtime.bench.traffic.audit import Totals, audit
from remotemedia.runtime.bench.traffic.inspector import BadTraffic, Inspector, Report
from remotemedia.runtime.bench.traffic.layout import MAX_SIZE
from remotemedia.runtime.bench.traffic.parcel import Sender
from remotemedia.runtime.config import MultiprocessConfig
from remotemedia.runtime.session import Session
from remotemedia.runtime.wiring import APPLICATION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import Self

    from remotemedia.runtime.bench.traffic.layout import Layout
    from remotemedia.runtime.runtime import Runtime

__all__ = ["Traffic", "traffic_config"]


def traffic_config(nodes: int, max_size: int = MAX_SIZE) -> MultiprocessConfig:
    """Return a configuration for sessions of this many nodes, and for parcels of this size."""
    return MultiprocessConfig(
        max_processes_per_session=nodes, shm_segment_size=max(4 * max_size, 1 << 20)
    )


class Traffic:
    """One session of traffic; an async context manager.

    Args:
        runtime: Where it runs.
        layout: Who sends to whom.
        name: The session's.
        order: How many parcels an origin makes before it is asked to go on.

    Attributes:
        session: The session.
    """

    def __init__(
        self, runtime: Runtime, layout: Layout, name: str = "traffic", order: int = 10
    ) -> None:
        self._layout, self._order = layout, order
        self.session = Session(name, layout.pipeline(), runtime=runtime)
        self.session.on_node_error(self._on_skipped)
        self._reports: dict[str, Report] = {}
        self._refused: Counter[str] = Counter()
        self._bad: list[NodeError] = []
        self._failure: Exception | None = None

    async def __aenter__(self) -> Self:
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.cleanup()

    async def run(self, proceed: Callable[[int], bool]) -> Totals:
        """Send until it is enough, let everything arrive, and compare.

        Args:
            proceed: Says whether an origin that has made this many parcels is to make more.

        Raises:
            BadTraffic: With the seed, and everything that was lost, doubled, reordered, torn,
                mixed up or counted wrong.
            RemoteMediaError: Something else has ended the session.
        """
        layout, session = self._layout, self.session
        async with anyio.create_task_group() as group:

            async def guarded(work: Callable[..., Awaitable[None]], *arguments: Any) -> None:  # noqa: ANN401
                try:
                    await work(*arguments)
                except Exception as error:  # noqa: BLE001 - raised below
                    self._failure = self._failure or error
                    group.cancel_scope.cancel()

            for origin in layout.origins:
                group.start_soon(guarded, self._orders, origin, proceed)
            for carrier in layout.carriers:
                group.start_soon(guarded, self._last_report, carrier)
            for exit_ in layout.exits:
                group.start_soon(guarded, self._receive, exit_)
            for entry in layout.entries:
                group.start_soon(guarded, self._send, entry, proceed)
        self._raise_failure()
        await session.wait_finished()
        channels = {
            edge.channel: await session.get_channel_stats(edge.channel) for edge in layout.edges
        }
        totals, findings = audit(layout, self._reports, self._refused, channels)
        if findings:
            raise self._bad_traffic(*findings)
        return totals

    def _raise_failure(self) -> None:
        failure = self._bad[0] if self._bad else self._failure
        self._failure = None
        try:
            if isinstance(failure, BadTraffic):
                raise self._bad_traffic(*failure.findings)
            if isinstance(failure, NodeError) and failure.remote_type == BadTraffic.__name__:
                raise self._bad_traffic(failure.remote_message)
            if failure is not None:
                raise failure
        finally:
            del failure  # it holds on to this frame, and so to the session and its descriptors

    def _bad_traffic(self, *findings: str) -> BadTraffic:
        layout = self._layout
        how = f"seed {layout.seed}, {len(layout.nodes)} nodes, up to {layout.max_size} bytes"
        return BadTraffic(f"bad traffic ({how}):", *findings)

    def _on_skipped(self, error: NodeError) -> None:
        if error.remote_type == "ChannelFullError":
            self._refused[error.node_id] += 1
        else:
            self._bad.append(error)

    async def _orders(self, origin: str, proceed: Callable[[int], bool]) -> None:
        made = 0
        while proceed(made):
            await self.session.send(f"{origin}.order", self._order)
            made += (await self.session.receive(f"{origin}.report")).payload
        await self.session.close_input(f"{origin}.order")
        await self._last_report(origin)

    async def _last_report(self, node: str) -> None:
        data = await self.session.receive(f"{node}.report")
        self._reports[node] = msgspec.convert(data.payload, Report)

    async def _send(self, entry: str, proceed: Callable[[int], bool]) -> None:
        sender = Sender(APPLICATION, self._layout.seed, self._layout.max_size)
        while proceed(sender.made):
            await self.session.send(entry, sender.make())
        await self.session.close_input(entry)
        report = self._reports.setdefault(APPLICATION, Report())
        report.sent = report.made = sender.made

    async def _receive(self, exit_: str) -> None:
        inspector = Inspector(APPLICATION, self._layout.expected(APPLICATION))
        async for data in self.session.stream(exit_):
            inspector.look_at(data)
        report = self._reports.setdefault(APPLICATION, Report())
        report.senders, report.routes = inspector.report.senders, inspector.report.routes
