"""Nodes that the command's tests run: quick ones, without models."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port


class GainConfig(msgspec.Struct):
    factor: float = 1.0
    name: str = ""


@register_node(
    "gain",
    inputs=[Port("audio", "audio")],
    outputs=[Port("audio", "audio")],
    config=GainConfig,
)
class Gain(MultiprocessNode):
    config: GainConfig

    def initialize(self) -> None:
        self.report_progress(0.5, "half way")
        sys.stdout.write("said on stdout\n")
        sys.stderr.write("said on stderr\n")

    def process(self, data: RuntimeData) -> RuntimeData:
        samples = data.as_numpy() * np.float32(self.config.factor)
        meta = data.metadata
        return RuntimeData.audio(samples, meta.sample_rate, meta.channels, start=meta.start)


@register_node("count", inputs=[Port("audio", "audio")], outputs=[Port("text", "text")])
class Count(MultiprocessNode):
    def initialize(self) -> None:
        self.kinds: set[tuple[int, int, str]] = set()
        self.seconds = 0.0
        self.chunks = 0

    def process(self, data: RuntimeData) -> RuntimeData | None:
        meta = data.metadata
        self.kinds.add((meta.sample_rate, meta.channels, str(data.as_numpy().dtype)))
        self.chunks += 1
        self.seconds += len(data.as_numpy()) / meta.sample_rate
        if self.chunks == 1:
            return RuntimeData.text("begin", start=meta.start, end=self.seconds, language="en")
        return None

    def finish(self) -> RuntimeData:
        ((rate, channels, dtype),) = self.kinds
        text = f"{rate} {channels} {dtype} {self.chunks} {self.seconds:.3f}"
        return RuntimeData.text(text)


@register_node("upper", inputs=[Port("text", "text")], outputs=[Port("text", "text")])
class Upper(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData | None:
        if data.payload == self.config.get("fail_on"):
            raise ValueError(f"can't take {data.payload!r}")
        if data.payload == self.config.get("die_on"):
            sys.stdout.write("last words\n")
            sys.stdout.flush()
            os.kill(os.getpid(), 9)
        return RuntimeData.text(data.payload.upper() + str(self.config.get("end", "")))


@register_node("voice", inputs=[Port("text", "text")], outputs=[Port("audio", "audio")])
class Voice(MultiprocessNode):
    """One second of a constant for each line, which is `sample_rate channels value`."""

    def process(self, data: RuntimeData) -> RuntimeData:
        rate, channels, value = data.payload.split()
        shape = (int(rate),) if channels == "1" else (int(rate), int(channels))
        return RuntimeData.audio(np.full(shape, float(value), np.float32), int(rate))


@register_node("stuck", inputs=[Port("text", "text")], outputs=[Port("text", "text")])
class Stuck(MultiprocessNode):
    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        yield RuntimeData.text("stuck")
        time.sleep(600)


@register_node("diary", inputs=[Port("text", "text")], outputs=[])
class Diary(MultiprocessNode):
    """Writes down what it hears, slowly, and has no output."""

    def process(self, data: RuntimeData) -> None:
        time.sleep(0.02)
        with Path(self.config["path"]).open("a", encoding="utf-8") as file:
            file.write(data.payload + "\n")
