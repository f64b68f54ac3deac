"""InFlight: what a session has underway, and would be dropped if it ended now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.session_description import SessionDescription

__all__ = ["InFlight"]


class InFlight(msgspec.Struct, frozen=True):
    """What a session has underway.

    Attributes:
        waiting: How many messages wait in each channel that has any.
        in_work: The item that each node is at, as `port#sequence`.
    """

    waiting: dict[str, int]
    in_work: dict[str, str]

    @classmethod
    def of(cls, session: SessionDescription, ledger: Ledger) -> InFlight:
        """Count what a session has underway."""
        waiting = {
            link.name: ledger.record(link.index).occupancy(link.capacity) for link in session.links
        }
        in_work = {}
        for name, node in session.nodes.items():
            item = ledger.node(node.record).item()
            if item is not None:
                in_work[name] = node.item_name(item)
        return cls({name: count for name, count in waiting.items() if count}, in_work)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.waiting or self.in_work)

    def __str__(self) -> str:
        """Return it for people."""
        parts = [f"{n} message{'s' * (n > 1)} in {name}" for name, n in self.waiting.items()]
        parts += [f"{item} in node {node!r}" for node, item in self.in_work.items()]
        return ", ".join(parts)
