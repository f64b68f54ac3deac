"""What people and programs see of a run."""

from __future__ import annotations

import logging
import re
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TextIO

import msgspec

from remotemedia.core.errors import NodeError
from remotemedia.runtime.cli.events import JsonOutput, TextOutput

if TYPE_CHECKING:
    from remotemedia.runtime.cli.events import (
        ErrorEvent,
        FileOut,
        OutputEvent,
        ProgressEvent,
        ReloadEvent,
        RunSummary,
    )

__all__ = ["JsonReporter", "LogHandler", "PlainReporter", "Reporter", "printable"]

# A node that says nothing is mentioned again after so long.
_AGAIN_SECS = 10.0
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return text that can't steer a terminal: control characters escaped."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


class Reporter(ABC):
    """Is told of everything that happens in a run; calls may come from other threads."""

    @abstractmethod
    def progress(self, event: ProgressEvent) -> None:
        """A node is on its way to ready."""

    def ready(self, seconds: float) -> None:  # noqa: B027 - not all have to show it
        """All nodes are ready."""

    @abstractmethod
    def output(self, event: OutputEvent) -> None:
        """An output gave something."""

    @abstractmethod
    def error(self, event: ErrorEvent) -> None:
        """Something failed."""

    @abstractmethod
    def summary(self, event: RunSummary) -> None:
        """All went well."""

    def reload(self, event: ReloadEvent) -> None:
        """Sources have changed, and all begins anew."""
        names = ", ".join(map(printable, event.files))
        self.log(f"reload: {names} changed; the session starts again, its state is lost")

    def log(self, line: str) -> None:
        """A node, or the runtime, has written something."""
        sys.stderr.write(line + "\n")

    def close(self) -> None:  # noqa: B027 - not all have something to close
        """Nothing more comes."""


class JsonReporter(Reporter):
    """Prints each event as one line of JSON on standard output."""

    def __init__(self, out: TextIO) -> None:
        self._out = out.buffer

    def _print(self, event: msgspec.Struct) -> None:
        self._out.write(msgspec.json.encode(event) + b"\n")
        self._out.flush()

    def progress(self, event: ProgressEvent) -> None:
        """Print it."""
        self._print(event)

    def reload(self, event: ReloadEvent) -> None:
        """Print it."""
        self._print(event)

    def output(self, event: OutputEvent) -> None:
        """Print it."""
        self._print(event)

    def error(self, event: ErrorEvent) -> None:
        """Print it; a traceback also for people."""
        self._print(event)
        if event.traceback:
            self.log(event.traceback.rstrip())

    def summary(self, event: RunSummary) -> None:
        """Print it."""
        self._print(event)


class PlainReporter(Reporter):
    """Prints lines: texts on standard output, everything else on standard error.

    Args:
        out: Where texts go.
        named: Texts say which node they come from.
        silent: Outputs whose texts are not printed, as `node.port`.
        quiet: Only texts and errors.
    """

    def __init__(
        self, out: TextIO, *, named: bool = False, silent: tuple[str, ...] = (), quiet: bool = False
    ) -> None:
        self._out, self._named, self._silent, self._quiet = out, named, silent, quiet
        self._shown: dict[str, tuple[tuple[str, str], float]] = {}

    def progress(self, event: ProgressEvent) -> None:
        """Print a step that says something new, and now and then that a silent node lives."""
        said, at = self._shown.get(event.node, (("", ""), 0.0))
        is_news = said != (event.status, event.message)
        if self._quiet or not (is_news or event.at - at >= _AGAIN_SECS):
            return
        self._shown[event.node] = (event.status, event.message), event.at
        if event.status != "failed":  # the error says it better
            tail = f" {event.progress:.0%}" if event.status == "loading" else ""
            message = f" {event.message}" if event.message else ""
            life = "" if is_news else f" ({event.life})"
            self.log(printable(f"{event.node}: {event.status}{tail}{message}{life}"))

    def output(self, event: OutputEvent) -> None:
        """Print a text, with the time that it was spoken."""
        if f"{event.node}.{event.port}" in self._silent:
            return
        if isinstance(event, TextOutput):
            text, span = event.text, _span(event.start, event.end)
        elif isinstance(event, JsonOutput):
            text, span = msgspec.json.encode(event.value).decode(), ""
        else:
            return
        name = f"{event.node}: " if self._named else ""
        self._out.write(printable(f"{span}{name}{text}") + "\n")
        self._out.flush()

    def error(self, event: ErrorEvent) -> None:
        """Print its message."""
        if event.traceback:
            self.log(event.traceback.rstrip())
        what = "error" if event.fatal else "warning" if event.item is None else "skipped"
        self.log(printable(f"{what}: {event.message}"))

    def summary(self, event: RunSummary) -> None:
        """Print how long things took and what was written."""
        if not self._quiet:
            for line in _summary_lines(event):
                self.log(line)


class LogHandler(logging.Handler):
    """Passes what nodes and the runtime log to a reporter."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, unless the reporter hears of it in another way."""
        if isinstance(record.args, tuple) and any(isinstance(a, NodeError) for a in record.args):
            return
        try:
            source = getattr(record, "node", "remotemedia")
            self._reporter.log(printable(f"[{source}] {self.format(record)}"))
        except OSError:  # standard error is gone; nothing can be said any more
            return


def _span(start: float | None, end: float | None) -> str:
    if start is None:
        return ""
    return f"[{start:6.1f} – {end:6.1f}] " if end is not None else f"[{start:6.1f} –       ] "  # noqa: RUF001 - a range


def _summary_lines(event: RunSummary) -> list[str]:
    times = [f"ready after {event.ready:.2f} s"]
    times.append(
        "no output" if event.first_output is None else f"first output {event.first_output:.2f} s"
    )
    times.append(f"total {event.total:.2f} s")
    lines = [", ".join(times)]
    if event.audio and event.real_time_factor is not None:
        lines.append(
            f"{event.audio:.2f} s of audio in {event.processing:.2f} s, "
            f"real-time factor {event.real_time_factor:.3f}"
        )
    if event.skipped:
        lines.append(f"{event.skipped} item{'s' * (event.skipped > 1)} skipped after an error")
    lines += [_written(out) for out in event.outputs if out.file not in (None, "-")]
    unwritten = [f"{o.node}.{o.port}" for o in event.outputs if o.file is None and o.duration]
    if unwritten:
        lines.append(f"audio of {', '.join(unwritten)} was not written: no --output names it")
    return lines


def _written(out: FileOut) -> str:
    if out.sample_rate is None:
        count = f"{out.items} line{'' if out.items == 1 else 's'}"
        return f"wrote {out.file}: {count}"
    channels = {1: "mono", 2: "stereo"}.get(out.channels or 1, f"{out.channels} channels")
    empty = "" if out.items else f" ({out.node}.{out.port} gave no audio)"
    return f"wrote {out.file}: {out.duration or 0:.2f} s, {out.sample_rate} Hz, {channels}{empty}"
