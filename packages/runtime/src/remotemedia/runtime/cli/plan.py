"""Which file goes to which input, and which output to which file: known before all starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from remotemedia.core.ports import match_port
from remotemedia.runtime.cli.arguments import split_file
from remotemedia.runtime.cli.usage import UsageMistake
from remotemedia.runtime.media.files import (
    AUDIO_FORMATS,
    STANDARD_STREAM,
    TEXT_SUFFIXES,
    MediaError,
    kind_of,
)
from remotemedia.runtime.media.text_reader import TextReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.cli.sinks import Sink
    from remotemedia.runtime.graph import Graph, PortRef
    from remotemedia.runtime.media.audio_reader import AudioReader
    from remotemedia.runtime.pipeline import Pipeline

__all__ = ["Feed", "Plan", "Tap", "make_plan"]

Side = Literal["input", "output"]

# What outputs a file of each kind can hold.
_WRITTEN = {"audio": ("audio", "any"), "text": ("text", "json", "any")}


@dataclass
class Feed:
    """An input, and the file that is sent to it."""

    ref: PortRef
    path: Path
    reader: AudioReader | TextReader


@dataclass
class Tap:
    """An output, and what has come from it.

    Attributes:
        ref: The output.
        path: The file that it is written to, if any.
        sink: What writes it; opened when the run begins.
        items: How many items have come.
        seconds: Length of the audio that has come; None before any.
        first: When the first item came, in seconds since the first input.
        last: When the last one came.
    """

    ref: PortRef
    path: Path | None = None
    sink: Sink | None = None
    items: int = 0
    seconds: float | None = None
    first: float | None = None
    last: float | None = None


@dataclass
class Plan:
    """What is sent and what is received."""

    feeds: list[Feed] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)

    @property
    def uses_standard_output(self) -> bool:
        """Whether an output is written to standard output."""
        return any(str(tap.path) == STANDARD_STREAM for tap in self.taps)

    def close(self) -> None:
        """Close all files, and remove outputs that are not complete."""
        for feed in self.feeds:
            feed.reader.close()
        for tap in self.taps:
            if tap.sink is not None:
                tap.sink.discard()


def make_plan(
    pipeline: Pipeline, graph: Graph, inputs: Sequence[str], outputs: Sequence[str]
) -> Plan:
    """Bind files to the ports of a pipeline, and open those that are read.

    Args:
        pipeline: For the names of its nodes.
        graph: Its ports.
        inputs: `[NODE=]FILE` each.
        outputs: `[NODE=]FILE` each.

    Raises:
        UsageMistake: A file fits no port, or a port gets none.
        MediaError: A file can't be read.
    """
    bound_outputs = _bind_outputs(pipeline, graph, outputs)
    plan = Plan(taps=[Tap(ref, bound_outputs.get(str(ref))) for ref in graph.outputs])
    bound_inputs = _bind_inputs(pipeline, graph, inputs)
    for path in bound_outputs.values():
        for ref, source in bound_inputs.values():
            if _same(path, source):
                raise UsageMistake(f"{path} is the file that is sent to {ref}; name another output")
    try:
        for ref, path in bound_inputs.values():
            plan.feeds.append(Feed(ref, path, _open(ref, path)))
    except BaseException:
        plan.close()
        raise
    return plan


def _bind_inputs(
    pipeline: Pipeline, graph: Graph, given: Sequence[str]
) -> dict[str, tuple[PortRef, Path]]:
    bound: dict[str, tuple[PortRef, Path]] = {}
    for spec in given:
        name, path = split_file(pipeline, spec)
        free = [ref for ref in graph.inputs if str(ref) not in bound] or list(graph.inputs)
        ref = _choose(name, path, free if name is None else graph.inputs, "input")
        if str(ref) in bound:
            raise UsageMistake(f"--input {spec}: {ref} gets {bound[str(ref)][1]} already")
        bound[str(ref)] = (ref, path)
    missing = [ref for ref in graph.inputs if ref.port.required and str(ref) not in bound]
    if missing:
        wanted = ", ".join(f"--input {ref}=FILE ({ref.port.type})" for ref in missing)
        raise UsageMistake(f"the pipeline needs input: {wanted}")
    return bound


def _bind_outputs(pipeline: Pipeline, graph: Graph, given: Sequence[str]) -> dict[str, Path]:
    bound: dict[str, Path] = {}
    for spec in given:
        name, path = split_file(pipeline, spec)
        kind = kind_of(path)
        if kind is None:
            known = ", ".join((*AUDIO_FORMATS, *TEXT_SUFFIXES))
            what = f"unknown extension {path.suffix!r}" if path.suffix else "has no extension"
            if path.is_dir():
                what = "is a directory"
            raise UsageMistake(f"--output {spec}: {what}; name a file with one of {known}")
        ref = _choose(name, path, graph.outputs, "output")
        if ref.port.type not in _WRITTEN[kind]:
            raise UsageMistake(f"--output {spec}: {ref} gives {ref.port.type}, not {kind}")
        if str(ref) in bound:
            raise UsageMistake(f"--output {spec}: {ref} is written to {bound[str(ref)]} already")
        for other in bound.values():
            if _same(path, other):
                raise UsageMistake(f"--output {spec}: {other} is written to already")
        bound[str(ref)] = path
    return bound


def _choose(name: str | None, path: Path, refs: Sequence[PortRef], side: Side) -> PortRef:
    """Return the port that a file is meant for."""
    option, names = f"--{side}", ", ".join(map(str, refs))
    given = path if name is None else f"{name}={path}"
    if not refs:
        raise UsageMistake(f"{option} {path}: the pipeline has no {side}")
    if name is not None:
        node, _, port = name.partition(".")
        refs = [ref for ref in refs if ref.node == node]
        if port:
            found = match_port(port, [ref.port for ref in refs], side)
            refs = [ref for ref in refs if ref.port is found]
        if not refs:
            raise UsageMistake(
                f"{option} {given}: {name} is no {side} of the pipeline; its {side}s are {names}"
            )
    kind = kind_of(path)
    fitting = [ref for ref in refs if kind is None or _fits(ref, kind, side)]
    exact = [ref for ref in fitting if ref.port.type == kind]
    for candidates in (refs, exact, fitting):
        if len(candidates) == 1:
            return candidates[0]
    left = fitting or refs
    names, hint = ", ".join(map(str, left)), f"{option} {left[0]}={path}"
    whose = "the pipeline" if name is None else f"node {name!r}"
    raise UsageMistake(
        f"{option} {given}: {whose} has the {side}s {names}; say which, as in {hint}"
    )


def _fits(ref: PortRef, kind: Literal["audio", "text"], side: Side) -> bool:
    return ref.port.accepts(kind) if side == "input" else ref.port.type in _WRITTEN[kind]


def _open(ref: PortRef, path: Path) -> AudioReader | TextReader:
    kind = kind_of(path) if ref.port.type == "any" else ref.port.type
    if kind == "audio":
        if str(path) == STANDARD_STREAM:
            raise UsageMistake(f"--input -: {ref} takes audio, and that comes from a file only")
        from remotemedia.runtime.media.audio_reader import AudioReader

        return AudioReader(path)
    if kind == "text":
        if kind_of(path) == "audio":
            raise UsageMistake(f"--input {path}: {ref} takes text, not audio")
        return TextReader(path)
    if kind is None:
        raise MediaError(path, "its extension doesn't say whether it is audio or text (.txt)")
    raise UsageMistake(f"--input {path}: {ref} takes {kind}; only audio and text can be sent")


def _same(one: Path, other: Path) -> bool:
    if STANDARD_STREAM in (str(one), str(other)):
        return False
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()
