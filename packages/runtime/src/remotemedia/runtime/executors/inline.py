"""The inline executor: nodes in threads of the application, for debuggers and light nodes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import traceback
from typing import ClassVar

from remotemedia.core.errors import ProcessCrashError, RemoteMediaError
from remotemedia.runtime.executors.base import Executor, NodeEvents, NodeLaunch, RunningNode
from remotemedia.runtime.executors.line import NodeLine, Nonsense, give_descriptors, init_message
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.control import ControlLine

__all__ = ["InlineExecutor"]


class InlineExecutor(Executor):
    """Runs every node in a thread of this process, with the same channels and messages.

    A node here shares the GIL and the fate of the application: it can't be killed, and one that
    ignores `stop` is left behind in its (daemon) thread.
    """

    node_options: ClassVar[frozenset[str]] = frozenset({"item_timeout_secs", "on_item_timeout"})

    def check(self, launch: NodeLaunch) -> None:
        """Nothing can be missing."""

    async def launch(self, launch: NodeLaunch, events: NodeEvents) -> RunningNode:
        """Start a thread."""
        return InlineNode(launch, events)

    async def prepare(self) -> None:
        """Nothing makes a thread start faster."""

    async def close(self) -> None:
        """Threads share nothing."""


class InlineNode(RunningNode):
    """One node in a thread."""

    def __init__(self, launch: NodeLaunch, events: NodeEvents) -> None:
        # Not before a node runs: a pipeline is checked without iceoryx2.
        self._id, self._events = launch.node.id, events
        here, there = socket.socketpair()
        give_descriptors(here, launch)
        self._line = NodeLine(self._id, here, self._heard)
        self._control = ControlLine(there)
        self._exit_code: int | None = None
        self._stage = "starting"
        self._ends = False
        node_type = launch.node.type
        here_already = node_type.spec.target.startswith("__main__:")
        init = init_message(launch, source="" if here_already else node_type.source)
        self._task = asyncio.get_running_loop().create_task(self._live(init))
        self._thread = threading.Thread(
            target=self._run, name=f"remotemedia-node-{self._id}", daemon=True
        )
        self._thread.start()

    @property
    def pid(self) -> int:
        """This process."""
        return os.getpid()

    def prepare(self) -> None:
        """Have it prepare its channels."""
        self._line.send(msg.Prepare())

    def start(self) -> None:
        """Let it work."""
        self._line.send(msg.Start())

    def stop(self) -> None:
        """Ask it to end."""
        self._ends = True
        self._line.send(msg.Stop())

    def terminate(self) -> None:
        """Ask again: a thread can't be interrupted."""
        self.stop()

    def kill(self) -> None:
        """Leave it behind: a thread can't be killed."""
        self._control.close()

    async def stack(self) -> str:
        """Return the stacks of this process."""
        return "".join(
            f"Thread {number}:\n{''.join(traceback.format_stack(frame))}"
            for number, frame in sys._current_frames().items()  # noqa: SLF001 - documented
        )

    def _run(self) -> None:
        from remotemedia.runtime.processes.host import NodeHost

        try:
            self._exit_code = NodeHost(self._control, lambda: None).run()
        finally:
            self._control.close()

    def _heard(self, message: msg.FromNode) -> None:
        if isinstance(message, msg.Progress):
            self._stage = message.status
        elif isinstance(message, msg.Stopped):
            self._ends = True
        self._events.said(self._id, message)

    async def _live(self, init: msg.Init) -> None:
        error: RemoteMediaError | None = None
        try:
            await self._line.run(init)
            if not self._ends:
                error = ProcessCrashError(self._id, self._exit_code or 0, self._stage)
        except RemoteMediaError as problem:
            error = problem
            self._control.close()
        except Nonsense as problem:
            error = ProcessCrashError(self._id, 0, self._stage, (), f"it said {problem}")
            self._control.close()
        self._events.ended(self._id, error)
