"""Reading and checking a pipeline file: all mistakes at once, those of its form and the others."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING

from remotemedia.core.errors import PipelineError
from remotemedia.runtime.cli.arguments import apply_setting
from remotemedia.runtime.pipeline_file import read_draft
from remotemedia.runtime.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.pipeline import Pipeline

__all__ = ["load_checked", "place_of"]


def load_checked(
    file: Path, settings: Sequence[str] = (), *, inline: bool = False
) -> tuple[Runtime, Pipeline, Graph]:
    """Read a pipeline file and check it, without starting anything.

    Args:
        file: The pipeline file.
        settings: `NODE.KEY=VALUE` each.
        inline: Run all nodes in this process, whatever the file says.

    Raises:
        ConfigError: The file can't be read, or is not TOML.
        UsageMistake: A setting makes no sense.
        PipelineError: With every mistake, in the order of the file.
    """
    pipeline, problems = read_draft(file)
    for setting in settings:
        apply_setting(pipeline, setting)
    if inline:
        for entry in pipeline.nodes.values():
            entry.executor = "inline"
    runtime = Runtime()
    try:
        # Plugins that print must not get between what programs read.
        with contextlib.redirect_stdout(sys.stderr):
            graph = runtime.check(pipeline)
    except PipelineError as error:
        problems += error.problems
    if problems:
        unique = dict.fromkeys(problems)
        raise PipelineError(sorted(unique, key=lambda problem: place_of(problem)[1] or 0))
    return runtime, pipeline, graph


def place_of(problem: str) -> tuple[str | None, int | None, str]:
    """Split a mistake into file, line and message; file and line are None if it has none."""
    found = re.fullmatch(r"(.+?):(\d+): (.*)", problem, re.DOTALL)
    return (found[1], int(found[2]), found[3]) if found else (None, None, problem)
