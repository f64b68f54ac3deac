"""Consumer: one receiver of a channel, as its producer sees it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.runtime.channels.bell import Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.plan import Link

__all__ = ["Consumer"]


class Consumer:
    """One consumer, as its producer sees it.

    Args:
        link: The edge to it.
        max_bytes: What it may have in flight.
        ledger: The session's counters.
        bells: The session's bells.

    Attributes:
        link: The edge to it.
        record: Its counters.
        is_counted: It never loses anything: it gets a message only when it has room.
        ring: Wakes it.
    """

    def __init__(self, link: Link, max_bytes: int, ledger: Ledger, bells: Bells) -> None:
        self.link = link
        self.record = ledger.record(link.index)
        self.is_counted = link.policy in ("block", "error")
        self._max_bytes, self._capacity = max_bytes, link.capacity
        self._bells = bells  # which close with their last holder
        self.ring = partial(os.eventfd_write, bells.fds[link.bell], 1)
        self._sent = self._sent_bytes = 0
        # What the consumer had taken and returned when this was last looked at: it only grows.
        self._taken = self._returned_bytes = 0

    def has_room(self, nbytes: int) -> bool:
        """Say whether a message of this size may be sent now.

        A consumer that has taken everything always has room: it may keep what it has taken, and
        an `Inlet` lets it keep so little in shared memory that the largest message fits beside.
        """
        while not (
            self._sent - self._taken < self._capacity
            and self._sent_bytes - self._returned_bytes + nbytes <= self._max_bytes
        ):
            known = self._taken, self._returned_bytes
            self._taken, self._returned_bytes = now = self.record.room()
            if now == known:
                return False
        return True

    def lacks(self, nbytes: int) -> tuple[str, str]:
        """Return what it had no room for just now, and the setting that would give it some.

        Args:
            nbytes: The size of the message that had no room. There may be some by now.
        """
        _, returned_bytes = self.record.room()
        if self._sent_bytes - returned_bytes + nbytes > self._max_bytes:
            return f"{self._max_bytes} bytes", "shm_segment_size"
        return f"{self._capacity} messages", "channel_capacity"

    def put(self, nbytes: int) -> None:
        """Note that a message of this size was sent, and wake the consumer."""
        self._sent += 1
        self._sent_bytes += nbytes
        self.record.put(self._sent, self._sent_bytes)
        self.ring()
