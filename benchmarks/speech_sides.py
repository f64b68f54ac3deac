"""One run of one side: the nodes in one plain script, or as a pipeline over processes.

Both load the models first, and send the same chunks to the same node classes with the same
configuration. Numbers of threads are those that the engines choose, alike on both sides: every core
for CTranslate2, every physical one for onnxruntime.
"""

from __future__ import annotations

import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec
import numpy as np
import psutil
from speech_nodes import Span, TimedPiper, TimedReply, TimedWhisper, spans

from remotemedia.core.data import RuntimeData
from remotemedia.nodes.whisper.config import WhisperConfig
from remotemedia.runtime import Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

__all__ = ["SIDES", "Case", "Run", "run"]

RATE = 16_000
CHUNK_MS = 20
PAUSE_SECS = 1.0
EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL = "tiny.en"


class Case(NamedTuple):
    """What is sent.

    Attributes:
        name: For the report.
        clips: Recordings, with a pause between two.
        realtime: Sent as fast as it was spoken, not as fast as it is taken.
    """

    name: str
    clips: tuple[str, ...]
    realtime: bool = False

    def chunks(self) -> list[NDArray[np.float32]]:
        """Return mono float32 at 16 kHz, 20 ms each."""
        samples: list[NDArray[np.float32]] = []
        for clip in self.clips:
            if samples:
                samples.append(np.zeros(int(PAUSE_SECS * RATE), np.float32))
            with wave.open(str(EXAMPLES / f"{clip}.wav")) as file:
                frames = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            samples.append(frames.astype(np.float32) / np.float32(32768))
        stream = np.concatenate(samples)
        step = RATE * CHUNK_MS // 1000
        return [stream[at : at + step] for at in range(0, len(stream), step)]


class Run(msgspec.Struct):
    """What one run took.

    Attributes:
        wall: Seconds from the first chunk to the last audio; models are loaded before.
        cpu: Processor time that all processes took meanwhile, in seconds.
        idle: How many seconds of `wall` no model computed.
        latency: Seconds from the end of the input to the first audio after it.
        waiting: How many seconds of `latency` no model computed.
        peak_mb: Sum of the peaks of resident memory of all processes, in MiB; memory that
            processes share counts in each.
        memory_mb: Memory at the end, in MiB; shared memory is divided among those who share it.
        threads: Threads at the end, in all processes.
        spoken: What was said in the end.
    """

    wall: float
    cpu: float
    idle: float
    latency: float
    waiting: float
    peak_mb: float
    memory_mb: float
    threads: int
    spoken: list[str]


def run(side: str, case: Case) -> Run:
    """Run one side once, in this process and those that it starts."""
    return SIDES[side](case)


class _Clock:
    """Notes when chunks are sent and audio comes."""

    def __init__(self, case: Case) -> None:
        self.chunks = case.chunks()
        self._realtime = case.realtime
        self.began = self.ended = self._cpu = 0.0
        self._audio: list[tuple[float, RuntimeData]] = []

    def begin(self) -> None:
        """The first chunk is about to be sent."""
        self._cpu = _cpu()
        self.began = time.monotonic()

    def until_spoken(self, number: int) -> float:
        """Return in how many seconds a microphone has this chunk."""
        if not self._realtime:
            return 0.0
        heard = self.began + (number + 1) * CHUNK_MS / 1000
        return max(heard - time.monotonic(), 0.0)

    def message(self, number: int) -> RuntimeData:
        """Make the message of a chunk."""
        return RuntimeData.audio(self.chunks[number], RATE, start=number * CHUNK_MS / 1000)

    def end(self) -> None:
        """Note that the last chunk is about to be sent."""
        self.ended = time.monotonic()

    def take(self, audio: RuntimeData) -> None:
        """Note audio that has come."""
        self._audio.append((time.monotonic(), audio))

    def result(self) -> Run:
        """Put it together; everything still runs."""
        last, cpu = time.monotonic(), _cpu()
        came, first = next((at, item) for at, item in self._audio if at > self.ended)
        everything = {span for _, item in self._audio for span in spans(item)}
        peak = private = threads = 0
        for process in _processes():
            peak += _peak(process.pid)
            private += process.memory_full_info().pss
            threads += process.num_threads()
        return Run(
            wall=last - self.began,
            cpu=cpu - self._cpu,
            idle=last - self.began - _covered(everything, self.began, last),
            latency=came - self.ended,
            waiting=came - self.ended - _covered(spans(first), self.ended, came),
            peak_mb=peak / 2**20,
            memory_mb=private / 2**20,
            threads=threads,
            spoken=[item.metadata.transcript for _, item in self._audio],
        )


def _processes() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _cpu() -> float:
    """Return the processor time of all processes so far, in seconds."""
    times = (process.cpu_times() for process in _processes())
    return float(sum(each.user + each.system for each in times))


def _peak(pid: int) -> int:
    """Return the largest resident memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _covered(computed: Iterable[Span], begin: float, end: float) -> float:
    """Return how many seconds between `begin` and `end` lie in some of the spans."""
    covered, at = 0.0, begin
    for first, last in sorted(computed):
        covered += max(min(last, end) - max(first, at), 0.0)
        at = max(at, min(last, end))
    return covered


def script(case: Case) -> Run:
    """Call the nodes one after the other."""
    ears, mind, mouth = TimedWhisper(), TimedReply(), TimedPiper()
    ears.config = WhisperConfig(model=MODEL)
    for node in (ears, mind, mouth):
        node.initialize()
    clock = _Clock(case)

    def answer(texts: Iterable[RuntimeData]) -> None:
        for text in texts:
            reply = mind.process(text)
            for audio in () if reply is None else mouth.process(reply):
                clock.take(audio)

    clock.begin()
    for number in range(len(clock.chunks)):
        time.sleep(clock.until_spoken(number))
        if number == len(clock.chunks) - 1:
            clock.end()
        answer(ears.process(clock.message(number)))
    answer(ears.finish())
    result = clock.result()
    for node in (mouth, mind, ears):
        node.cleanup()
    return result


def pipeline(case: Case) -> Run:
    """Run the nodes in processes of their own."""
    return anyio.run(_pipeline, case)


async def _pipeline(case: Case) -> Run:
    graph = (
        Pipeline("speech", extra_paths=[Path(__file__).parent])
        .add_node("timed_whisper", "asr", {"model": MODEL})
        .add_node("timed_reply", "reply")
        .add_node("timed_piper", "tts")
        .connect("asr", "text", "reply", "text")
        .connect("reply", "text", "tts", "text")
    )
    clock = _Clock(case)
    async with Session("speech", graph) as session:

        async def send() -> None:
            for number in range(len(clock.chunks)):
                await anyio.sleep(clock.until_spoken(number))
                if number == len(clock.chunks) - 1:
                    clock.end()
                await session.send("asr.audio", clock.message(number))
            await session.close_input()

        clock.begin()
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            async for audio in session.stream("tts.audio"):
                clock.take(audio)
        return clock.result()


SIDES: dict[str, Callable[[Case], Run]] = {"script": script, "pipeline": pipeline}
