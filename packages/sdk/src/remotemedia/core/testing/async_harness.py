"""AsyncNodeHarness: the harness for tests that are coroutines, under asyncio and trio."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Any, TypeVar

from remotemedia.core.errors import NodeError, RemoteMediaError
from remotemedia.core.testing.steps import NodeSteps
from remotemedia.core.testing.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from concurrent.futures import Future
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.core.data import RuntimeData

__all__ = ["AsyncNodeHarness"]

_T = TypeVar("_T")


class AsyncNodeHarness(NodeSteps):
    """`NodeHarness` for tests that are coroutines: the same, but each step is awaited.

    The test's own event loop, of asyncio or trio, goes on meanwhile, so that the node may talk to
    something that runs in it. The node has its own loop, as it has in its process.
    """

    async def start(self) -> Self:
        """Make the node and have it initialize; see `NodeHarness.start`."""
        try:
            with self._noting():
                await self._wait(self._life.make())
                await self._wait(self._life.initialize())
        except BaseException:
            await self._close_quietly()
            raise
        return self

    async def feed(
        self,
        value: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
        port: str | None = None,
    ) -> list[RuntimeData]:
        """Have an item processed, and return what came of it; see `NodeHarness.feed`."""
        self._check_open()
        with self._noting():
            return await self._wait(self._life.process(value, port))

    async def stream(
        self,
        value: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
        port: str | None = None,
    ) -> AsyncIterator[RuntimeData]:
        """Have an item processed, and yield what comes of it; see `NodeHarness.stream`."""
        self._check_open()
        stream = Stream()
        step = self._life.process(value, port, stream)
        is_over = False
        try:
            with self._noting():
                while (item := await self._wait(stream.next(), step)) is not None:
                    yield item
            is_over = True
        except RemoteMediaError:
            is_over = True
            raise
        finally:
            if not is_over:
                stream.stop()
                self._left(step)

    async def finish(self) -> list[RuntimeData]:
        """Say that all input has ended, and return what the node had held back."""
        self._check_open()
        with self._noting():
            given = await self._wait(self._life.finish())
        self._over = "its input has ended"
        return given

    async def advance(self, seconds: float) -> None:
        """Let tasks that the node has started in its event loop run for so long."""
        self._check_open()
        await self._wait(self._life.advance(seconds))

    async def close(self) -> None:
        """Have the node clean up and end its thread; see `NodeHarness.close`."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._hangs:
                with self._noting():
                    await self._wait(self._life.cleanup())
        finally:
            self._end()
        self._check_left()

    async def __aenter__(self) -> Self:
        """Start."""
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; what the test itself raised matters more than what the cleanup does."""
        if error is None:
            await self.close()
        else:
            await self._close_quietly()

    async def _close_quietly(self) -> None:
        with contextlib.suppress(NodeError, TimeoutError):  # noted in `errors`
            await self.close()

    async def _wait(self, wanted: Future[_T], step: Future[Any] | None = None) -> _T:
        if not await _done(wanted, self.deadline):
            raise self._late(step or wanted)
        return wanted.result()


async def _done(future: Future[Any], seconds: float | None) -> bool:
    """Wait for a future of another thread; says whether it was done in time."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        await _done_in_trio(future, seconds)
    else:
        done = asyncio.Event()
        future.add_done_callback(lambda _: _tell(loop.call_soon_threadsafe, done.set))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(done.wait(), seconds)
    return future.done()


async def _done_in_trio(future: Future[Any], seconds: float | None) -> None:
    import trio

    done, token = trio.Event(), trio.lowlevel.current_trio_token()
    future.add_done_callback(lambda _: _tell(token.run_sync_soon, done.set))
    with trio.move_on_after(math.inf if seconds is None else seconds):
        await done.wait()


def _tell(loop: Any, what: Any) -> None:  # noqa: ANN401 - of asyncio or trio
    with contextlib.suppress(RuntimeError):  # the test's loop may have ended
        loop(what)
