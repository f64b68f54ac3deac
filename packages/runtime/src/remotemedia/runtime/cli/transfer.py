"""One run: sends the inputs, receives the outputs, and stops cleanly whatever happens."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from remotemedia.core.data import DataType, RuntimeData
from remotemedia.core.errors import EndOfStream, SessionClosed
from remotemedia.runtime.cli.events import FileIn, FileOut, ProgressEvent, RunSummary, output_event
from remotemedia.runtime.cli.sinks import AudioSink, open_sink
from remotemedia.runtime.cli.usage import Interrupted, error_event
from remotemedia.runtime.media.text_reader import TextReader
from remotemedia.runtime.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remotemedia.core.errors import NodeError
    from remotemedia.runtime.cli.plan import Feed, Plan, Tap
    from remotemedia.runtime.cli.report import Reporter
    from remotemedia.runtime.media.audio_reader import AudioReader
    from remotemedia.runtime.node_status import Progress
    from remotemedia.runtime.pipeline import Pipeline
    from remotemedia.runtime.runtime import Runtime

__all__ = ["Transfer"]

CHUNKS_PER_SECOND = 50
# So much is read at once, in a thread: a file may lie on a slow disk.
_READ_CHUNKS = 50
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Transfer:
    """Runs a pipeline from its input files to its output files.

    Args:
        runtime: Where it runs.
        pipeline: What runs.
        plan: The files.
        reporter: Is told of everything.
        realtime: Audio is sent as fast as a microphone would, not as fast as the pipeline takes it.
        began: When the command began, by `time.monotonic`.

    Attributes:
        started: Whether nodes were started.
    """

    def __init__(
        self,
        runtime: Runtime,
        pipeline: Pipeline,
        plan: Plan,
        reporter: Reporter,
        *,
        realtime: bool,
        began: float,
    ) -> None:
        self._runtime, self._pipeline, self._plan = runtime, pipeline, plan
        self._reporter, self._realtime = reporter, realtime
        self._began = self._first_input = began
        self._interrupted: int | None = None
        self._failure: Exception | None = None
        self._ready = self._processed = 0.0
        self._files_in: list[FileIn] = []
        self._files_out: list[FileOut] = []
        self._skipped = 0
        self.started = False

    async def run(self) -> RunSummary:
        """Run it to its end.

        Raises:
            Interrupted: By a signal.
            RemoteMediaError: It failed.
        """
        # The signals stay ours until everything is gone, or a second Ctrl-C would leave something.
        with anyio.open_signal_receiver(*_SIGNALS) as signals:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, signals, group.cancel_scope)
                await self._guarded(group.cancel_scope, self._session)
                group.cancel_scope.cancel()
        if self._interrupted is not None:
            raise Interrupted(self._interrupted)
        if self._failure is not None:
            raise self._failure
        return self._summary()

    async def _listen(self, signals: Any, scope: anyio.CancelScope) -> None:  # noqa: ANN401
        async for number in signals:
            if self._interrupted is None:
                self._interrupted = number
            scope.cancel()

    async def _guarded(
        self, scope: anyio.CancelScope, work: Callable[..., Awaitable[None]], *arguments: object
    ) -> None:
        """Do work; its first error is kept, and ends the work of all others."""
        try:
            await work(*arguments)
        except Exception as error:  # noqa: BLE001 - raised again by `run`
            if self._failure is None or isinstance(self._failure, SessionClosed):
                self._failure = error
            scope.cancel()

    async def _session(self) -> None:
        for tap in self._plan.taps:
            if tap.path is not None:
                tap.sink = open_sink(tap.path)
        session = Session(f"run-{os.getpid()}", self._pipeline, runtime=self._runtime)
        session.on_node_error(self._on_node_error)
        async with self._runtime:
            self.started = True
            try:
                await session.initialize(progress_callback=self._on_progress)
                await session.start()
                self._ready = self._now()
                self._reporter.ready(self._ready)
                await self._transfer(session)
            finally:
                await session.cleanup()

    async def _transfer(self, session: Session) -> None:
        self._first_input = time.monotonic()
        async with anyio.create_task_group() as group:
            scope = group.cancel_scope
            for tap in self._plan.taps:
                group.start_soon(self._guarded, scope, self._receive, session, tap)
            fed = {str(feed.ref) for feed in self._plan.feeds}
            for name in session.inputs:
                if name not in fed:
                    await session.close_input(name)
            for feed in self._plan.feeds:
                group.start_soon(self._guarded, scope, self._send, session, feed)
            group.start_soon(self._guarded, scope, session.wait_finished)
        if self._failure is not None:
            raise self._failure
        self._processed = self._now()
        for tap in self._plan.taps:
            if tap.sink is not None:
                await anyio.to_thread.run_sync(tap.sink.publish)
        self._files_out = [self._file_out(tap) for tap in self._plan.taps]

    # ---- what is sent

    async def _send(self, session: Session, feed: Feed) -> None:
        target = str(feed.ref)
        duration: float | None = None
        if isinstance(feed.reader, TextReader):
            items = await self._send_text(session, target, feed.reader)
        else:
            items, duration = await self._send_audio(session, target, feed.reader)
        ended = self._now()
        await session.close_input(target)
        node, port = feed.ref.node, feed.ref.port.name
        self._files_in.append(FileIn(node, port, str(feed.path), items, duration, ended))

    async def _send_text(self, session: Session, target: str, reader: TextReader) -> int:
        items = 0
        async for line in reader.lines():
            await session.send(target, RuntimeData.text(line))
            items += 1
        return items

    async def _send_audio(
        self, session: Session, target: str, reader: AudioReader
    ) -> tuple[int, float]:
        rate = reader.sample_rate
        size = max(rate // CHUNKS_PER_SECOND, 1)
        items = sent = 0
        while True:
            block = await anyio.to_thread.run_sync(reader.read, size * _READ_CHUNKS)
            if not len(block):
                return items, round(sent / rate, 6)
            for at in range(0, len(block), size):
                chunk = block[at : at + size]
                if self._realtime:  # a microphone has a chunk when its last sample was spoken
                    heard = self._first_input + (sent + len(chunk)) / rate
                    await anyio.sleep(max(heard - time.monotonic(), 0.0))
                data = RuntimeData.audio(chunk, rate, reader.channels, start=sent / rate)
                await session.send(target, data)
                sent += len(chunk)
                items += 1

    # ---- what is received

    async def _receive(self, session: Session, tap: Tap) -> None:
        name = str(tap.ref)
        while True:
            try:
                data = await session.receive(name)
            except EndOfStream:
                return
            event = output_event(tap.ref, data, self._now())
            tap.items += 1
            tap.first = event.at if tap.first is None else tap.first
            tap.last = event.at
            if data.type is DataType.AUDIO:
                tap.seconds = (tap.seconds or 0.0) + len(data.payload) / data.metadata.sample_rate
            self._reporter.output(event)
            if tap.sink is None:
                continue
            if data.type is DataType.AUDIO and len(data.payload) > data.metadata.sample_rate:
                await anyio.to_thread.run_sync(tap.sink.write, tap.ref, data, event)
            else:
                tap.sink.write(tap.ref, data, event)

    # ---- what is told

    def _now(self) -> float:
        return round(time.monotonic() - self._first_input, 6)

    def _on_progress(self, step: Progress) -> None:
        self._reporter.progress(ProgressEvent.of(step, self._now()))

    def _on_node_error(self, error: NodeError) -> None:
        self._skipped += bool(error.item)
        self._reporter.error(error_event(error, None, debug=False, fatal=False))

    def _summary(self) -> RunSummary:
        firsts = [out.first for out in self._files_out if out.first is not None]
        audio = max((file.duration or 0.0 for file in self._files_in), default=0.0) or max(
            (out.duration or 0.0 for out in self._files_out), default=0.0
        )
        return RunSummary(
            pipeline=self._pipeline.name,
            ready=self._ready,
            first_output=min(firsts, default=None),
            processing=self._processed,
            total=round(time.monotonic() - self._began, 6),
            audio=audio or None,
            real_time_factor=round(self._processed / audio, 6) if audio else None,
            skipped=self._skipped,
            inputs=self._files_in,
            outputs=self._files_out,
        )

    @staticmethod
    def _file_out(tap: Tap) -> FileOut:
        writer = tap.sink.writer if isinstance(tap.sink, AudioSink) else None
        return FileOut(
            node=tap.ref.node,
            port=tap.ref.port.name,
            items=tap.items,
            duration=_rounded(writer.seconds if writer else tap.seconds),
            first=tap.first,
            last=tap.last,
            file=None if tap.path is None else str(tap.path),
            sample_rate=writer.sample_rate if writer else None,
            channels=writer.channels if writer else None,
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
