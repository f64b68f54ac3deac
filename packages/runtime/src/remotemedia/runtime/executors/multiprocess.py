"""The multiprocess executor: every node in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.errors import ProcessCrashError, ProcessSpawnError, RemoteMediaError
from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.executors.base import Executor, NodeEvents, NodeLaunch, RunningNode
from remotemedia.runtime.executors.line import NodeLine, give_descriptors, init_message
from remotemedia.runtime.executors.template import Fork, Template
from remotemedia.runtime.node_options import OPTIONS
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.output import OutputLog

if TYPE_CHECKING:
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.graph import GraphNode

__all__ = ["MultiprocessExecutor"]

# How long a dead node's pipes are read: what it wrote is in them, but a helper that it has left
# behind may hold them open.
_LAST_WORDS_SECS = 0.2


class MultiprocessExecutor(Executor):
    """Runs every node in a process of its own.

    Args:
        config: How; the runtime's configuration if None.
    """

    node_options = frozenset(OPTIONS)

    def __init__(self, config: MultiprocessConfig | None = None) -> None:
        self.config = config

        self._templates: dict[str, Template] = {}

    def check(self, launch: NodeLaunch) -> None:
        """Make sure that the interpreter is there.

        Raises:
            ProcessSpawnError: It is not.
        """
        self._environment(launch.node)

    async def launch(self, launch: NodeLaunch, events: NodeEvents) -> RunningNode:
        """Start a process.

        Raises:
            ProcessSpawnError: The operating system refuses to.
        """
        process = NodeProcess(launch, events)
        await process.spawn(self._template(self._environment(launch.node)))
        return process

    async def prepare(self) -> None:
        """Start the template process, so that the first nodes start faster.

        Raises:
            ProcessSpawnError: It can't be started.
        """
        await self._template(self._default("")).ready("")

    async def close(self) -> None:
        """End the template processes."""
        templates, self._templates = self._templates, {}
        await asyncio.gather(*(template.close() for template in templates.values()))

    def _template(self, environment: Environment) -> Template:
        template = self._templates.get(environment.executable)
        if template is None or not template.is_alive:
            # What all nodes preload need not be in an environment that one of them has for itself.
            shared = environment.executable == self._default("").executable
            preload = self.config.preload if shared and self.config is not None else ()
            template = self._templates[environment.executable] = Template(environment, preload)
        return template

    def _environment(self, node: GraphNode) -> Environment:
        """Return where a node runs."""
        own = node.environment
        if own is None:
            return self._default(node.id)
        if shutil.which(own.executable) is None:
            text = f"Python executable not found: {own.executable!r}; it was there a moment ago"
            raise ProcessSpawnError(node.id, text)
        return own

    def _default(self, node_id: str) -> Environment:
        """Return where nodes run that ask for no environment of their own."""
        config = self.config
        if config is not None and config.venv_path is not None:
            wanted = str(Path(config.venv_path) / "bin" / "python")
            setting = "venv_path"
        elif config is not None and config.python_executable is not None:
            wanted, setting = os.fspath(config.python_executable), "python_executable"
        else:
            wanted, setting = sys.executable, "python_executable"
        found = shutil.which(wanted)
        if found is None:
            raise ProcessSpawnError(
                node_id,
                f"Python executable not found: {wanted!r}; set {setting!r} to an interpreter "
                "that has remotemedia-runtime installed",
            )
        return Environment(found)


class NodeProcess(RunningNode):
    """One node process, as its parent sees it."""

    def __init__(self, launch: NodeLaunch, events: NodeEvents) -> None:
        self._launch, self._events = launch, events
        self._id = launch.node.id
        self._stage = "starting"
        self._output = OutputLog.new_buffer()
        self._asked_to_end = False
        self._said_stopped = False
        self._signals_sent: set[int] = set()
        self._fork: Fork
        self._line: NodeLine
        self._watch: asyncio.Task[None]

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
            {os.fsencode(name): os.fsencode(value) for name, value in variables.items()},
            str(options.working_directory or Path.cwd()),
            options.cpu_affinity,
            options.nice,
        )
        here, there = socket.socketpair()
        pipes = [*os.pipe(), *os.pipe()]
        try:
            give_descriptors(here, self._launch)
            fds = (there.fileno(), pipes[1], pipes[3])
            self._fork = await template.fork(self._id, fds, request)
        except BaseException:
            here.close()
            for fd in pipes[0::2]:
                os.close(fd)
            raise
        finally:
            there.close()
            for fd in pipes[1::2]:
                os.close(fd)
        self._line = NodeLine(self._id, here, self._heard)
        self._ours = template.environment.is_own
        self._watch = asyncio.get_running_loop().create_task(
            self._live(pipes[0], pipes[2]), name=f"remotemedia {self._id}"
        )

    # ---- orders

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

    async def stack(self, timeout: float) -> str:
        """Return its Python stacks."""
        return await self._line.stack(timeout)

    def _signal(self, number: signal.Signals) -> None:
        self._asked_to_end = True
        self._signals_sent.add(number)
        if not self._fork.status.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._fork.pid, number)

    # ---- its life

    async def _live(self, stdout: int, stderr: int) -> None:
        loop = asyncio.get_running_loop()
        logs, transports = [], []
        for fd, level in ((stdout, logging.INFO), (stderr, logging.WARNING)):
            transport, log = await loop.connect_read_pipe(
                partial(OutputLog, self._launch.session_id, self._id, level, self._output),
                os.fdopen(fd, "rb", 0),
            )
            logs.append(log.closed)
            transports.append(transport)
        init = init_message(
            self._launch,
            source=self._source(),
            script=self._launch.node.type.script,
            more_paths=tuple(sys.path) if self._ours else (),
        )
        talk = loop.create_task(self._line.run(init))
        error: RemoteMediaError | None = None
        try:
            ends: list[asyncio.Future[Any]] = [talk, self._fork.status]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if talk.done() and talk.exception() is not None:  # nothing that it says can be believed
                self.kill()
            await asyncio.wait([self._fork.status])
            # The end of the process closes its socket and pipes; what is still in them counts.
            await asyncio.wait([talk, *logs], timeout=_LAST_WORDS_SECS)
            if (
                talk.done()
                and not talk.cancelled()
                and isinstance(talk.exception(), ProcessSpawnError)
            ):
                error = talk.exception()  # type: ignore[assignment]
        finally:
            talk.cancel()
            for transport in transports:
                transport.close()
        self._events.ended(self._id, error or self._verdict())

    def _verdict(self) -> RemoteMediaError | None:
        status = os.waitstatus_to_exitcode(self._fork.status.result())
        code = 128 - status if status < 0 else status
        if self._said_stopped and (self._asked_to_end or code == 0):
            return None
        if code - 128 in self._signals_sent:
            return None
        return ProcessCrashError(self._id, code, self._stage, tuple(self._output))

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
