"""The checkup: does a node load? Each in a process of its own, which may do anything."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import msgspec

from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.environments.maker import CannotMake, provide
from remotemedia.runtime.environments.request import ExistingEnvironment
from remotemedia.runtime.processes.probe import Report, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import ByteReceiveStream, Process

    from remotemedia.runtime.environments.store import Store
    from remotemedia.runtime.plugins import PluginPolicy
    from remotemedia.runtime.reference.inventory import Entry

__all__ = ["Checkup", "Finding"]

_AT_ONCE = 2  # models are large, and importing one takes a core
_LAST_LINES = 8
_MODULE = "remotemedia.runtime.processes.probe"


class Finding(msgspec.Struct, kw_only=True):
    """What a checkup has found.

    Attributes:
        type: What names the node type.
        problem: Why it does not load; empty if it does.
        advice: What to do.
        report: What its process reported; None if it did not come to that.
        output: The last lines that it printed.
    """

    type: str
    problem: str = ""
    advice: str = ""
    report: Report | None = None
    output: list[str] = []


class Checkup:
    """Loads node types, at most two at a time, each in the environment that its nodes run in.

    Args:
        store: Where environments are kept, and made if they are not there yet.
        policy: Which plugins may be used in them.
        found: Called with what comes of each type, as it comes.
        on_step: Called with a type and what is done, while an environment is made.
        initialize: Also initialize a node with the default config.
        limit_secs: Seconds for each.
    """

    def __init__(
        self,
        store: Store,
        policy: PluginPolicy,
        found: Callable[[Finding], object],
        on_step: Callable[[str, str], object],
        *,
        initialize: bool,
        limit_secs: float,
    ) -> None:
        self._store, self._policy = store, policy
        self._found, self._on_step = found, on_step
        self._initialize, self._limit_secs = initialize, limit_secs
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def look_at(self, entries: Sequence[Entry]) -> None:
        """Load them all."""
        async with anyio.create_task_group() as group:
            for entry in entries:
                group.start_soon(self._one, entry)

    async def _one(self, entry: Entry) -> None:
        name = entry.name
        async with self._limiter:
            try:
                environment = await self._environment(entry)
            except CannotMake as error:
                advice = "mend what it asks for; nodes of this type can't run"
                self._found(Finding(type=name, problem=str(error), advice=advice))
                return
            try:
                self._found(await self._examine(entry, environment))
            finally:
                if environment.lock is not None:
                    environment.lock.close()

    async def _environment(self, entry: Entry) -> Environment:
        wanted = entry.environment
        if wanted is None:
            return Environment(sys.executable)
        if isinstance(wanted, ExistingEnvironment):
            return Environment(wanted.executable)

        def step(_: float, message: str) -> None:
            self._on_step(entry.name, message)

        return await provide(wanted, self._store, self._policy, step)

    async def _examine(self, entry: Entry, environment: Environment) -> Finding:
        node, spec = entry.type, entry.type.spec
        finding = Finding(type=entry.name)
        request = Request(
            spec.target, node.source, node.script, spec.name, node.paths, self._initialize
        )
        process = await anyio.open_process(
            # Unbuffered: what it printed last is of interest most when it crashes.
            environment.command("-u", "-X", "faulthandler", "-m", _MODULE, str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment.variables(os.environ),
        )
        out, err = bytearray(), bytearray()
        try:
            with anyio.move_on_after(self._limit_secs) as scope:
                await _talk(process, msgspec.json.encode(request), out, err)
                await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):  # helpers that it has left, too
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.wait()
                await process.aclose()
        finding.output = err.decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
        with contextlib.suppress(msgspec.DecodeError):
            finding.report = msgspec.json.decode(bytes(out), type=Report)
        late = self._limit_secs if scope.cancelled_caught else None
        _judge(finding, process.returncode or 0, within=late)
        return finding


async def _talk(process: Process, request: bytes, out: bytearray, err: bytearray) -> None:
    async def drain(stream: ByteReceiveStream | None, into: bytearray) -> None:
        if stream is not None:
            async for part in stream:
                into += part

    async with anyio.create_task_group() as group:
        group.start_soon(drain, process.stdout, out)
        group.start_soon(drain, process.stderr, err)
        if process.stdin is not None:
            with contextlib.suppress(anyio.BrokenResourceError):
                await process.stdin.send(request)
                await process.stdin.aclose()


def _judge(finding: Finding, code: int, *, within: float | None) -> None:
    report = finding.report
    if within is not None:
        finding.problem = f"it did not load within {within:g} s, and was killed"
        finding.advice = "raise --timeout if it has a reason to take longer"
    elif report is None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        finding.problem = f"its process was ended by {name}"
        finding.advice = "its own or a library's C code crashed; see its last output"
    elif report is None:
        finding.problem = f"its process exited with code {code}"
        finding.advice = "a module must not end the process that imports it; see its last output"
    elif report.error:
        stage = {"import": "importing it", "initialize": "initialize()", "cleanup": "cleanup()"}
        finding.problem = f"{stage[report.stage]} raised {report.error}"
        if report.error.startswith("ModuleNotFoundError"):
            finding.advice = "install what it needs"
        else:
            finding.advice = "mend it there; --json has the whole traceback"
