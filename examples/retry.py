"""Retry belongs to the session: after a crash the next one goes on with what has no answer yet.

    python examples/retry.py

`process_all` is what to take along. It sends a list of items through a pipeline that gives one
answer for each, in order. What a node crashes with is tried again, and given up in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.core.errors import ItemTimeout, ProcessCrashError, RemoteMediaError
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.runtime import Pipeline, Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime import Session

_logger = logging.getLogger(__name__)


async def process_all(
    runtime: Runtime,
    pipeline: Pipeline,
    items: Sequence[object],
    *,
    attempts: int = 3,
    pause_secs: float = 0.1,
) -> list[RuntimeData | RemoteMediaError]:
    """Return the answer to each item, or the error of one that no session got an answer to.

    Args:
        runtime: Where sessions run; it keeps what makes the next one start fast.
        pipeline: One input, one output, and one answer for each item.
        items: What is sent.
        attempts: How many sessions may crash with the same item, or while they start.
        pause_secs: Before the second attempt; twice as long before each further one. A machine that
            is short of memory needs some time.

    Raises:
        RemoteMediaError: No session could be started, or what another attempt would not change.
    """
    answers: list[RuntimeData | RemoteMediaError] = []
    failed = 0
    while len(answers) < len(items):
        known, is_running = len(answers), False
        try:
            async with await runtime.create_session("retried", pipeline) as session:
                is_running = True
                await _collect(session, items[known:], answers)
        except (ProcessCrashError, ItemTimeout) as error:
            failed = failed + 1 if len(answers) == known else 1
            reason = str(error).partition("\n")[0]
            _logger.warning("attempt %d at item %d failed: %s", failed, len(answers), reason)
            if failed < attempts:
                await asyncio.sleep(pause_secs * 2 ** (failed - 1))
            elif is_running:
                answers.append(error)
                failed = 0
            else:
                raise
    return answers


async def _collect(
    session: Session, items: Sequence[object], answers: list[RuntimeData | RemoteMediaError]
) -> None:
    """Send items, and add the answers as they come: those of a session that crashes count too."""
    sending = asyncio.create_task(_send(session, items))
    try:
        async for answer in session.stream():
            answers.append(answer)  # noqa: PERF401 - one by one, or a crash would take them all
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, RemoteMediaError):
            await sending


async def _send(session: Session, items: Sequence[object]) -> None:
    (name,) = session.inputs
    for item in items:
        await session.send(name, item)
    await session.close_input()


# ---- something to try it with


@register_node("fragile")
class Fragile(MultiprocessNode):
    """Shouts what it gets; some of it is too much, once or always."""

    def process(self, data: RuntimeData) -> str:
        """Shout."""
        word = data.payload
        if word == "unlucky" and not Path(self.config["seen"]).exists():
            Path(self.config["seen"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory is short
        if word == "poison":
            os.abort()  # as a library does when it has met what it can't handle
        return str(word).upper()


async def main() -> None:
    """Try it."""
    words = ["tea", "unlucky", "coffee", "poison", "milk"]
    with tempfile.TemporaryDirectory() as folder:
        config = {"seen": str(Path(folder) / "seen")}
        pipeline = Pipeline().add_node("fragile", "shout", config)
        async with Runtime() as runtime:
            answers = await process_all(runtime, pipeline, words)
    for word, answer in zip(words, answers, strict=True):
        if isinstance(answer, ProcessCrashError):
            print(f"{word}: given up, node {answer.node_id!r} dies of it ({answer.signal})")
        elif isinstance(answer, RemoteMediaError):
            print(f"{word}: given up, {answer}")
        else:
            print(f"{word}: {answer.payload}")


if __name__ == "__main__":
    asyncio.run(main())
