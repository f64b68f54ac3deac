"""A pipeline on a recording: what it answers after the end of speech, and where the time goes.

Everything is read from the counters that channels keep anyway, some hundred times a second, so that
what is measured runs as it always does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import numpy as np
import psutil

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import EndOfStream, PipelineError
from remotemedia.runtime.bench.rows import NodeRow
from remotemedia.runtime.media.audio_reader import AudioReader
from remotemedia.runtime.wiring import APPLICATION

if TYPE_CHECKING:
    from pathlib import Path

    from remotemedia.runtime.channels.ledger import ChannelStats
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.pipeline import Pipeline
    from remotemedia.runtime.runtime import Runtime
    from remotemedia.runtime.session import Session

__all__ = ["on_recording"]

_CHUNKS_PER_SECOND = 50
_LOOK_AGAIN_SECS = 0.001


@dataclass
class _Node:
    """What has been seen of a node.

    Attributes:
        inputs: Its incoming channels.
        outputs: Its outgoing ones.
        pid: Its process.
        cpu_s: Processor time that it had used when it was last looked at.
        sent: Messages sent when it was last looked at, over all outputs.
        waiting: Sum of the messages that waited, over all looks.
        turn_waiting: Seconds of the turn in which messages waited while it worked.
        turn_moving: Seconds of the turn in which messages were on their way to it, idle as it was.
        turn_computing: Seconds of the turn in which it worked.
        sent_at: When messages were seen to be sent.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    pid: int | None = None
    cpu_s: float = 0.0
    sent: int = 0
    waiting: int = 0
    turn_waiting: float = 0.0
    turn_moving: float = 0.0
    turn_computing: float = 0.0
    sent_at: list[float] = field(default_factory=list)


async def on_recording(
    runtime: Runtime, pipeline: Pipeline, recording: Path, *, realtime: bool, whole: bool = False
) -> list[NodeRow]:
    """Run it once.

    Args:
        runtime: Where it runs.
        pipeline: What runs; with one input for audio. Its other inputs get nothing.
        recording: An audio file.
        realtime: Send it as fast as a microphone would, so that what is still to be done at its
            end is what a speaker waits for.
        whole: Send it as one message, for a node that takes no stream.

    Raises:
        RemoteMediaError: The pipeline or the recording has mistakes, or a node failed.
    """
    reader = await anyio.to_thread.run_sync(AudioReader, recording)
    try:
        session = await runtime.create_session("bench", pipeline)
        try:
            graph = runtime.check(pipeline)
            audio = {str(ref) for ref in graph.outputs if ref.port.type == "audio"}
            answers = audio or {str(ref) for ref in graph.outputs}
            watch = _Watch(session, _target(graph), answers)
            return await watch.run(reader, realtime=realtime, whole=whole)
        except Exception as error:
            # Of a group: each task tells of the same end.
            raise getattr(error, "exceptions", (error,))[0] from error
        finally:
            await session.cleanup()
    finally:
        reader.close()


def _target(graph: Graph) -> str:
    """Return the input that takes the recording."""
    able = [ref for ref in graph.inputs if ref.port.accepts("audio")]
    typed = [ref for ref in able if ref.port.type == "audio"]
    for candidates in (typed, able):
        if len(candidates) == 1:
            return str(candidates[0])
    names = ", ".join(map(str, able)) or "none"
    raise PipelineError([f"the recording needs one input for audio, and there are: {names}"])


class _Watch:
    def __init__(self, session: Session, target: str, answers: set[str]) -> None:
        self._session, self._target, self._answers = session, target, answers
        self._nodes: dict[str, _Node] = {}
        self._stats: dict[str, ChannelStats] = {}
        self._looks = 0
        self._got_at: list[float] = []
        self._done = False
        # The turn: from the end of the input to the first answer after it.
        self._ended = self._answered = 0.0
        self._looked_at = self._computing = 0.0

    async def run(self, reader: AudioReader, *, realtime: bool, whole: bool) -> list[NodeRow]:
        session = self._session
        statuses = (await session.get_status()).nodes
        self._nodes = {name: _Node(pid=status.pid) for name, status in statuses.items()}
        for channel in session.channels:
            source, _, target = channel.partition("_to_")
            for name, side in ((source, "outputs"), (target, "inputs")):
                node = self._nodes.setdefault(name.partition(".")[0], _Node())
                getattr(node, side).append(channel)
        async with anyio.create_task_group() as group:
            group.start_soon(self._look_again_and_again)
            for output in session.outputs:
                group.start_soon(self._receive, output)
            if whole:
                await self._send_whole(reader)
            else:
                await self._send(reader, realtime=realtime)
            ended = self._ended = self._looked_at = time.monotonic()
            await session.close_input()
            await session.wait_finished()
            self._done = True
        await self._look()
        return [
            self._row("", self._nodes.get(APPLICATION, _Node()), ended),
            *(
                self._row(name, node, ended)
                for name, node in self._nodes.items()
                if name != APPLICATION
            ),
        ]

    async def _send(self, reader: AudioReader, *, realtime: bool) -> None:
        rate = reader.sample_rate
        began, sent = time.monotonic(), 0
        while True:
            chunk = await anyio.to_thread.run_sync(reader.read, rate // _CHUNKS_PER_SECOND)
            if not len(chunk):
                return
            sent += len(chunk)
            if realtime:
                await anyio.sleep(max(began + sent / rate - time.monotonic(), 0.0))
            await self._session.send(self._target, RuntimeData.audio(chunk, rate, reader.channels))

    async def _send_whole(self, reader: AudioReader) -> None:
        blocks = []
        while len(block := await anyio.to_thread.run_sync(reader.read, reader.sample_rate)):
            blocks.append(block)
        if blocks:
            samples = np.concatenate(blocks)
            data = RuntimeData.audio(samples, reader.sample_rate, reader.channels)
            await self._session.send(self._target, data)

    async def _receive(self, output: str) -> None:
        while True:
            try:
                await self._session.receive(output)
            except EndOfStream:
                return
            self._got_at.append(time.monotonic())
            if self._in_turn and output in self._answers:
                self._answered = self._got_at[-1]

    async def _look_again_and_again(self) -> None:
        while not self._done:
            await self._look()
            await anyio.sleep(_LOOK_AGAIN_SECS)

    @property
    def _in_turn(self) -> bool:
        return self._ended > 0 and not self._answered

    async def _look_at_turn(self, now: float) -> None:
        """Add up when any node computed, and when messages waited for each."""
        since, self._looked_at = self._looked_at, now
        computed = 0.0
        for name, status in (await self._session.get_status()).nodes.items():
            node = self._nodes[name]
            if status.item and not status.is_waiting:
                took = min(status.item_seconds or 0.0, now - since)
                node.turn_computing += took
                computed = max(computed, took)
            if any(self._stats[channel].current_occupancy for channel in node.inputs):
                if not status.item:
                    node.turn_moving += now - since
                else:
                    node.turn_waiting += now - since
        self._computing += computed

    async def _look(self) -> None:
        now = time.monotonic()
        self._looks += 1
        for channel in self._session.channels:
            self._stats[channel] = await self._session.get_channel_stats(channel)
        for node in self._nodes.values():
            sent = sum(self._stats[channel].sent for channel in node.outputs)
            if sent > node.sent:
                node.sent = sent
                node.sent_at.append(now)
            node.waiting += sum(self._stats[c].current_occupancy for c in node.inputs)
            if node.pid is not None and self._looks % 50 == 0:
                self._measure(node)
        if self._in_turn:
            await self._look_at_turn(now)

    @staticmethod
    def _measure(node: _Node) -> None:
        try:
            times = psutil.Process(node.pid).cpu_times()
        except psutil.NoSuchProcess:
            return
        node.cpu_s = times.user + times.system

    def _row(self, name: str, node: _Node, ended: float) -> NodeRow:
        inputs = [self._stats[channel] for channel in node.inputs]
        if name:
            self._measure(node)
        after = [at - ended for at in (node.sent_at if name else self._got_at) if at > ended]
        turn = self._answered - self._ended if self._answered else None
        computing = node.turn_computing if name else min(self._computing, turn or 0.0)
        return NodeRow(
            node=name,
            turn_ms=_ms(None if name else turn),
            turn_waiting_ms=_ms(node.turn_waiting if name and turn else None),
            turn_moving_ms=_ms(node.turn_moving if name and turn else None),
            turn_computing_ms=_ms(computing if turn else None),
            turn_runtime_ms=_ms(None if name or turn is None else turn - computing),
            taken=sum(stats.message_count for stats in inputs),
            sent=sum(self._stats[channel].sent for channel in node.outputs),
            moving_us=max((stats.latency_p50_us for stats in inputs), default=None),
            waiting=round(node.waiting / max(self._looks, 1), 2),
            cpu_s=round(node.cpu_s, 3),
            blocked_s=round(sum(self._stats[c].blocked_seconds for c in node.outputs), 3),
            first_after_s=round(after[0], 4) if after else None,
            last_after_s=round(after[-1], 4) if after else None,
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
