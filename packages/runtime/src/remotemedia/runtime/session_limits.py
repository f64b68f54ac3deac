"""Session limits: what a session may not exceed, looked at before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.core.errors import ResourceLimitError
from remotemedia.runtime.space_files import check_room

if TYPE_CHECKING:
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.wiring import Wiring

__all__ = ["check_limits"]

# Of shared memory, for what iceoryx2 needs for a channel or a node, with room to spare.
_RECORD_BYTES = 128 * 1024


def check_limits(session_id: str, wiring: Wiring, config: MultiprocessConfig) -> None:
    """Make sure that a session has not too many nodes, and shared memory for its channels.

    Raises:
        ResourceLimitError: It has not.
    """
    what = f"session {session_id!r}"
    limit, count = config.max_processes_per_session, len(wiring.endpoints)
    if limit is not None and count > limit:
        raise ResourceLimitError(
            what, f"{count} processes", str(limit), "max_processes_per_session"
        )
    check_room(what, wiring.records * _RECORD_BYTES)
