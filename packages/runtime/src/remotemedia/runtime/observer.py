"""Observer: sees the sessions of all runtimes of this user, from any process, and disturbs none."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.runtime.channels.ledger import Ledger
from remotemedia.runtime.monitoring import SessionMeter
from remotemedia.runtime.session_description import SessionFile
from remotemedia.runtime.space_files import is_alive, runtime_directories

if TYPE_CHECKING:
    from remotemedia.runtime.channels.ledger import ChannelStats
    from remotemedia.runtime.monitoring import SessionMetrics
    from remotemedia.runtime.node_status import NodeStatus
    from remotemedia.runtime.session_description import SessionDescription

__all__ = ["Observer", "SessionView"]


@dataclass(frozen=True)
class SessionView:
    """A session at one moment.

    Attributes:
        description: The session.
        status: Of its nodes.
        metrics: What they do, and what their processes use.
        channels: What has happened on its channels, by name.
        rates: Items that each node has begun in a second since the last look; since it began to
            run, at first.
        seconds: How long it has been there.
    """

    description: SessionDescription
    status: dict[str, NodeStatus]
    metrics: SessionMetrics
    channels: dict[str, ChannelStats]
    rates: dict[str, float]
    seconds: float


class Observer:
    """Looks at all sessions, again and again."""

    def __init__(self) -> None:
        self._known: dict[Path, _Observed] = {}

    def look(self) -> list[SessionView]:
        """Return what there is now; the oldest session first."""
        found = {
            path
            for root in runtime_directories()
            if is_alive(root)
            for path in root.glob(SessionFile.PATTERN)
        }
        self._known = {path: known for path, known in self._known.items() if path in found}
        for path in found - {*self._known}:
            description = SessionFile(path).read()
            if description is not None:
                with contextlib.suppress(OSError):  # it has ended in this moment
                    self._known[path] = _Observed(description)
        return [
            one.view() for one in sorted(self._known.values(), key=lambda o: o.description.started)
        ]


class _Observed:
    def __init__(self, description: SessionDescription) -> None:
        self.description = description
        self._meter = SessionMeter(description, _ledger_of(description))
        self._looked: float | None = None
        self._items: dict[str, int] = {}

    def view(self) -> SessionView:
        description = self.description
        status = {node: self._meter.status(node) for node in description.nodes}
        now = time.monotonic()
        metrics = self._meter.metrics()
        items = {node: one.items_in for node, one in metrics.nodes.items()}
        rates = {}
        for node, count in items.items():
            since = self._looked or status[node].since
            rates[node] = (count - self._items.get(node, 0)) / max(now - since, 1e-3)
        self._looked, self._items = now, items
        return SessionView(
            description,
            status,
            metrics,
            self._meter.channels(),
            rates,
            max(time.time() - description.started, 0.0),
        )


def _ledger_of(description: SessionDescription) -> Ledger:
    """Map the ledger of a session of another process.

    Raises:
        OSError: It is not there any more: the process has ended, or the descriptor is another one.
    """
    path = Path(f"/proc/{description.pid}/fd/{description.ledger}")
    if not str(path.readlink()).startswith(f"/memfd:{Ledger.NAME}"):  # opening others may do things
        raise FileNotFoundError(path)
    ledger = Ledger(os.open(path, os.O_RDONLY | os.O_CLOEXEC), mmap.ACCESS_READ)
    found = os.fstat(ledger.fd)
    ledger.close()
    if found.st_ino != description.inode:
        raise FileNotFoundError(path)
    return ledger
