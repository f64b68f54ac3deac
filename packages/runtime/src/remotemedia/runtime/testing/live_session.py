"""LiveSession: a session in real processes, for tests that are no coroutines."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from remotemedia.core.errors import RemoteMediaError, SessionError
from remotemedia.runtime.pipeline import Pipeline
from remotemedia.runtime.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.core.data import RuntimeData
    from remotemedia.core.node import MultiprocessNode
    from remotemedia.runtime.config import MultiprocessConfig

__all__ = ["LiveSession", "LiveTimeout"]

_T = TypeVar("_T")


class LiveTimeout(RemoteMediaError, TimeoutError):
    """A session under test did not do in time what it was asked for.

    Attributes:
        what: What it was asked for.
        seconds: The deadline.
        nodes: What each node was doing.
    """

    def __init__(self, what: str, seconds: float, nodes: Mapping[str, str]) -> None:
        self.what: str = what
        self.seconds: float = seconds
        self.nodes: dict[str, str] = dict(nodes)
        doing = ", ".join(f"{node} was {state}" for node, state in nodes.items())
        super().__init__(f"{what} was not done within {seconds:g} s: {doing or 'no node ran'}")


class LiveSession:
    """Runs a pipeline in real processes; every step has a deadline. Also a context manager.

    Args:
        what: A Pipeline; the path of a pipeline file; or the only node of a pipeline, as the name
            of its type, `"module:Class"` or its class. Its id is `node` then.
        config: Of that only node.
        runtime_config: Configuration of the runtime.
        deadline: Seconds that each step may take, and the start as a whole.

    Attributes:
        session: The session itself; `call` does with it what is not here.
    """

    def __init__(
        self,
        what: Pipeline | Path | str | type[MultiprocessNode],
        config: Mapping[str, Any] | None = None,
        *,
        runtime_config: MultiprocessConfig | None = None,
        deadline: float = 30.0,
    ) -> None:
        if isinstance(what, (Pipeline, Path)):
            if config is not None:
                raise TypeError("a pipeline has the configuration of its nodes in itself")
            pipeline = what if isinstance(what, Pipeline) else Pipeline.load(what)
        else:
            pipeline = Pipeline().add_node(what, "node", config)
        self.session: Session = Session("test", pipeline, config=runtime_config)
        self.deadline = deadline
        self._portal_stack = ExitStack()

    def start(self) -> Self:
        """Start all nodes.

        Raises:
            RemoteMediaError: What a session's `initialize` raises.
            LiveTimeout: It took too long.
        """
        self._portal = self._portal_stack.enter_context(start_blocking_portal())
        try:
            self.call(self.session.__aenter__)
        except BaseException:
            self.close()
            raise
        return self

    def send(
        self,
        value: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
        input: str | None = None,  # noqa: A002 - the pipeline's word
    ) -> None:
        """Send an item; `input` is as in `Session.send`, and may be left out where there is one."""
        self.call(self.session.send, self._input(input), value)

    def receive(self, output: str | None = None) -> RuntimeData:
        """Receive the next item of an output; it may be left out where there is one."""
        return self.call(self.session.receive, output)

    def run(
        self,
        values: Iterable[Any],
        input: str | None = None,  # noqa: A002
    ) -> dict[str, list[RuntimeData]]:
        """Send these items, end the input, and return all that comes of it.

        Returns:
            The items of each output, by `node.port`.
        """
        name = self._input(input)
        received: dict[str, list[RuntimeData]] = {output: [] for output in self.session.outputs}

        async def send() -> None:
            for value in values:
                await self.session.send(name, value)
            await self.session.close_input()

        async def receive(output: str) -> None:
            async for item in self.session.stream(output):
                received[output].append(item)

        async def both() -> None:
            error: RemoteMediaError | None = None
            async with anyio.create_task_group() as tasks:

                async def noting(work: Callable[[], Awaitable[None]]) -> None:
                    nonlocal error
                    try:  # a group would wrap what it raises
                        await work()
                    except RemoteMediaError as raised:
                        error = error or raised
                        tasks.cancel_scope.cancel()

                tasks.start_soon(noting, send)
                for output in received:
                    tasks.start_soon(noting, lambda output=output: receive(output))
            if error is not None:
                raise error

        self.call(both)
        return received

    def call(self, method: Callable[..., Awaitable[_T]], *args: Any) -> _T:  # noqa: ANN401
        """Run a coroutine method, such as `session.get_metrics`, under the deadline."""

        async def in_time() -> _T:
            with anyio.move_on_after(self.deadline):
                return await method(*args)
            status = await self.session.get_status()
            name = getattr(method, "__name__", "the call").strip("_")
            nodes = {node: found.state.value for node, found in status.nodes.items()}
            raise LiveTimeout(name, self.deadline, nodes)

        return self._portal.call(in_time)

    def close(self) -> None:
        """End the session and all its processes."""
        with self._portal_stack:
            self.call(self.session.cleanup)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _input(self, name: str | None) -> str:
        inputs = self.session.inputs
        if name is None and len(inputs) != 1:
            several = f"has several inputs; say input= and one of {', '.join(map(repr, inputs))}"
            raise SessionError(f"the pipeline {several if inputs else 'has no input'}")
        return inputs[0] if name is None else name
