"""`remotemedia config`: what is in effect, and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remotemedia.runtime.cli.terminal_text import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.settings import Setting

__all__ = ["config"]


@click.command(short_help="Show the configuration in effect, and where each value comes from.")
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    help="Instead of the runtime.toml of this directory.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def config(context: click.Context, file: Path | None, *, as_json: bool) -> None:
    """Show the configuration that a runtime started here would have.

    Each value comes from an environment variable, else from runtime.toml, else it is the default.
    What an application passes to MultiprocessConfig is over all of them, and not known here.

    Exit codes: 0, or 2 if there are mistakes; all are shown.

    With --json, {"event": "setting", "key": …, "value": …, "source": "default" | "file" |
    "environment", "place": …} for each, place being the line of the file or the variable; then
    {"event": "mistake", "file": …, "line": …, "message": …} for each mistake.
    """
    from remotemedia.core.errors import ConfigError
    from remotemedia.runtime.configuration import explain

    settings: Sequence[Setting] = ()
    try:
        settings, error = explain(file)
    except ConfigError as unreadable:
        error = unreadable
    problems = error.problems if error is not None else ()
    if as_json:
        _print_json(settings, problems)
    else:
        _print_table(settings)
        for problem in problems:
            click.echo(problem, err=True)
        if problems:
            count = len(problems)
            click.echo(f"{count} mistake{'s' * (count > 1)}; a runtime will not start", err=True)
    context.exit(2 if problems else 0)


def _print_json(settings: Sequence[Setting], problems: Sequence[str]) -> None:
    import msgspec

    from remotemedia.runtime.cli.checking import place_of
    from remotemedia.runtime.cli.events import Mistake, SettingEvent

    for one in settings:
        event = SettingEvent(one.key, _plain(one.value), one.source, one.place or None)
        click.echo(msgspec.json.encode(event))
    for problem in problems:
        click.echo(msgspec.json.encode(Mistake(*place_of(problem))))


def _print_table(settings: Sequence[Setting]) -> None:
    import json

    rows = [(one.key, json.dumps(_plain(one.value)), one.place or one.source) for one in settings]
    if rows:
        click.echo("\n".join(columns(rows)))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a setting
    """Return a value as TOML and JSON have it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
