"""Running a program to its end, and ending it with whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Ended", "run_program"]

_KEPT_LINES = 60
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Ended:
    """A program that has ended.

    Attributes:
        code: Its exit code; negative for a signal.
        output: What it wrote on standard output.
        messages: The last lines that it wrote on standard error.
    """

    code: int
    output: bytes
    messages: tuple[str, ...]


async def run_program(
    arguments: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    given: bytes = b"",
    on_line: Callable[[str], object] = lambda _: None,
) -> Ended:
    """Run a program; it and what it has started are killed if the caller is cancelled.

    Args:
        arguments: The program and its arguments.
        variables: All of its environment; that of this process if None.
        pass_fds: Descriptors that it inherits.
        given: What it finds on standard input.
        on_line: Called with each line that it writes on standard error.

    Raises:
        OSError: It can't be started.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=variables,
        pass_fds=pass_fds,
        start_new_session=True,
        limit=_LONGEST_LINE,
    )
    messages: deque[str] = deque(maxlen=_KEPT_LINES)

    async def listen(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                messages.append(text)
                on_line(text)

    async def feed(stream: asyncio.StreamWriter | None) -> None:
        if stream is not None:
            stream.write(given)
            with contextlib.suppress(ConnectionError):  # it does not read
                await stream.drain()
            stream.close()

    stdout, stderr = process.stdout, process.stderr
    if stdout is None or stderr is None:
        raise AssertionError("both were asked for")
    try:
        _, _, output = await asyncio.gather(feed(process.stdin), listen(stderr), stdout.read())
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Ended(code, output, tuple(messages))
