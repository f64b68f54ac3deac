"""SessionEnd: what has to go when a session ends, whoever ends it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio.to_thread

from remotemedia.runtime.background import Background

if TYPE_CHECKING:
    from concurrent.futures import Future

    from remotemedia.runtime.runtime import Runtime
    from remotemedia.runtime.supervisor import SessionSupervisor

__all__ = ["SessionEnd"]

_logger = logging.getLogger(__name__)


class SessionEnd:
    """The end of a session. It goes on by itself, and can be begun any number of times.

    Args:
        supervisor: Watches over the session's nodes.
        runtime: Where it runs.
        owns_runtime: Whether that ends with it.
    """

    def __init__(
        self, supervisor: SessionSupervisor, runtime: Runtime, *, owns_runtime: bool
    ) -> None:
        self._supervisor, self._runtime, self._owns_runtime = supervisor, runtime, owns_runtime

    def begin(self) -> Future[None]:
        """End all nodes, and remove what they and the session have in shared memory.

        Returns:
            Is done when nothing is left.
        """
        return Background.shared().submit(self._run())

    def abandoned(self) -> None:
        """End a session that was dropped without `cleanup`."""
        if not self._supervisor.is_over:
            _logger.warning(
                "session %r was dropped without cleanup(); its nodes are ended",
                self._supervisor.session_id,
            )
        self.begin()

    async def _run(self) -> None:
        await self._supervisor.stop()
        if self._owns_runtime:
            await self._runtime.close()
        else:
            # Of nodes that have died, and of those whose data was in use when they ended.
            await anyio.to_thread.run_sync(self._runtime.reclaim)
