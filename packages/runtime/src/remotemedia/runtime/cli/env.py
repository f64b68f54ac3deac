"""`remotemedia env`: the environments that the runtime has made for nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from remotemedia.core.errors import ConfigError
from remotemedia.runtime.cli.usage import MISUSED

if TYPE_CHECKING:
    from remotemedia.runtime.cli.events import EnvironmentEvent
    from remotemedia.runtime.environments.store import Kept, Store

__all__ = ["env"]

_OLD_DAYS = 30.0
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")


@click.group(short_help="List and prune the environments that were made for nodes.")
def env() -> None:
    """Look after the environments that the runtime makes for nodes with requirements.

    Exit codes: 0 done, 1 something could not be removed, 2 wrong usage.
    """


@env.command("list", short_help="What there is, and when it was last used.")
@_json
@click.pass_context
def list_(context: click.Context, *, as_json: bool) -> None:
    """List the environments, the one that was used last first.

    With --json, one {"event": "environment", "name": …, "path": …, "python": …, "requirements":
    […], "nodes": […], "size": bytes, "used": seconds since 1970, "in_use": …, "complete": …} each.
    """
    store = _store(context)
    kept = sorted(store.kept(), key=lambda one: -one.used)
    if as_json:
        for one in kept:
            _print(_event(one))
        return
    for one in kept:
        click.echo(_line(one))
    total = sum(one.size for one in kept)
    click.echo(f"{len(kept)} in {store.root}, {_size(total)}", err=True)


@env.command(short_help="Remove those that nobody has used for long.")
@click.option(
    "--older-than",
    type=click.FloatRange(0),
    metavar="DAYS",
    help=f"Those that were last used so long ago; {_OLD_DAYS:g} days if nothing is said.",
)
@click.option("--all", "everything", is_flag=True, help="All that are not in use.")
@_json
@click.pass_context
def prune(
    context: click.Context, *, older_than: float | None, everything: bool, as_json: bool
) -> None:
    """Remove environments that were not used for long; they are made again when they are needed.

    Those that a living process uses are never removed.

    With --json, one {"event": "environment", …, "removed": true or false} each that is old enough.
    """
    if everything and older_than is not None:
        raise click.UsageError("--all and --older-than exclude each other; choose one")
    days = 0.0 if everything else _OLD_DAYS if older_than is None else older_than
    store = _store(context)
    removed, freed = 0, 0
    try:
        for one, gone in store.prune(days):
            removed, freed = removed + gone, freed + one.size * gone
            if as_json:
                _print(_event(one, removed=gone))
            else:
                click.echo(f"{'removed' if gone else 'in use '}  {_line(one)}")
    except OSError as error:
        click.echo(f"error: {error.filename or store.root}: {error.strerror}", err=True)
        context.exit(1)
    if not as_json:
        click.echo(f"removed {removed} from {store.root}, {_size(freed)}", err=True)


def _store(context: click.Context) -> Store:
    from remotemedia.runtime.config import load_config
    from remotemedia.runtime.environments.store import Store

    try:
        return Store(load_config().environments_dir)
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        context.exit(MISUSED)


def _event(kept: Kept, *, removed: bool | None = None) -> EnvironmentEvent:
    from remotemedia.runtime.cli.events import EnvironmentEvent

    record = kept.record
    return EnvironmentEvent(
        name=kept.key,
        path=str(kept.path),
        python=None if record is None else record.wanted.python,
        requirements=[] if record is None else list(record.wanted.content),
        nodes=[] if record is None else [found.name for found in record.types],
        size=kept.size,
        used=kept.used,
        in_use=kept.in_use,
        complete=record is not None,
        removed=removed,
    )


def _line(kept: Kept) -> str:
    record = kept.record
    if record is None:
        what = "being made" if kept.in_use else "incomplete"
    else:
        what = ", ".join(record.wanted.content) or "the runtime alone"
        nodes = ", ".join(found.name for found in record.types)
        what += f" ({nodes})" if nodes else ""
    used = "in use" if kept.in_use else time.strftime("%Y-%m-%d", time.localtime(kept.used))
    return f"{kept.key}  {used:10}  {_size(kept.size):>8}  {what}"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _print(event: EnvironmentEvent) -> None:
    import msgspec

    click.echo(msgspec.json.encode(event))
