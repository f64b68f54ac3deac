"""The parent's side of a template process: starts it, asks it for forks, hears of their ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.errors import ProcessSpawnError
from remotemedia.runtime.forks import left_behind
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.family import kill_families
from remotemedia.runtime.processes.output import LastLines, OutputLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.environments.environment import Environment

__all__ = ["Fork", "Template", "TemplateEnded"]

# A template that waits for requests ends at once when they can't come any more.
_CLOSE_SECS = 1.0

_MODULE = "remotemedia.runtime.processes.template"


class TemplateEnded(ProcessSpawnError):
    """A template has ended that had been ready."""


class Fork:
    """A process that a template has forked.

    Attributes:
        pid: Its id.
        end: Its wait status and its peak of resident bytes, once it has ended and has been reaped.
        mark: What all that it starts is known by; see `family`.
        end_of_template: How its template has ended, where it has ended with that.
    """

    def __init__(self, pid: int, mark: int) -> None:
        self.pid, self.mark = pid, mark
        self.end_of_template = ""
        self.end: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()


@left_behind
class Template:
    """A template process of one interpreter.

    Args:
        environment: The interpreter, and what it finds.
        preload: Modules that it imports for all its forks.

    Attributes:
        environment: The interpreter, and what it finds.
    """

    def __init__(self, environment: Environment, preload: Sequence[str]) -> None:
        self.environment, self._preload = environment, preload
        self._output = LastLines()
        self._ready: asyncio.Future[None] | None = None
        self._asked: deque[tuple[int, asyncio.Future[Fork]]] = deque()
        self._forks: dict[int, Fork] = {}
        self._process: subprocess.Popen[bytes]
        self._requests: socket.socket
        self._watch: asyncio.Task[None] | None = None  # none if it could not be started

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked for forks, now or when it is ready."""
        return self._ready is None or not (self.is_gone or self._requests.fileno() < 0)

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended, and everyone knows; or there never was any."""
        if self._watch is None:
            return self._ready is not None and self._ready.done()
        return self._watch.done()

    async def ready(self, node_id: str) -> None:
        """Start it unless it is there, and wait until it has imported everything.

        Raises:
            ProcessSpawnError: It could not be started, or ended while it imported.
        """
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._ready.add_done_callback(lambda f: f.cancelled() or f.exception())
            try:
                await self._start()
            except OSError as error:
                self._ready.set_exception(_Ended(str(error)))
        try:
            await asyncio.shield(self._ready)
        except _Ended as error:
            text = f"{self.environment.executable!r} can't run nodes: {error}"
            raise ProcessSpawnError(node_id, text) from error

    async def fork(self, node_id: str, fds: Sequence[int], request: msg.SpawnRequest) -> Fork:
        """Make a process.

        Args:
            node_id: The node that it is for.
            fds: Its control socket, standard output, standard error, and where stacks go.
            request: What it is to be.

        Raises:
            ProcessSpawnError: The operating system refuses.
            TemplateEnded: The template has ended; another one may do it.
        """
        await self.ready(node_id)
        body = msgspec.msgpack.encode(request)
        answer: asyncio.Future[Fork] = asyncio.get_running_loop().create_future()
        self._asked.append((request.mark, answer))
        try:
            socket.send_fds(self._requests, [msg.FRAME_HEAD.pack(len(body))], fds)
            self._requests.sendall(body)
            return await answer
        except _CannotFork as error:
            raise ProcessSpawnError(node_id, f"can't fork: {error}") from error
        except (OSError, _Ended) as error:
            self._requests.close()  # it is not to be asked again, though it may not be gone yet
            raise TemplateEnded(node_id, f"the template process has ended: {error}") from error

    async def close(self) -> None:
        """End it, and with it every process that it has forked."""
        if self._watch is not None:
            with contextlib.suppress(OSError):  # it has ended already
                self._requests.send(msg.DISMISSED)
            self._requests.close()
            await asyncio.wait([self._watch], timeout=_CLOSE_SECS)
            if not self._watch.done():  # it hangs in an import, or is no template at all
                os.killpg(self._process.pid, signal.SIGKILL)
                await self._watch

    async def _start(self) -> None:
        here, there = socket.socketpair()
        here.settimeout(5.0)
        events_read, events_write = os.pipe()
        errors_read, errors_write = os.pipe()
        arguments = self.environment.command(
            "-u", "-m", _MODULE, str(there.fileno()), str(events_write)
        )
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - vfork; returns at once
                [*arguments, str(os.getpid()), *self._preload],
                stdin=subprocess.DEVNULL,
                stdout=errors_write,
                stderr=errors_write,
                pass_fds=(there.fileno(), events_write),
                start_new_session=True,
                env=self.environment.variables({**os.environ, "PYTHONUNBUFFERED": "1"}),
            )
        except OSError:
            here.close()
            os.close(events_read)
            os.close(errors_read)
            raise
        finally:
            there.close()
            os.close(events_write)
            os.close(errors_write)
        self._requests = here
        self._watch = asyncio.get_running_loop().create_task(
            self._live(events_read, errors_read), name="remotemedia template"
        )

    async def _live(self, events: int, errors: int) -> None:
        loop = asyncio.get_running_loop()
        log = OutputLog("", "template", logging.WARNING, self._output)
        await loop.connect_read_pipe(lambda: log, os.fdopen(errors, "rb", 0))
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        pipe, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(events, "rb", 0))
        size = msg.TEMPLATE_EVENT.size
        try:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    self._heard(*msg.TEMPLATE_EVENT.unpack(await reader.readexactly(size)))
        finally:
            pipe.close()
            self._requests.close()
            await _exited(self._process)
            log.drain()
            await asyncio.wait([log.closed], timeout=0.2)
            self._ended()

    def _heard(self, kind: int, pid: int, status: int, peak: int) -> None:
        if kind == msg.READY and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        elif kind == msg.SPAWNED:
            mark, answer = self._asked.popleft()
            if pid > 0:  # it may have ended before whoever asked is running again
                fork = self._forks[pid] = Fork(pid, mark)
                if not answer.done():
                    answer.set_result(fork)
            elif not answer.done():
                answer.set_exception(_CannotFork(os.strerror(-pid)))
        elif kind == msg.EXITED:
            self._forks.pop(pid).end.set_result((status, peak * 1024))

    def _ended(self) -> None:
        """Tell everyone who waits: the kernel kills all forks when their template ends.

        Had it not been killed itself, it would have ended what they have started.
        """
        last = "\n".join(self._output.lines) or f"exit code {self._process.returncode}"
        kill_families({fork.mark for fork in self._forks.values()})
        for waiting in (self._ready, *(answer for _, answer in self._asked)):
            if waiting is not None and not waiting.done():
                waiting.set_exception(_Ended(last))
        code = self._process.returncode
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        for fork in self._forks.values():
            fork.end_of_template = (
                f"the template process {self._process.pid}, which it was forked from, was ended "
                f"{how}, and its nodes end with it; a new session starts another one"
            )
            fork.end.set_result((signal.SIGKILL, 0))
        self._forks.clear()


async def _exited(process: subprocess.Popen[bytes]) -> None:
    """Return when the process has ended, and reap it."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    fd = os.pidfd_open(process.pid)
    loop.add_reader(fd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    process.wait()


class _Ended(Exception):
    pass


class _CannotFork(Exception):
    pass
