"""`remotemedia run`: files in, files out."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotemedia.runtime.cli.usage import Interrupted, UsageMistake, error_event, exit_code

if TYPE_CHECKING:
    from remotemedia.runtime.cli.plan import Plan
    from remotemedia.runtime.cli.report import Reporter
    from remotemedia.runtime.node_status import Progress
    from remotemedia.runtime.pipeline import Pipeline
    from remotemedia.runtime.source_files import SourceFiles

__all__ = ["run"]

_FILE = "[NODE=]FILE"


@click.command(short_help="Run a pipeline on files.")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar=_FILE,
    help="WAV, FLAC, OGG or MP3 of any rate and channel count; for a text input a text file, or - "
    "for standard input, a line at a time. NODE may be left out where there is one input. "
    "Repeat it for several.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar=_FILE,
    help="Where to write an output: .wav, .flac, .ogg, .mp3; for text .txt, .jsonl, or - for "
    "standard output. NODE may be left out where only one output fits. Repeat it for several.",
)
@click.option("--realtime", is_flag=True, help="Send audio at the speed of a microphone.")
@click.option("--json", "as_json", is_flag=True, help="Print events, one JSON object per line.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NODE.KEY=VALUE",
    help="Override configuration; VALUE is as in TOML, else a string. Repeat it for several.",
)
@click.option("--inline", is_flag=True, help="Run the nodes in this process, for a debugger.")
@click.option(
    "--reload", is_flag=True, help="Start again when the pipeline or a node's source changes."
)
@click.option("--debug", is_flag=True, help="Show the whole traceback of an error.")
@click.option("-v", "--verbose", count=True, help="Show what nodes print; -vv: also the runtime.")
@click.option("-q", "--quiet", is_flag=True, help="Show only texts and errors.")
@click.pass_context
def run(
    context: click.Context,
    /,
    *,
    pipeline: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    settings: tuple[str, ...],
    **flags: bool | int,
) -> None:
    """Run PIPELINE on files, as fast as it goes.

    Output files appear when the run has succeeded; until then, and when it fails, what was there
    before stays as it is.
    """
    command = _Run(pipeline, flags)
    try:
        code = command.run(inputs, outputs, settings)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - told to the user, whatever it is
        code = command.fail(error)
    finally:
        command.close()
    context.exit(code)


class _Run:
    """One call of the command.

    Args:
        file: The pipeline file.
        flags: The options that are given or not.
    """

    def __init__(self, file: Path, flags: dict[str, bool | int]) -> None:
        self._began = time.monotonic()
        self._file, self._flags = file, flags
        self._out = sys.stdout
        self._running = False
        self._plan: Plan | None = None
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        self._reporter = self._first_reporter()

    def run(
        self, inputs: tuple[str, ...], outputs: tuple[str, ...], settings: tuple[str, ...]
    ) -> int:
        """Do it; returns the exit code."""
        import anyio

        if self._flags["reload"]:
            from remotemedia.runtime.cli import reload

            unreadable = reload.refuse(inputs)
            if unreadable:
                raise UsageMistake(unreadable)
            if not reload.is_reloaded():
                return anyio.run(reload.Reloader(self._file, self._reporter).run)
            reload.tell_sources(self._sources())
        from remotemedia.runtime.cli.checking import load_checked
        from remotemedia.runtime.cli.plan import make_plan

        logging.getLogger("remotemedia").setLevel(self._level())  # of broken plugins, already
        inline = bool(self._flags["inline"])
        runtime, pipeline, graph = load_checked(
            self._file, settings, inline=inline, on_progress=self._on_progress
        )
        plan = self._plan = make_plan(pipeline, graph, inputs, outputs)
        if self._flags["as_json"] and plan.uses_standard_output:
            raise UsageMistake("--json and --output - both print to standard output; choose one")
        self._reporter = self._make_reporter(pipeline, plan)
        self._listen_to_nodes()
        from remotemedia.runtime.cli.transfer import Transfer

        transfer = Transfer(
            runtime,
            pipeline,
            plan,
            self._reporter,
            realtime=bool(self._flags["realtime"]),
            began=self._began,
        )
        # Inline nodes print to it too, and must not get between what programs read. A debugger
        # on a terminal needs the real one.
        redirect = self._flags["as_json"] or not self._out.isatty()
        with contextlib.redirect_stdout(sys.stderr if redirect else sys.stdout):
            try:
                summary = anyio.run(transfer.run)
            finally:
                self._running = transfer.started
        self._reporter.summary(summary)
        return 0

    def _sources(self) -> SourceFiles:
        """Find what a reload depends on, whatever mistakes there are."""
        from remotemedia.core.errors import RemoteMediaError
        from remotemedia.runtime.pipeline import Pipeline
        from remotemedia.runtime.pipeline_file import read_draft
        from remotemedia.runtime.reference.inventory import take_inventory
        from remotemedia.runtime.source_files import source_files

        inventory = take_inventory(elsewhere=False)
        try:
            pipeline, _ = read_draft(self._file)
        except RemoteMediaError:  # told by the run itself
            pipeline = Pipeline()
        return source_files(self._file, pipeline, inventory.catalog, inventory.extra_paths)

    def fail(self, error: Exception) -> int:
        """Tell of an error; returns the exit code."""
        code = exit_code(error, running=self._running)
        if self._flags["reload"] and isinstance(error, Interrupted):
            return code  # whoever started this run says why
        self._reporter.error(error_event(error, code, debug=bool(self._flags["debug"])))
        if self._running and self._plan is not None and not self._flags["as_json"]:
            unwritten = [str(tap.path) for tap in self._plan.taps if tap.sink and tap.path]
            files = ", ".join(name for name in unwritten if name != "-")
            if files:
                self._reporter.log(f"not written: {files} (what was there before is unchanged)")
        return code

    def close(self) -> None:
        """Close everything."""
        if self._plan is not None:
            self._plan.close()
        self._reporter.close()

    def _on_progress(self, step: Progress) -> None:
        from remotemedia.runtime.cli.events import ProgressEvent

        self._reporter.progress(ProgressEvent.of(step, time.monotonic() - self._began))

    def _first_reporter(self) -> Reporter:
        from remotemedia.runtime.cli.report import JsonReporter, PlainReporter

        if self._flags["as_json"]:
            return JsonReporter(self._out)
        return PlainReporter(self._out, quiet=bool(self._flags["quiet"]))

    def _make_reporter(self, pipeline: Pipeline, plan: Plan) -> Reporter:
        from remotemedia.runtime.cli.report import PlainReporter

        if self._flags["as_json"]:
            return self._reporter
        texts = [tap for tap in plan.taps if tap.ref.port.type in ("text", "json", "any")]
        named = len(texts) > 1
        silent = tuple(str(tap.ref) for tap in plan.taps if str(tap.path) == "-")
        quiet = bool(self._flags["quiet"])
        if quiet or self._flags["inline"] or not sys.stderr.isatty():
            return PlainReporter(self._out, named=named, silent=silent, quiet=quiet)
        from remotemedia.runtime.cli.terminal import TerminalReporter

        return TerminalReporter(self._out, list(pipeline.nodes), named=named, silent=silent)

    def _level(self) -> int:
        """Return what is shown of the log."""
        levels = (logging.WARNING, logging.INFO, logging.DEBUG)
        verbose = min(int(self._flags["verbose"]), 2)
        return logging.ERROR if self._flags["quiet"] else levels[verbose]

    def _listen_to_nodes(self) -> None:
        from remotemedia.runtime.cli.report import LogHandler

        logger = logging.getLogger("remotemedia")
        logger.addHandler(LogHandler(self._reporter))
        logger.setLevel(self._level())
        logger.propagate = False
