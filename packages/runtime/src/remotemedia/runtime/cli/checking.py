"""Reading and checking a pipeline file: all mistakes at once, those of its form and the others."""

from __future__ import annotations

import contextlib
import re
import signal
from typing import TYPE_CHECKING, NoReturn

from remotemedia.core.errors import ConfigError, PipelineError
from remotemedia.runtime.cli.arguments import apply_settings
from remotemedia.runtime.cli.usage import Interrupted, UsageMistake
from remotemedia.runtime.environments.placement import EnvironmentsNeeded
from remotemedia.runtime.pipeline_file import read_draft
from remotemedia.runtime.plugins.streams import streams_of_their_own
from remotemedia.runtime.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.node_status import Progress
    from remotemedia.runtime.pipeline import Pipeline

__all__ = ["load_checked", "place_of", "place_of_node"]


def load_checked(
    file: Path,
    settings: Sequence[str] = (),
    *,
    inline: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
) -> tuple[Runtime, Pipeline, Graph]:
    """Read a pipeline file and check it, without starting anything.

    Args:
        file: The pipeline file.
        settings: `NODE.KEY=VALUE` each.
        inline: Run all nodes in this process, whatever the file says.
        on_progress: Called, in another thread, while an environment is made for a node.

    Raises:
        ConfigError: The file can't be read, or is not TOML; or the runtime's configuration has
            mistakes.
        UsageMistake: Only settings make no sense.
        PipelineError: With every mistake, in the order of the file; those of settings and of the
            runtime's configuration first.
        NodeEnvironmentError: There is no mistake, but an environment can't be made.
        Interrupted: By SIGTERM.
    """
    pipeline, problems = read_draft(file)
    mistakes = apply_settings(pipeline, settings)
    if inline:
        for entry in pipeline.nodes.values():
            entry.executor = "inline"
    try:
        runtime = Runtime()
    except ConfigError as error:
        if not (mistakes or problems):
            raise
        raise PipelineError([*error.problems, *mistakes, *problems]) from error
    try:
        with streams_of_their_own(), _terminable():
            if problems or mistakes:  # nothing is made for a pipeline that can't run
                runtime.resolve(pipeline)
            else:
                graph = runtime.check(pipeline, on_progress)
    except EnvironmentsNeeded:
        pass
    except PipelineError as error:
        problems += error.problems
    if problems:
        unique = dict.fromkeys(problems)
        problems = sorted(unique, key=lambda problem: place_of(problem)[1] or 0)
        raise PipelineError([*mistakes, *problems])
    if mistakes:
        raise UsageMistake("\n".join(mistakes))
    return runtime, pipeline, graph


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM end what is being made, as Ctrl-C does."""

    def end(number: int, _frame: object) -> NoReturn:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def place_of_node(file: Path, node: str) -> str:
    """Return where a pipeline file says what environment a node has."""
    places = read_draft(file)[0].places
    keys = [(key,) for key in ("requirements", "python", "venv_path")]
    return next(
        (places[at] for key in (*keys, ()) if (at := ("nodes", node, *key)) in places), str(file)
    )


def place_of(problem: str) -> tuple[str | None, int | None, str]:
    """Split a mistake into file, line and message; file and line are None if it has none."""
    found = re.fullmatch(r"(.+?):(\d+): (.*)", problem, re.DOTALL)
    return (found[1], int(found[2]), found[3]) if found else (None, None, problem)
