"""ItemWatch: notices when a node takes longer for one item than it may."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remotemedia.core.errors import ItemTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.channels.node_record import NodeRecord, WorkItem
    from remotemedia.runtime.executors.base import RunningNode
    from remotemedia.runtime.session_description import SessionNode

__all__ = ["ItemWatch"]

# A node that waits for room does not get older, and nobody tells when it goes on: it is looked at
# again after this part of its limit.
_LOOK_AGAIN = 0.25


class ItemWatch:
    """Watches one node, by a timer that is set to when its item would be over the limit.

    The node does not know of it, and so can't escape it. Each item is reported once.

    Args:
        node_id: The node.
        node: What it is.
        record: What it has in work.
        running: It, as its executor runs it.
        report: Called, in the runtime's thread, with what there is to say, and whether the node is
            still at it.
    """

    def __init__(
        self,
        node_id: str,
        node: SessionNode,
        record: NodeRecord,
        running: RunningNode,
        report: Callable[[ItemTimeout, bool], object],
    ) -> None:
        self._id, self._node, self._record = node_id, node, record
        self._running, self._report = running, report
        self._limit = node.item_timeout_secs or 0.0
        self._reported: tuple[int, int | None] | None = None
        self._task = asyncio.ensure_future(self._watch())

    def stop(self) -> None:
        """Watch no longer."""
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            item = self._record.item()
            if item is None or item.identity == self._reported:
                wait = self._limit
            elif item.seconds < self._limit:
                wait = self._limit - item.seconds
                if item.is_waiting:
                    wait = max(wait, self._limit * _LOOK_AGAIN)
            else:
                await self._tell(item)
                continue
            await asyncio.sleep(wait)

    async def _tell(self, item: WorkItem) -> None:
        self._reported = item.identity
        stack = await self._running.stack()
        now = self._record.item()
        goes_on = now is not None and now.identity == item.identity
        if now is None or not goes_on:
            now, stack = item, ""
        name = self._node.item_name(item)
        self._report(ItemTimeout(self._id, name, now.seconds, self._limit, stack), goes_on)
