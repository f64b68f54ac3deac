"""Running what a node's methods give: in an event loop where they need one, without one else."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from remotemedia.core.node import MultiprocessNode

__all__ = ["close_loop", "complete", "needs_loop", "run_without_loop"]


def needs_loop(node: MultiprocessNode) -> bool:
    """Say whether a node works in an event loop: its `process` is a coroutine function."""
    process = node.process
    return inspect.iscoroutinefunction(process) or inspect.isasyncgenfunction(process)


def complete(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
    """Call a method that may be a coroutine function, and run it to its end."""
    result = call()
    if inspect.isawaitable(result):
        loop.run_until_complete(_as_coroutine(result))


async def _as_coroutine(awaitable: Any) -> Any:  # noqa: ANN401
    return await awaitable


def run_without_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never suspends, because all it waits for blocks its thread."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError(
        "a node whose process is a plain function awaited something that needs an event loop; "
        "make process a coroutine function"
    )


def close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Close a node's event loop, and with it the tasks that the node has left running."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
