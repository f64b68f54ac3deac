"""`remotemedia bench soak`: traffic that proves itself, for as long as wanted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remotemedia.runtime.cli.usage import FAILED, error_event, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.bench.soak import Sample

__all__ = ["soak"]


@click.command(short_help="Check every message for minutes or hours, and that memory stays flat.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=600.0, show_default=True, help="How long."
)
@click.option("--seed", type=click.IntRange(0), help="What everything random depends on.")
@click.option(
    "--nodes", type=click.IntRange(2), default=20, show_default=True, help="Of the large session."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per row.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw memory over time (PNG).")
@click.pass_context
def soak(
    context: click.Context,
    seconds: float,
    seed: int | None,
    nodes: int,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run traffic of all sizes (0 to 20 MB) and policies, and check every single message.

    Beside it small messages run as fast as they can, and sessions of which a node is killed.
    Exit code 1 if a message was lost, doubled, reordered, torn or mixed up, or if memory grew.
    """
    import logging
    import secrets

    import anyio

    from remotemedia.runtime.bench.plot import require
    from remotemedia.runtime.bench.soak import Soak
    from remotemedia.runtime.bench.soak_plot import draw_soak
    from remotemedia.runtime.bench.table import as_json as to_json
    from remotemedia.runtime.bench.table import as_table

    # Full channels and killed nodes are what this is about.
    logging.getLogger("remotemedia").setLevel(logging.CRITICAL + 1)
    running = Soak(
        seconds, secrets.randbelow(1_000_000) if seed is None else seed, nodes, _progress(seconds)
    )
    try:
        if plot is not None:
            require(plot)
        row, memory = anyio.run(running.run)
        if plot is not None:
            draw_soak(running.samples, plot)
    except Exception as error:  # noqa: BLE001 - told to the user, whatever it is
        code = exit_code(error, running=bool(running.samples))
        message = error_event(error, code, debug=True).message
        click.echo(f"error: seed {running.seed}: {message}", err=True)
        context.exit(code)
    rows = [row, *memory]
    click.echo(to_json(rows) if as_json else as_table(rows))
    grown = [row.what for row in memory if row.flat is False]
    if grown:
        click.echo(f"error: seed {running.seed}: memory grew: {', '.join(grown)}", err=True)
        context.exit(FAILED)


def _progress(seconds: float) -> Callable[[Sample], None]:
    """Return what shows samples: on a terminal a line that changes, else nothing."""

    def show(sample: Sample) -> None:
        memory = sum(process.memory for process in sample.processes.values())
        click.echo(
            f"\r{sample.at:6.0f} of {seconds:.0f} s  {sample.messages:,} messages  "
            f"{sample.raids} killed  processes {memory >> 20} MiB  "
            f"shared {sample.shared >> 20} MiB  ",
            nl=False,
            err=True,
        )

    return show if sys.stderr.isatty() else lambda _sample: None
