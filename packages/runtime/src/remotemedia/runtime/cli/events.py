"""What `--json` prints: one event per line, and the fields of each.

All times are in seconds. `at` counts from the moment when the first input was sent; before that,
from the start of the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.data import DataType

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData
    from remotemedia.runtime.graph import PortRef
    from remotemedia.runtime.node_status import Progress

__all__ = [
    "AudioOutput",
    "CheckSummary",
    "EnvironmentEvent",
    "ErrorEvent",
    "Event",
    "FileIn",
    "FileOut",
    "JsonOutput",
    "Mistake",
    "OtherOutput",
    "OutputEvent",
    "ProgressEvent",
    "ReloadEvent",
    "RunSummary",
    "SettingEvent",
    "TensorOutput",
    "TextOutput",
    "output_event",
]


class Event(msgspec.Struct, frozen=True, tag_field="event", tag="event"):
    """The base of all."""


class ProgressEvent(Event, frozen=True, tag="progress"):
    """A step of a node on its way to ready.

    Attributes:
        node: Its id.
        status: `preparing`, `starting`, `loading`, `connecting`, `ready` or `failed`.
        progress: From 0 to 1.
        message: What it is doing, in a few words.
        at: When, since the command began.
        elapsed: Seconds since the node was started.
        cpu_seconds: CPU time that its process has used; null where it has none of its own.
    """

    node: str
    status: str
    progress: float
    message: str
    at: float
    elapsed: float
    cpu_seconds: float | None

    @classmethod
    def of(cls, step: Progress, at: float) -> ProgressEvent:
        """Make one of what a session or a check tells."""
        return cls(
            step.node_id,
            step.status,
            step.progress,
            step.message,
            round(at, 6),
            round(step.elapsed, 3),
            step.cpu_seconds,
        )

    @property
    def life(self) -> str:
        """What shows that a node which says nothing lives: how long, and what it has computed."""
        used = "" if self.cpu_seconds is None else f", {self.cpu_seconds:.1f} s CPU"
        return f"{self.elapsed:.0f} s{used}"


class ReloadEvent(Event, frozen=True, tag="reload"):
    """Sources have changed: the session starts again, and its state is lost.

    Attributes:
        files: Those that have changed.
    """

    files: list[str]


class OutputEvent(Event, frozen=True, tag="output"):
    """An item that an output of the pipeline gave.

    Attributes:
        node: The node that gave it.
        port: By which port.
        type: `text`, `audio`, `json`, `video`, `tensor` or `bytes`.
        at: When it came, since the first input was sent.
    """

    node: str
    port: str
    type: str
    at: float


class TextOutput(OutputEvent, frozen=True, tag="output"):
    """Text.

    Attributes:
        text: The text.
        start: Where its words begin in the input; null where that is not known.
        end: Where they end.
        language: Language code, or null.
        extra: What else its node said of it.
    """

    text: str
    start: float | None
    end: float | None
    language: str | None
    extra: dict[str, Any]


class AudioOutput(OutputEvent, frozen=True, tag="output"):
    """Audio; its samples go to the file that `--output` names.

    Attributes:
        sample_rate: In Hz.
        channels: Number of channels.
        frames: Samples of each channel.
        duration: Its length.
        start: Its position in its stream, or null.
        transcript: The words spoken in it, or null.
        extra: What else its node said of it.
    """

    sample_rate: int
    channels: int
    frames: int
    duration: float
    start: float | None
    transcript: str | None
    extra: dict[str, Any]


class JsonOutput(OutputEvent, frozen=True, tag="output"):
    """A JSON-like value.

    Attributes:
        value: The value.
    """

    value: Any


class TensorOutput(OutputEvent, frozen=True, tag="output"):
    """A tensor; of its numbers, only the kind is told.

    Attributes:
        arrays: The shape and dtype of each array, by name; the name of a single one is empty.
        size: Of all together, in bytes.
        extra: What else its node said of it.
    """

    arrays: dict[str, ArrayKind]
    size: int
    extra: dict[str, Any]


class ArrayKind(msgspec.Struct, frozen=True):
    """What an array is.

    Attributes:
        shape: Its shape.
        dtype: Its dtype, as `float32`.
    """

    shape: tuple[int, ...]
    dtype: str


class OtherOutput(OutputEvent, frozen=True, tag="output"):
    """Data that is only counted: video, bytes.

    Attributes:
        size: In bytes.
    """

    size: int


class ErrorEvent(Event, frozen=True, tag="error"):
    """Something failed.

    Attributes:
        type: Name of the error, as `NodeError`; `Interrupted` when a signal stopped the run.
        message: What failed, why, and what to do; several lines where there are several mistakes.
        node: The node that is meant, or null.
        fatal: It ended the run.
        item: What a node was at, as `port#sequence`; it has skipped that and goes on, where the
            error is not fatal. Null where it was at none, as in `cleanup`.
        exit_code: That of the command, if it is fatal.
        traceback: Of the node, with --debug.
    """

    type: str
    message: str
    node: str | None = None
    item: str | None = None
    fatal: bool = True
    exit_code: int | None = None
    traceback: str | None = None


class FileIn(msgspec.Struct, frozen=True):
    """An input that was sent.

    Attributes:
        node: Where to.
        port: By which port.
        file: Where from.
        items: How many messages were sent.
        duration: Length of the audio; null for text.
        ended: When the last one was sent, since the first was.
    """

    node: str
    port: str
    file: str
    items: int
    duration: float | None
    ended: float


class FileOut(msgspec.Struct, frozen=True):
    """What an output gave, and where it was written.

    Attributes:
        node: Where it came from.
        port: By which port.
        items: How many items came.
        duration: Length of the audio; null for other data.
        first: When the first item came, since the first input was sent; null without any.
        last: When the last one came.
        file: Where it was written; null where no `--output` names it.
        sample_rate: Of an audio file.
        channels: Of an audio file.
    """

    node: str
    port: str
    items: int
    duration: float | None
    first: float | None
    last: float | None
    file: str | None
    sample_rate: int | None
    channels: int | None


class RunSummary(Event, frozen=True, tag="summary"):
    """The end of a run that succeeded.

    Attributes:
        pipeline: Its name.
        ready: From the command's begin until all nodes were ready.
        first_output: From the first input to the first output of any port; null without any.
        processing: From the first input until everything was received.
        total: The whole command.
        audio: Length of the input's audio; of the output's, where the input is none; or null.
        real_time_factor: `processing` / `audio`, or null.
        skipped: Items that nodes failed on and went on (`on_error = "continue"`).
        inputs: What was sent.
        outputs: What was received.
    """

    pipeline: str
    ready: float
    first_output: float | None
    processing: float
    total: float
    audio: float | None
    real_time_factor: float | None
    skipped: int
    inputs: list[FileIn]
    outputs: list[FileOut]


class SettingEvent(Event, frozen=True, tag="setting"):
    """A value of the configuration, and where it comes from."""

    key: str
    value: Any
    source: str
    place: str | None


class Mistake(Event, frozen=True, tag="mistake"):
    """A mistake of a pipeline or the configuration; `file` and `line` are null where not known."""

    file: str | None
    line: int | None
    message: str


class CheckSummary(Event, frozen=True, kw_only=True, tag="summary"):
    """What `check` found; the pipeline is described where it has no mistake."""

    ok: bool
    file: str
    mistakes: int
    nodes: int | None = None
    edges: int | None = None
    inputs: list[str] | None = None
    outputs: list[str] | None = None


class EnvironmentEvent(Event, frozen=True, kw_only=True, tag="environment", omit_defaults=True):
    """An environment that was made for nodes.

    Attributes:
        name: Its name.
        path: Its directory.
        python: The Python that was asked for; null where it was not completed.
        requirements: What it was made of, besides the SDK and the runtime.
        nodes: The node types in it.
        size: Bytes of its files.
        used: When it was last used, in seconds since 1970.
        in_use: Whether a living process uses or makes it.
        complete: Whether it can be used.
        removed: Whether `prune` removed it; missing in a listing.
    """

    name: str
    path: str
    python: str | None
    requirements: list[str]
    nodes: list[str]
    size: int
    used: float
    in_use: bool
    complete: bool
    removed: bool | None = None


def output_event(ref: PortRef, data: RuntimeData, at: float) -> OutputEvent:
    """Describe an item that came from an output."""
    node, port, meta = ref.node, ref.port.name, data.metadata
    kind = data.type.value
    if data.type is DataType.TEXT:
        return TextOutput(
            node, port, kind, at, data.payload, meta.start, meta.end, meta.language, meta.extra
        )
    if data.type is DataType.AUDIO:
        frames = len(data.payload)
        return AudioOutput(
            node,
            port,
            kind,
            at,
            meta.sample_rate,
            meta.channels,
            frames,
            frames / meta.sample_rate,
            meta.start,
            meta.transcript,
            meta.extra,
        )
    if data.type is DataType.JSON:
        return JsonOutput(node, port, kind, at, data.payload)
    if data.type is DataType.TENSOR:
        named = data.payload if isinstance(data.payload, dict) else {"": data.payload}
        arrays = {name: ArrayKind(a.shape, str(a.dtype)) for name, a in named.items()}
        return TensorOutput(node, port, kind, at, arrays, data.size, meta.extra)
    return OtherOutput(node, port, kind, at, data.size)
