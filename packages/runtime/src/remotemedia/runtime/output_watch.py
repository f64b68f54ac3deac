"""OutputWatch: notices that nodes wait for an application that does not receive their output."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.runtime.channels.ledger import Ledger, Record
    from remotemedia.runtime.channels.plan import Link
    from remotemedia.runtime.session_description import SessionDescription

__all__ = ["OutputWatch"]

_logger = logging.getLogger(__name__)
# How long a node may wait for the application before that is told.
_PATIENCE_SECS = 5.0


class OutputWatch:
    """Watches the outputs of a session's pipeline, by a timer.

    An output that nobody receives from fills up. Then its node waits, and so does whoever sends to
    that: nothing is lost, and nothing goes on. It is told, once for each time.

    Args:
        session: The session.
        ledger: Its counters.
    """

    def __init__(self, session: SessionDescription, ledger: Ledger) -> None:
        links = [session.links[index] for index in session.outputs]
        self._outputs = [
            _Output(session.session_id, link, ledger.record(link.index)) for link in links
        ]
        self._task = asyncio.ensure_future(self._watch())

    def stop(self) -> None:
        """Watch no longer."""
        self._task.cancel()

    async def _watch(self) -> None:
        while self._outputs:
            due = [output.look() for output in self._outputs]
            await asyncio.sleep(min(due))


class _Output:
    def __init__(self, session_id: str, link: Link, record: Record) -> None:
        self._session_id, self._link, self._record = session_id, link, record
        self._seen = 0, 0
        self._seen_at = 0.0
        self._is_told = False

    def look(self) -> float:
        """Return in how many seconds to look again."""
        now, record = time.monotonic(), self._record
        seen = record.waiting_since, record.received
        if seen != self._seen:
            nothing_came = seen[0] and seen[1] == self._seen[1]  # since the look before
            self._seen_at = seen[0] / 1e9 if nothing_came else now
            self._seen, self._is_told = seen, False
        due = self._seen_at + _PATIENCE_SECS
        if not record.is_waiting or self._is_told:
            return _PATIENCE_SECS
        if now < due:
            return due - now
        self._is_told = True
        output = self._link.producer
        _logger.warning(
            "session %r: node %r has waited %.1f s for room in output %r: %d items wait there, and "
            "the application receives none; receive from every output that the pipeline lists, or "
            "take this one out of its outputs",
            self._session_id,
            output.partition(".")[0],
            now - seen[0] / 1e9,
            output,
            record.occupancy(self._link.capacity),
        )
        return _PATIENCE_SECS
