"""One node process, as its parent sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ProcessCrashError, ProcessSpawnError, RemoteMediaError
from remotemedia.runtime.executors.base import NodeEvents, NodeLaunch, RunningNode
from remotemedia.runtime.executors.line import NodeLine, Nonsense, give_descriptors, init_message
from remotemedia.runtime.executors.stacks import Stacks
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.memory import memory_error, size_text
from remotemedia.runtime.processes.output import LastLines, OutputLog, node_logger

if TYPE_CHECKING:
    from remotemedia.runtime.executors.template import Fork, Template

__all__ = ["NodeProcess"]

# How long a dead node's pipes are read: what it wrote is in them, but a helper that it has left
# behind may hold them open.
_LAST_WORDS_SECS = 0.2
# A node that has hung up ends; one that does not will never be heard of again.
_HUNG_UP_SECS = 1.0
_MARK_BITS = 48
_KILLED = 128 + signal.SIGKILL


class NodeProcess(RunningNode):
    """One node process, as its parent sees it.

    Attributes:
        watch: Done when the process has ended, and everything that it wrote is logged.
    """

    def __init__(self, launch: NodeLaunch, events: NodeEvents) -> None:
        self._launch, self._events = launch, events
        self._id = launch.node.id
        self._stage = "starting"
        self._output = LastLines()
        self._asked_to_end = False
        self._said_stopped = False
        self._hung_up = False
        self._signals_sent: set[int] = set()
        self._stacks = Stacks()
        self._fork: Fork
        self._line: NodeLine
        self.watch: asyncio.Task[None]

    @property
    def pid(self) -> int:
        """The process."""
        return self._fork.pid

    async def spawn(self, template: Template) -> None:
        """Start the process and the task that watches it."""
        options = self._launch.node.options
        inherited = template.environment.variables({**os.environ, "PYTHONUNBUFFERED": "1"})
        variables = {**inherited, **options.environment}
        request = msg.SpawnRequest(
            f"rm:{self._id}"[:15],
            secrets.randbits(_MARK_BITS),
            {os.fsencode(name): os.fsencode(value) for name, value in variables.items()},
            str(options.working_directory or Path.cwd()),
            self._launch.endpoint.root,
            node_logger(self._id).getEffectiveLevel(),
            options.cpu_affinity,
            options.nice,
            options.max_memory,
        )
        here, there = socket.socketpair()
        pipes = [*os.pipe(), *os.pipe()]
        try:
            give_descriptors(here, self._launch)
            fds = (there.fileno(), pipes[1], pipes[3], self._stacks.write)
            self._fork = await template.fork(self._id, fds, request)
        except BaseException:
            here.close()
            self._stacks.close()
            for fd in pipes[0::2]:
                os.close(fd)
            raise
        finally:
            there.close()
            for fd in (*pipes[1::2], self._stacks.write):
                os.close(fd)
        self._line = NodeLine(self._id, here, self._heard)
        self._ours = template.environment.is_own
        self.watch = asyncio.get_running_loop().create_task(
            self._live(pipes[0], pipes[2]), name=f"remotemedia {self._id}"
        )

    # ---- orders

    def prepare(self) -> None:
        """Have it prepare its channels."""
        self._line.send(msg.Prepare())

    def start(self) -> None:
        """Let it work."""
        self._line.send(msg.Start())

    def stop(self) -> None:
        """Ask it to end."""
        self._asked_to_end, self._stage = True, "stopping"
        self._line.send(msg.Stop())

    def terminate(self) -> None:
        """Interrupt it: SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its helpers: SIGKILL."""
        self._signal(signal.SIGKILL)

    async def stack(self) -> str:
        """Return its Python stacks."""
        # Before it has said anything, it does not know the signal, and would die of it.
        if self._fork.end.done() or not self._line.greeted:
            return ""
        return await self._stacks.of(self._fork.pid)

    def _signal(self, number: signal.Signals) -> None:
        self._asked_to_end = True
        self._signals_sent.add(number)
        if not self._fork.end.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._fork.pid, number)

    # ---- its life

    async def _live(self, stdout: int, stderr: int) -> None:
        loop = asyncio.get_running_loop()
        logs: list[OutputLog] = []
        for fd, level in ((stdout, logging.INFO), (stderr, logging.WARNING)):
            _, log = await loop.connect_read_pipe(
                partial(OutputLog, self._launch.session_id, self._id, level, self._output),
                os.fdopen(fd, "rb", 0),
            )
            logs.append(log)
        init = init_message(
            self._launch,
            source=self._source(),
            script=self._launch.node.type.script,
            more_paths=tuple(sys.path) if self._ours else (),
        )
        talk = loop.create_task(self._line.run(init))
        try:
            await self._until_ended(talk)
            # The end of the process closes its socket and pipes; what is still in them counts.
            for log in logs:
                log.drain()
            written = [log.closed for log in logs]
            await asyncio.wait([talk, *written], timeout=_LAST_WORDS_SECS)
        finally:
            talk.cancel()
            self._stacks.close()
            for log in logs:
                log.drain()
        error = self._verdict(self._distrust(talk))
        if error is None:
            await asyncio.wait(written)
        self._events.ended(self._id, error)
        await asyncio.wait(written)  # a crash is reported first, and what it wrote is logged still

    async def _until_ended(self, talk: asyncio.Task[None]) -> None:
        """Return when the process has ended; one that can't be talked with is killed."""
        end = self._fork.end
        ends: list[asyncio.Future[Any]] = [talk, end]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if talk.done() and talk.exception() is None:
            await asyncio.wait([end], timeout=_HUNG_UP_SECS)
            self._hung_up = not (end.done() or self._asked_to_end)
        if self._distrust(talk) is not None:
            self.kill()
        await asyncio.wait([end])

    def _distrust(self, talk: asyncio.Task[None]) -> BaseException | None:
        """Return why nothing that the process says can be believed, or None."""
        if self._hung_up:
            return Nonsense("nothing any more: it has closed its connection to the application")
        return talk.exception() if talk.done() and not talk.cancelled() else None

    def _verdict(self, distrust: BaseException | None) -> RemoteMediaError | None:
        wait_status, peak = self._fork.end.result()
        status = os.waitstatus_to_exitcode(wait_status)
        code = 128 - status if status < 0 else status
        if isinstance(distrust, ProcessSpawnError):
            return distrust
        if distrust is not None:
            hint = f"it was ended because it said {distrust}; see what else writes to its sockets"
            return ProcessCrashError(self._id, code, self._stage, self._output.lines, hint)
        if self._said_stopped and self._asked_to_end:
            return None
        if code - 128 in self._signals_sent:
            return None
        limit = self._launch.node.options.max_memory
        use = f"with a peak of {size_text(peak)} resident"
        hint = self._fork.end_of_template
        if limit is not None and code != _KILLED:
            hint = f"it ran {use}, and its max_memory is {size_text(limit)}"
        crash = ProcessCrashError(self._id, code, self._stage, self._output.lines, hint)
        if limit is None or not self._output.lacks_memory:
            return crash
        refused = memory_error(self._id, self._stage, f"what it asked for, {use},", limit)
        refused.__cause__ = crash
        return refused

    def _heard(self, message: msg.FromNode) -> None:
        if isinstance(message, msg.Progress) and not self._asked_to_end:
            self._stage = message.status
        elif isinstance(message, msg.Stopped):
            self._said_stopped = True
        self._events.said(self._id, message)

    def _source(self) -> str:
        """Return the file of the node's module; the script itself where that is `__main__`."""
        source = self._launch.node.type.source
        return str(Path(source).resolve()) if source else ""
