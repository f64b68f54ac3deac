"""The multiprocess executor: every node in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.core.errors import ProcessCrashError, ProcessSpawnError, RemoteMediaError
from remotemedia.runtime.executors.base import Executor, NodeEvents, NodeLaunch, RunningNode
from remotemedia.runtime.executors.line import NodeLine, give_descriptors, init_message
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.output import OutputLog

if TYPE_CHECKING:
    from remotemedia.runtime.config import MultiprocessConfig

__all__ = ["MultiprocessExecutor"]

_CHILD = "remotemedia.runtime.processes.child"
# How long a dead node's pipes are read: what it wrote is in them, but a helper that it has left
# behind may hold them open.
_LAST_WORDS_SECS = 0.2


class MultiprocessExecutor(Executor):
    """Runs every node in a process of its own.

    Args:
        config: How; the runtime's configuration if None.
    """

    def __init__(self, config: MultiprocessConfig | None = None) -> None:
        self.config = config

    def check(self, launch: NodeLaunch) -> None:
        """Make sure that the interpreter is there.

        Raises:
            ProcessSpawnError: It is not.
        """
        self._executable(launch.node.id)

    async def launch(self, launch: NodeLaunch, events: NodeEvents) -> RunningNode:
        """Start a process.

        Raises:
            ProcessSpawnError: The operating system refuses to.
        """
        process = NodeProcess(launch, events)
        await process.spawn(self._executable(launch.node.id))
        return process

    def _executable(self, node_id: str) -> str:
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
        return found


class NodeProcess(RunningNode):
    """One node process, as its parent sees it."""

    def __init__(self, launch: NodeLaunch, events: NodeEvents) -> None:
        self._launch, self._events = launch, events
        self._id = launch.node.id
        self._stage = "starting"
        self._output = OutputLog.new_buffer()
        self._asked_to_end = False
        self._said_stopped = False
        self._process: subprocess.Popen[bytes]
        self._line: NodeLine
        self._watch: asyncio.Task[None]

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def spawn(self, executable: str) -> None:
        """Start the process and the task that watches it."""
        here, there = socket.socketpair()
        arguments = [executable, "-m", _CHILD, str(there.fileno()), str(os.getpid())]
        pipes: list[int] = []
        try:
            give_descriptors(here, self._launch)
            for _ in range(2):
                pipes += os.pipe()
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - vfork; returns at once
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=pipes[1],
                stderr=pipes[3],
                pass_fds=(there.fileno(),),
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            here.close()
            for fd in pipes[0::2]:
                os.close(fd)
            text = f"the process could not be started: {error}"
            raise ProcessSpawnError(self._id, text) from error
        finally:
            there.close()
            for fd in pipes[1::2]:
                os.close(fd)
        self._line = NodeLine(self._id, here, self._heard)
        self._watch = asyncio.get_running_loop().create_task(
            self._live(pipes[0], pipes[2]), name=f"remotemedia {self._id}"
        )

    # ---- orders

    def start(self) -> None:
        """Let it work."""
        self._line.send(msg.Start())

    def stop(self) -> None:
        """Ask it to end."""
        self._asked_to_end = True
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
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    # ---- its life

    async def _live(self, stdout: int, stderr: int) -> None:
        loop = asyncio.get_running_loop()
        session, logs, transports = self._launch.session_id, [], []
        for fd, level in ((stdout, logging.INFO), (stderr, logging.WARNING)):
            log = OutputLog(session, self._id, level, self._output)
            transport, _ = await loop.connect_read_pipe(lambda log=log: log, os.fdopen(fd, "rb", 0))
            logs.append(log.closed)
            transports.append(transport)
        ours = self._process.args[0] == shutil.which(sys.executable)  # type: ignore[index]
        init = init_message(
            self._launch, source=self._source(), more_paths=tuple(sys.path) if ours else ()
        )
        talk = loop.create_task(self._line.run(init))
        error: RemoteMediaError | None = None
        try:
            await _exited(self._process)
            # The end of the process closes its socket and pipes; what is still in them counts.
            await asyncio.wait([talk, *logs], timeout=_LAST_WORDS_SECS)
            if talk.done() and not talk.cancelled() and isinstance(talk.exception(), ProcessSpawnError):
                error = talk.exception()  # type: ignore[assignment]
        finally:
            talk.cancel()
            for transport in transports:
                transport.close()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # helpers that it has left behind
        self._events.ended(self._id, error or self._verdict())

    def _verdict(self) -> RemoteMediaError | None:
        status = self._process.returncode
        code = 128 - status if status < 0 else status
        if self._asked_to_end or (self._said_stopped and code == 0):
            return None
        if not self._line.greeted:
            last = "\n".join(self._output) or f"it exited with code {code} and wrote nothing"
            return ProcessSpawnError(
                self._id,
                f"the process ended before it could say hello; is remotemedia-runtime installed "
                f"for {self._process.args[0]!r}?\n{last}",  # type: ignore[index]
            )
        return ProcessCrashError(self._id, code, self._stage, tuple(self._output))

    def _heard(self, message: msg.FromNode) -> None:
        if isinstance(message, msg.Progress):
            self._stage = message.status
        elif isinstance(message, msg.Stopped):
            self._said_stopped = True
        self._events.said(self._id, message)

    def _source(self) -> str:
        """Return the file of the node's module; the script itself where that is `__main__`."""
        source = self._launch.node.type.source
        return str(Path(source).resolve()) if source else ""


async def _exited(process: subprocess.Popen[bytes]) -> None:
    """Return when the process has ended and has been reaped."""
    loop = asyncio.get_running_loop()
    fd = os.pidfd_open(process.pid)
    gone = loop.create_future()

    def on_exit() -> None:
        loop.remove_reader(fd)
        if not gone.done():
            gone.set_result(None)

    loop.add_reader(fd, on_exit)
    try:
        await gone
    finally:
        loop.remove_reader(fd)
        os.close(fd)
        if gone.done():
            process.wait()
