"""NodeHarness: runs a node in a test, without processes."""

from __future__ import annotations

import concurrent.futures
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from remotemedia.core.errors import NodeError, RemoteMediaError
from remotemedia.core.testing.steps import NodeSteps
from remotemedia.core.testing.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.core.data import RuntimeData

__all__ = ["NodeHarness"]

_T = TypeVar("_T")


class NodeHarness(NodeSteps):
    """Runs one node without processes, as its runtime would, and collects what it gives.

    What is fed goes through the wire format, so the node gets read-only arrays; config, ports,
    types, loans and errors are checked as in a session. The node lives in a thread of its own,
    with an asyncio event loop of its own. Every step has a deadline, after which the test fails
    with the node's stack.

    Timers of that loop (`asyncio.sleep`, `wait_for`, `timeout`, `call_later`, and anyio's) take no
    time: where nothing else has to be waited for, its clock jumps. `time.sleep`, `time.monotonic`
    and all other clocks are real, and the loop's is too while the node waits for a thread, a
    socket or a child process.

    Args:
        node: A node type's name, `"module:Class"`, its NodeSpec, or the class.
        config: As in a pipeline, or the declared struct.
        node_id: The node's name.
        session_id: The session's name.
        on_error: `stop`: after an exception in `process` the node takes nothing more, as in a
            session. `continue`: it skips the item and goes on. Both raise it.
        deadline: Seconds that each step may take, in real time; None waits for ever, for a
            debugger.
        virtual_time: False has timers take their time.

    Attributes:
        spec: The node type's description, with the ports that it has with this config.
        errors: What the node has raised.

    Raises:
        PipelineError: The config is not what the node type declares.
        PluginError: There is no such node type.

    Example:
        >>> from remotemedia.core.node import MultiprocessNode
        >>> class Shout(MultiprocessNode):
        ...     def process(self, data):
        ...         return data.payload + self.config["mark"]
        >>> with NodeHarness(Shout, {"mark": "!"}) as shout:
        ...     (said,) = shout.feed("hello")
        >>> said.payload
        'hello!'
    """

    def make(self) -> Self:
        """Make the node, without having it initialize: only `close` can follow."""
        with self._noting():
            self._wait(self._life.make())
        return self

    def start(self) -> Self:
        """Make the node and have it initialize.

        Raises:
            NodeError: It raised; it has cleaned up.
            NodeTimeout: It took too long.
        """
        try:
            with self._noting():
                self._wait(self._life.make())
                self._wait(self._life.initialize())
        except BaseException:
            self._close_quietly()
            raise
        return self

    def feed(
        self,
        value: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
        port: str | None = None,
    ) -> list[RuntimeData]:
        """Have an item processed, and return what came of it; each item names its port.

        Args:
            value: RuntimeData; or str, bytes, a numpy array or a JSON-like value.
            port: The input, where the node has several.

        Raises:
            NodeError: The node raised; what it gave before is in `outputs`.
            ProcessCrashError: The node called `sys.exit`.
            NodeTimeout: It took too long.
            DataError: The value is nothing that can be sent.
            SessionClosed: The node has failed or was finished.
        """
        self._check_open()
        with self._noting():
            return self._wait(self._life.process(value, port))

    def stream(
        self,
        value: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
        port: str | None = None,
    ) -> Iterator[RuntimeData]:
        """Have an item processed, and yield what comes of it, one by one.

        The node stands still until the next item is asked for. Leaving early stops it there, as
        a session does that stops; then only its cleanup follows. Arguments and errors are those of
        `feed`.
        """
        self._check_open()
        stream = Stream()
        step = self._life.process(value, port, stream)
        is_over = False
        try:
            with self._noting():
                while (item := self._wait(stream.next(), step)) is not None:
                    yield item
            is_over = True
        except RemoteMediaError:
            is_over = True
            raise
        finally:
            if not is_over:
                stream.stop()
                self._left(step)

    def finish(self) -> list[RuntimeData]:
        """Say that all input has ended, and return what the node had held back."""
        self._check_open()
        with self._noting():
            given = self._wait(self._life.finish())
        self._over = "its input has ended"
        return given

    def advance(self, seconds: float) -> None:
        """Let tasks that the node has started in its event loop run for so long."""
        self._check_open()
        self._wait(self._life.advance(seconds))

    def close(self) -> None:
        """Have the node clean up, whatever happened to it, and end its thread.

        Raises:
            NodeError: `cleanup` raised.
            NodeTimeout: It took too long.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if not self._hangs:
                with self._noting():
                    self._wait(self._life.cleanup())
        finally:
            self._end()
        self._check_left()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; what the test itself raised matters more than what the cleanup does."""
        if error is None:
            self.close()
        else:
            self._close_quietly()

    def _close_quietly(self) -> None:
        with contextlib.suppress(NodeError, TimeoutError):  # noted in `errors`
            self.close()

    def _wait(self, wanted: Future[_T], step: Future[Any] | None = None) -> _T:
        if not concurrent.futures.wait([wanted], self.deadline).done:
            raise self._late(step or wanted)
        return wanted.result()
