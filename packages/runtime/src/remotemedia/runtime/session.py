"""Session: a running pipeline, as an application uses it."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import (
    DataError,
    EndOfStream,
    ReceiveTimeout,
    RemoteMediaError,
    SessionClosed,
    SessionError,
)
from remotemedia.runtime.background import Background, EventBox
from remotemedia.runtime.environments.placement import EnvironmentsNeeded
from remotemedia.runtime.graph import check_id
from remotemedia.runtime.processes.loading import stop_if_loading_script
from remotemedia.runtime.runtime import Runtime
from remotemedia.runtime.session_end import SessionEnd
from remotemedia.runtime.session_limits import check_limits
from remotemedia.runtime.supervisor import SessionSupervisor
from remotemedia.runtime.watched_session import WatchedSession
from remotemedia.runtime.wiring import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.ends import Ends, Feed, Tap
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.node_status import Progress
    from remotemedia.runtime.pipeline import Pipeline

__all__ = ["OutputStream", "Session"]


class Session(WatchedSession):
    """A running pipeline. Also an async context manager, under asyncio and trio.

    Args:
        session_id: Letters, digits, `_` and `-`.
        pipeline: What it runs.
        runtime: Where it runs; one of its own if None.
        config: Configuration of its own runtime.

    Raises:
        SessionError: The id is not valid.
    """

    def __init__(
        self,
        session_id: str,
        pipeline: Pipeline,
        *,
        runtime: Runtime | None = None,
        config: MultiprocessConfig | None = None,
    ) -> None:
        stop_if_loading_script()
        wrong = check_id("session id", session_id)
        if wrong:
            raise SessionError(wrong)
        self.pipeline = pipeline
        self._owns_runtime = runtime is None
        self._runtime = Runtime(config) if runtime is None else runtime
        super().__init__(session_id, self._runtime.crash_callbacks)
        self._feeds: Ends[Feed] | None = None
        self._taps: Ends[Tap] | None = None
        self._end: SessionEnd | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    # ---- life

    async def initialize(
        self, progress_callback: Callable[[Progress], object] | None = None
    ) -> None:
        """Start all nodes at once; when this returns, every one is ready.

        Args:
            progress_callback: Called with each step of each node.

        Raises:
            PipelineError: The pipeline has mistakes; nothing was started.
            NodeEnvironmentError: A node can't have the environment that it asks for; nothing was
                started.
            ResourceLimitError: It has too many nodes, or there is too little shared memory;
                nothing was started.
            ProcessSpawnError: A process could not be started.
            NodeError: A node's `initialize` raised.
            InitTimeout: A node took too long.
            ProcessCrashError: A node's process died.
        """
        if not self._is_here:
            raise self._not("new", "")
        if self._state != "new":
            raise SessionError(f"session {self.session_id!r} was initialized already")
        self._state = "initializing"
        try:
            box = EventBox()
            graph = await self._check(box, progress_callback)
            self._check_open()  # cleanup() may have been called meanwhile
            supervisor, open_ends = await anyio.to_thread.run_sync(self._prepare, graph)
            self._check_open()
            if progress_callback is not None:
                supervisor.progress.listener = box.put
            background = Background.shared()
            await background.call(supervisor.launch(), box, progress_callback)
            # Takes about as long as the processes need until they open theirs.
            feeds, taps = await anyio.to_thread.run_sync(open_ends)
            del open_ends
            self._check_open()
            self._feeds, self._taps = feeds, taps
            supervisor.break_too(end.bell for end in (*feeds.all(), *taps.all()))
            await background.call(supervisor.connect(), box, progress_callback)
            await anyio.to_thread.run_sync(self._prepare_feeds)
            await background.call(supervisor.make_ready(), box, progress_callback)
            await anyio.to_thread.run_sync(self._prepare_taps)
        except BaseException:
            if self._supervisor is not None and self._supervisor.error is not None:
                self._begin_end()  # a node that hangs must not delay the report
            else:
                await self.cleanup()
            raise
        self._check_open()
        self._state = "ready"

    async def start(self) -> None:
        """Let the nodes work on what is sent."""
        if self._state == "running" and self._is_here:
            raise SessionError(f"session {self.session_id!r} was started already: send to it")
        if self._state != "ready":
            raise self._not("ready", "call initialize() first")
        await Background.shared().call(self._watched.start())
        self._state = "running"

    async def cleanup(self, *, drain: float = 0.0) -> None:
        """End the session: nodes clean up and end.

        What is in flight then is dropped, and a line in the log says how much of it was in which
        channel. Can be called at any time, more than once and by several tasks.

        Args:
            drain: Seconds that what is in flight gets to arrive, before: inputs are closed, nodes
                process what they have, and outputs that have been received from go on being
                received, by whichever task does so.
        """
        if self._state == "new" or not self._is_here:
            self._state = "closed"
            return
        try:
            if drain > 0 and self._state == "running":
                await self._drain(drain)
        finally:
            end = self._begin_end()
            with anyio.CancelScope(shield=True):
                if end is not None:
                    await Background.until_done(end)
                elif self._owns_runtime:
                    await self._runtime.shutdown()

    async def _drain(self, seconds: float) -> None:
        """Wait until all that was sent has arrived, or the session has ended otherwise."""
        taps = [] if self._taps is None else self._taps.all()
        with anyio.move_on_after(seconds), contextlib.suppress(RemoteMediaError):
            await self.close_input()
            await self.wait_finished()
            for tap in taps:
                if tap.is_used:
                    await tap.emptied()

    def _begin_end(self) -> Future[None] | None:
        """Begin to end everything; returns None where nothing was started."""
        self._state = "closed"
        self._feeds = self._taps = None
        if self._finalizer is not None:
            self._finalizer.detach()
        return None if self._end is None else self._end.begin()

    async def __aenter__(self) -> Self:
        if self._state != "running":  # which one of `create_session` is
            if self._state != "ready":
                await self.initialize()
            await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.cleanup()

    # ---- data

    async def send(self, input: str, data: Any) -> None:  # noqa: A002, ANN401 - what `of` takes
        """Send data to an input of the pipeline; waits when the node is behind.

        Args:
            input: A node with one such input, or `node.port`.
            data: RuntimeData; or str, bytes, a numpy array or a JSON-like value.

        Raises:
            DataError: The data makes no sense, or is not what the port takes.
            SessionClosed: The input or the session was closed.
            RemoteMediaError: What ended the session.
        """
        feed = self._feed(input)
        item = RuntimeData.of(data)
        item.check()
        port = feed.ref.port
        if not port.accepts(item.type.value):
            hint = "; wrap it with RuntimeData.audio(samples, sample_rate)" * (
                port.type == "audio" and item.type.value == "tensor"
            )
            gone = self._open_feeds.why_absent(input, item.type.value)
            hint = f": node {feed.ref.node!r} has {gone}" if gone else hint
            raise DataError(f"input {feed.ref} takes {port.type} data, not {item.type.value}{hint}")
        if not item.session_id:
            item.session_id = self.session_id
        async with feed.lock:
            if feed.closed:
                raise SessionClosed(f"input {feed.ref} was closed; nothing more can be sent to it")
            await feed.send(item)

    async def receive(
        self,
        output: str | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> RuntimeData:
        """Receive the next item of an output of the pipeline.

        Args:
            output: A node with one such output, or `node.port`; may be left out where the
                pipeline has only one.
            timeout: Seconds to wait at most.

        Raises:
            ReceiveTimeout: Nothing came in time.
            EndOfStream: The input was closed, and everything has been received.
            RemoteMediaError: What ended the session. What had arrived before is received first,
                as long as its memory can still be reached: of a node that crashed right after the
                first message to this output that was larger than those that memory was prepared
                for (see `message_bytes` of `Pipeline.connect`), that message may be lost.
        """
        tap = self._tap(output)
        with anyio.move_on_after(timeout):
            async with tap.lock:
                while (data := tap.take()) is None:
                    await tap.bell.wait()
                return data
        if not tap.lock.locked() and (data := tap.take()) is not None:
            return data  # with a timeout of 0, the first look
        raise ReceiveTimeout(str(tap.ref), timeout or 0.0)

    def stream(self, output: str | None = None) -> OutputStream:
        """Iterate over an output until it ends; see `receive`."""
        self._tap(output)
        return OutputStream(self, output)

    async def close_input(self, input: str | None = None) -> None:  # noqa: A002
        """Say that nothing more will be sent, to one input or to all.

        Everything in flight is processed and delivered; then the outputs end.
        """
        for feed in self._open_feeds.all() if input is None else (self._feed(input),):
            async with feed.lock:
                feed.close()

    async def wait_finished(self) -> None:
        """Wait until every node has processed all that was sent before `close_input`.

        Outputs have to be received meanwhile. Nodes without an output end unheard otherwise.

        Raises:
            RemoteMediaError: What ended the session before.
        """
        await Background.shared().call(self._watched.finished())

    send_input = send
    receive_output = receive

    @property
    def inputs(self) -> list[str]:
        """Where the application can send to, as `node.port`."""
        return [] if self._feeds is None else self._feeds.names

    @property
    def outputs(self) -> list[str]:
        """Where the application can receive from, as `node.port`."""
        return [] if self._taps is None else self._taps.names

    # ---- inside

    async def _check(
        self, box: EventBox, progress_callback: Callable[[Progress], object] | None
    ) -> Graph:
        """Check the pipeline, after making the environments that its nodes ask for."""
        runtime, pipeline = self._runtime, self.pipeline
        try:
            return await anyio.to_thread.run_sync(runtime.resolve, pipeline)
        except EnvironmentsNeeded as needed:
            wishes = needed.wishes
        placements = await Background.shared().call(
            runtime.find_environments(wishes, box.put), box, progress_callback
        )
        return await anyio.to_thread.run_sync(runtime.resolve, pipeline, placements)

    def _prepare(
        self, graph: Graph
    ) -> tuple[SessionSupervisor, Callable[[], tuple[Ends[Feed], Ends[Tap]]]]:
        """Plan the channels; runs in a worker thread.

        Returns:
            What watches over the nodes, and what opens the application's ends of the channels.
        """
        from remotemedia.runtime.channels.bell import Bells
        from remotemedia.runtime.channels.ledger import Ledger
        from remotemedia.runtime.ends import open_feeds, open_taps

        runtime = self._runtime
        files, space = runtime.open_space()
        name = runtime.next_name()
        wiring = wire(graph, runtime.config, files, name)
        check_limits(self.session_id, wiring, runtime.config)
        bells, ledger = Bells.create(wiring.bells), Ledger.create(wiring.records)
        supervisor = SessionSupervisor(
            self.session_id, graph, wiring, bells, ledger, runtime.executors, runtime.config
        )
        self._adopt(supervisor)
        runtime.adopt(supervisor)
        self._end = SessionEnd(supervisor, runtime, owns_runtime=self._owns_runtime)
        self._finalizer = weakref.finalize(self, self._end.abandoned)
        self._finalizer.atexit = False  # the runtime's thread sees to that
        supervisor.check()
        channels = space, graph, wiring, ledger, bells
        return supervisor, lambda: (open_feeds(*channels), open_taps(*channels))

    def _leave_behind(self) -> None:
        super()._leave_behind()
        self._feeds = self._taps = None
        self._owns_runtime = False

    def _prepare_feeds(self) -> None:
        """Prepare what the application sends by, before its receivers do; in a worker thread."""
        for feed in [] if self._feeds is None else self._feeds.all():
            feed.prepare()

    def _prepare_taps(self) -> None:
        """Prepare what it receives from, after its senders did; in a worker thread."""
        for tap in [] if self._taps is None else self._taps.all():
            tap.prepare()

    def _check_open(self) -> None:
        if self._state == "closed":
            raise SessionClosed(f"session {self.session_id!r} was closed while it initialized")

    @property
    def _open_feeds(self) -> Ends[Feed]:
        if self._state != "running" or self._feeds is None or self._watched.is_over:
            raise self._not("running", "call start() first")
        return self._feeds

    def _feed(self, name: str) -> Feed:
        return self._open_feeds.find(name)

    def _tap(self, name: str | None) -> Tap:
        if self._state not in ("ready", "running") or self._taps is None:
            raise self._not("running", "call start() first")
        return self._taps.find(name)


class OutputStream:
    """Iterates over one output of a session until it ends."""

    def __init__(self, session: Session, output: str | None) -> None:
        self._session, self._output = session, output

    def __aiter__(self) -> OutputStream:
        return self

    async def __anext__(self) -> RuntimeData:
        try:
            return await self._session.receive(self._output)
        except EndOfStream:
            raise StopAsyncIteration from None
