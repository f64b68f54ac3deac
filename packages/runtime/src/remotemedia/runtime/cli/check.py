"""`remotemedia check`: finds every mistake of a pipeline file, and starts none of its nodes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from remotemedia.core.errors import (
    BrokenPluginsError,
    ConfigError,
    NodeEnvironmentError,
    PipelineError,
)

if TYPE_CHECKING:
    from remotemedia.runtime.cli.events import Event
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.node_status import Progress

__all__ = ["check"]


@click.command(short_help="Find every mistake of a pipeline file, without starting its nodes.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def check(context: click.Context, file: Path, *, as_json: bool) -> None:
    """Find every mistake of the pipeline FILE, each with its place, without starting its nodes.

    Nodes with requirements of their own are looked for in their environments, which are made if
    they are not there.

    Exit codes: 0 there is none, 2 there are some, or FILE can't be read.

    With --json, {"event": "progress", "node": …, "message": …, …} while an environment is made, one
    {"event": "mistake", "file": …, "line": …, "message": …} for each mistake (file and line are
    null where the place is not known), then {"event": "summary", "ok": …, "file": …, "nodes": …,
    "edges": …, "inputs": […], "outputs": […], "mistakes": …}.
    """
    from remotemedia.runtime.cli.checking import load_checked, place_of_node

    began, out = time.monotonic(), sys.stdout

    def progress(step: Progress) -> None:
        from remotemedia.runtime.cli.events import ProgressEvent

        event = ProgressEvent.of(step, time.monotonic() - began)
        if as_json:
            _print(event, out)
        else:
            click.echo(f"{event.node}: {event.message}", err=True)

    try:
        _, _, graph = load_checked(file, on_progress=progress)
    except PipelineError as error:
        _fail(context, file, error.problems, as_json=as_json)
    except ConfigError as error:
        _fail(context, file, error.problems, as_json=as_json)
    except NodeEnvironmentError as error:
        problem = f"{place_of_node(file, error.node_id)}: {error}"
        _fail(context, file, (problem,), as_json=as_json)
    except BrokenPluginsError as error:
        _fail(context, file, (str(error),), as_json=as_json)
    if as_json:
        from remotemedia.runtime.cli.events import CheckSummary

        _print(
            CheckSummary(
                ok=True,
                file=str(file),
                nodes=len(graph.nodes),
                edges=len(graph.edges),
                inputs=[str(ref) for ref in graph.inputs],
                outputs=[str(ref) for ref in graph.outputs],
                mistakes=0,
            )
        )
    else:
        click.echo(f"ok: {file}: {_describe(graph)}")


def _fail(
    context: click.Context, file: Path, problems: tuple[str, ...], *, as_json: bool
) -> NoReturn:
    if as_json:
        from remotemedia.runtime.cli.checking import place_of
        from remotemedia.runtime.cli.events import CheckSummary, Mistake

        for problem in problems:
            _print(Mistake(*place_of(problem)))
        _print(CheckSummary(ok=False, file=str(file), mistakes=len(problems)))
    else:
        for problem in problems:
            click.echo(problem)
        count = len(problems)
        click.echo(f"{file}: {count} mistake{'s' * (count > 1)}", err=True)
    context.exit(2)


def _print(event: Event, out: TextIO | None = None) -> None:
    import msgspec

    click.echo(msgspec.json.encode(event), file=out)


def _describe(graph: Graph) -> str:
    def number(count: int, what: str) -> str:
        return f"{count} {what}{'' if count == 1 else 's'}"

    def ports(refs: tuple[object, ...]) -> str:
        return ", ".join(map(str, refs)) or "nothing"

    return (
        f"{number(len(graph.nodes), 'node')}, {number(len(graph.edges), 'edge')}; "
        f"takes {ports(graph.inputs)}; gives {ports(graph.outputs)}"
    )
