"""What both harnesses share: which steps a node may be asked for, and what a late one means."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

from remotemedia.core.errors import (
    NodeError,
    ProcessCrashError,
    RemoteMediaError,
    SessionClosed,
    SessionError,
)
from remotemedia.core.testing.life import NodeLife, Reported
from remotemedia.core.testing.subject import find_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    import msgspec

    from remotemedia.core.data import RuntimeData
    from remotemedia.core.node import MultiprocessNode
    from remotemedia.core.plugin import NodeSpec
    from remotemedia.core.testing.subject import Node, Subject

__all__ = ["NodeSteps", "NodeTimeout"]


class NodeTimeout(RemoteMediaError, TimeoutError):
    """A node under test did not finish a step in time.

    Attributes:
        node_id: The node.
        stage: What it was doing, as in `NodeError`.
        item: The identity of the input in work (`port#sequence`), or an empty string.
        seconds: The deadline.
        stack: Where it was.
    """

    def __init__(self, node_id: str, stage: str, item: str, seconds: float, stack: str) -> None:
        self.node_id: str = node_id
        self.stage: str = stage
        self.item: str = item
        self.seconds: float = seconds
        self.stack: str = stack
        at = f" of {item}" if item else ""
        super().__init__(
            f"Node '{node_id}' did not finish {stage}{at} within {seconds:g} s. Only timers of its "
            "event loop are virtual: time.sleep, threads, child processes and sockets take their "
            "time; raise `deadline` if it needs more. It was here:\n" + stack.rstrip()
        )


class NodeSteps:
    """The base of the harnesses; see `NodeHarness`."""

    def __init__(
        self,
        node: Node | Subject,
        config: Mapping[str, Any] | msgspec.Struct | None = None,
        *,
        node_id: str = "node",
        session_id: str = "test",
        on_error: Literal["stop", "continue"] = "stop",
        deadline: float | None = 10.0,
        virtual_time: bool = True,
    ) -> None:
        subject = find_subject(node)
        self.errors: list[NodeError] = []
        self.deadline = deadline
        self._on_error = on_error
        self._over = ""  # why nothing more may be asked
        self._hangs = self._closed = False
        self._left_step: Future[Any] | None = None
        self._life = NodeLife(subject, config, node_id, session_id, virtual_time=virtual_time)
        self.spec: NodeSpec = self._life.spec

    @property
    def node(self) -> MultiprocessNode:
        """The node itself."""
        if self._life.node is None:
            raise SessionError("there is no node yet: use the harness in a `with` statement")
        return self._life.node

    @property
    def outputs(self) -> dict[str, list[RuntimeData]]:
        """All that the node has given so far, by port."""
        return self._life.outputs

    @property
    def progress(self) -> list[Reported]:
        """All that the node has reported with `report_progress`."""
        return self._life.progress

    @property
    def time(self) -> float:
        """Seconds that have passed for the node, by the clock of its event loop."""
        return self._life.time

    @property
    def is_active_after_cleanup(self) -> bool:
        """Whether the node has reported progress or taken a loan after its cleanup."""
        life = self._life
        return life.loaned_late or any(report.stage == "closed" for report in life.progress)

    def modified_inputs(self) -> list[str]:
        """Return the items (`port#sequence`) whose memory the node has written into."""
        return self._life.modified()

    def on_progress(self, call: Callable[[Reported], None] | None) -> None:
        """Have each report of progress told; what `call` raises, `report_progress` raises."""
        self._life.on_progress = call

    # ---- for the harnesses

    def _check_open(self) -> None:
        if self._over:
            raise SessionClosed(f"node {self._life.node_id!r} does nothing more: {self._over}")
        if self._life.node is None:
            raise SessionError("the node is not initialized: use the harness in a `with` statement")

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what a node fails with; it goes on."""
        try:
            yield
        except NodeError as error:
            self.errors.append(error)
            if self._on_error == "stop" or error.stage != "process":
                self._over = f"it has failed in {error.stage}, which would have ended its session"
            raise
        except (ProcessCrashError, NodeTimeout) as error:
            self._over = f"it has failed ({type(error).__name__})"
            raise

    def _left(self, step: Future[Any]) -> None:
        """Note that a stream was left before its end."""
        self._over = self._over or "its stream was left early, as by a session that stops"
        self._left_step = step

    def _check_left(self) -> None:
        """Raise what the node raised when its stream was left."""
        left = self._left_step
        error = left.exception() if left is not None and left.done() else None
        if isinstance(error, NodeError):
            self.errors.append(error)
            raise error

    def _late(self, step: Future[Any]) -> NodeTimeout:
        """Return the error for a step that takes too long; ends the step, if that is possible."""
        life = self._life
        seconds, stack = self.deadline or 0.0, life.thread.stack()
        error = NodeTimeout(life.node_id, life.stage, life.item, seconds, stack)
        if not life.thread.interrupt(step):
            self._hangs = True
            life.thread.leave()
        return error

    def _end(self) -> None:
        """End the node's thread; one that hangs is left behind, and ends with the test run."""
        self._over = self._over or "it was closed"
        if not self._hangs:
            self._life.thread.end()
