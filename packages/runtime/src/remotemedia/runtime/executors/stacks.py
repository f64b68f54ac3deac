"""The stacks of a process, asked for by a signal: C code that holds the GIL can't prevent that."""

from __future__ import annotations

import asyncio
import os

from remotemedia.runtime.processes.messages import STACK_SIGNAL

__all__ = ["Stacks"]

_ANSWER_SECS = 1.0
# The answer has no end that could be recognised: it is over when nothing more comes for so long.
_QUIET_SECS = 0.2


class Stacks:
    """A pipe that a process writes its stacks to.

    Attributes:
        write: The descriptor for the process; whoever gives it away closes it.
    """

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)

    async def of(self, pid: int) -> str:
        """Ask a process; returns the stacks of all threads that run Python, the main one first."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        answer = bytearray()
        deadline = loop.time() + _ANSWER_SECS

        def hear() -> None:
            part = os.read(self._read, 1 << 16)
            if part:
                answer.extend(part)
                heard.set()
            else:  # it has ended
                loop.remove_reader(self._read)

        loop.add_reader(self._read, hear)
        try:
            os.kill(pid, STACK_SIGNAL)
            patience = _ANSWER_SECS
            while True:
                await asyncio.wait_for(heard.wait(), patience)
                heard.clear()
                patience = min(_QUIET_SECS, deadline - loop.time())
        except (asyncio.TimeoutError, ProcessLookupError):
            pass
        finally:
            loop.remove_reader(self._read)
        threads = answer.decode("utf-8", "replace").strip().split("\n\n")
        threads.sort(key=lambda thread: not thread.startswith("Current thread"))
        return "\n\n".join(threads)

    def close(self) -> None:
        """Close this end."""
        os.close(self._read)
