"""Where an output's items are written."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.data import DataType
from remotemedia.core.errors import DataError
from remotemedia.runtime.media.files import STANDARD_STREAM, kind_of
from remotemedia.runtime.media.text_writer import TextWriter

if TYPE_CHECKING:
    from pathlib import Path

    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.cli.events import OutputEvent
    from remotemedia.runtime.graph import PortRef

__all__ = ["AudioSink", "Sink", "open_sink"]


class Sink(ABC):
    """Takes the items of one output."""

    #: Data that it can hold.
    types: tuple[DataType, ...] = (DataType.TEXT, DataType.JSON)

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, ref: PortRef, data: RuntimeData, event: OutputEvent) -> None:
        """Add an item.

        Raises:
            DataError: It can't be written to a file of this kind.
            MediaError: Writing failed.
        """
        if data.type not in self.types:
            raise DataError(f"{self.path} can't hold the {data.type.value} data that {ref} gives")
        self.put(data, event)

    @abstractmethod
    def put(self, data: RuntimeData, event: OutputEvent) -> None:
        """Add an item of the right type."""

    @abstractmethod
    def publish(self) -> None:
        """Complete what was written."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what is not complete."""


class AudioSink(Sink):
    """An audio file."""

    types = (DataType.AUDIO,)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        from remotemedia.runtime.media.audio_writer import AudioWriter

        self.writer = AudioWriter(path)

    def put(self, data: RuntimeData, event: OutputEvent) -> None:
        """Add audio."""
        del event
        self.writer.write(data)

    def publish(self) -> None:
        """Complete the file."""
        self.writer.publish()

    def discard(self) -> None:
        """Remove it unless it is complete."""
        self.writer.discard()


class _TextFileSink(Sink):
    """A text file: an item a line, or the event as `--json` prints it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writer = TextWriter(path)
        self._events = path.suffix.lower() == ".jsonl"

    def put(self, data: RuntimeData, event: OutputEvent) -> None:
        self._writer.write(msgspec.json.encode(event) if self._events else _line(data))

    def publish(self) -> None:
        self._writer.publish()

    def discard(self) -> None:
        self._writer.discard()


class _StandardOutputSink(Sink):
    """Standard output: an item a line, as it comes."""

    def put(self, data: RuntimeData, event: OutputEvent) -> None:
        del event
        stream = sys.__stdout__
        if stream is not None:
            stream.buffer.write(_line(data) + b"\n")
            stream.flush()

    def publish(self) -> None:
        """There is nothing to complete."""

    def discard(self) -> None:
        """What was printed stays."""


def _line(data: RuntimeData) -> bytes:
    if data.type is DataType.JSON:
        return msgspec.json.encode(data.payload)
    text: str = data.payload
    return text.encode("utf-8", "replace")


def open_sink(path: Path) -> Sink:
    """Make what writes to a file of this name.

    Raises:
        MediaError: It can't be written.
    """
    if str(path) == STANDARD_STREAM:
        return _StandardOutputSink(path)
    return AudioSink(path) if kind_of(path) == "audio" else _TextFileSink(path)
