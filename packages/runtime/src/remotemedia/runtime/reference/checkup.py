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

from remotemedia.runtime.processes.probe import Report, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import ByteReceiveStream, Process

    from remotemedia.runtime.nodetypes import NodeType

__all__ = ["Finding", "check_up"]

_AT_ONCE = 2  # models are large, and importing one takes a core
_LAST_LINES = 8
_MODULE = "remotemedia.runtime.processes.probe"


class Finding(msgspec.Struct, kw_only=True):
    """What a checkup has found.

    Attributes:
        type: The node type.
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


async def check_up(
    nodes: Sequence[NodeType],
    found: Callable[[Finding], object],
    *,
    initialize: bool,
    limit_secs: float,
) -> None:
    """Load nodes, at most two at a time.

    Args:
        nodes: The node types.
        found: Called with what comes of each, as it comes.
        initialize: Also initialize a node with the default config.
        limit_secs: Seconds for each.
    """
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def one(node: NodeType) -> None:
        async with limiter:
            found(await _examine(node, initialize=initialize, limit_secs=limit_secs))

    async with anyio.create_task_group() as group:
        for node in nodes:
            group.start_soon(one, node)


async def _examine(node: NodeType, *, initialize: bool, limit_secs: float) -> Finding:
    finding = Finding(type=node.spec.name)
    spec = node.spec
    request = Request(spec.target, node.source, node.script, spec.name, node.paths, initialize)
    process = await anyio.open_process(
        # Unbuffered: what it printed last is of interest most when it crashes.
        [sys.executable, "-u", "-X", "faulthandler", "-m", _MODULE, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    out, err = bytearray(), bytearray()
    try:
        with anyio.move_on_after(limit_secs) as scope:
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
    _judge(finding, process.returncode or 0, within=limit_secs if scope.cancelled_caught else None)
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
        missing = "ModuleNotFoundError" in report.error
        finding.advice = "install what it needs" if missing else "see its traceback: --json has it"
