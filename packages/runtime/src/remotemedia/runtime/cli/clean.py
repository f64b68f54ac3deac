"""`remotemedia clean`: removes what dead runtimes have left, and only that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.leftovers import Leftover

__all__ = ["clean"]

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@click.command(short_help="Remove what dead runtimes have left.")
@click.option("-n", "--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option(
    "--orphans",
    is_flag=True,
    help="Also shared memory whose runtime has no directory in this TMPDIR, and no process on this "
    "machine. Not where containers share /dev/shm: it may live in another one.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def clean(context: click.Context, *, dry_run: bool, orphans: bool, as_json: bool) -> None:
    """Remove the directories and shared memory that dead runtimes of this user have left.

    A runtime that starts does the same; this is for machines where none does for a while. What
    belongs to a living runtime, another user or another program stays.

    Exit codes: 0, or 1 if something could not be removed.

    With --json, {"event": "leftover", "runtime": …, "pid": …, "files": […], "bytes": …, "removed":
    …} for each dead runtime, then {"event": "summary", "runtimes": …, "files": …, "bytes": …,
    "failed": …}.
    """
    from remotemedia.runtime.leftovers import of_dead_runtimes, without_directory

    found, uncertain = of_dead_runtimes(), without_directory()
    if orphans:
        found, uncertain = found + uncertain, []
    gone = [not dry_run and left.remove() for left in found]
    failed = 0 if dry_run else gone.count(False)
    if as_json:
        _print_json(found, gone, failed)
    else:
        _print(found, gone, dry_run=dry_run)
        for left in uncertain:
            click.echo(
                f"left alone: {_what(left)}; its directory is not in this TMPDIR: if the runtime "
                "is dead, --orphans removes it",
                err=True,
            )
    context.exit(1 if failed else 0)


def _print(found: Sequence[Leftover], gone: Sequence[bool], *, dry_run: bool) -> None:
    verb = "would remove" if dry_run else "removed"
    for left, is_gone in zip(found, gone, strict=True):
        if dry_run or is_gone:
            click.echo(f"{verb} {_what(left)}")
        else:
            click.echo(f"could not remove all of {_what(left)}", err=True)
    total = sum(left.nbytes for left in found)
    click.echo(f"{verb} {_size(total)} of {len(found)} dead runtimes" if found else "nothing left")


def _what(left: Leftover) -> str:
    count = len(left.files)
    return f"runtime {left.runtime}: {count} file{'' if count == 1 else 's'}, {_size(left.nbytes)}"


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g} {_UNITS[unit]}"


def _print_json(found: Sequence[Leftover], gone: Sequence[bool], failed: int) -> None:
    import msgspec

    from remotemedia.runtime.cli.watch_events import CleanSummary, LeftoverEvent

    for left, is_gone in zip(found, gone, strict=True):
        files = [str(path) for path in left.files]
        event = LeftoverEvent(left.runtime, left.pid, files, left.nbytes, is_gone)
        click.echo(msgspec.json.encode(event))
    files_count = sum(len(left.files) for left in found)
    total = sum(left.nbytes for left in found)
    click.echo(msgspec.json.encode(CleanSummary(len(found), files_count, total, failed)))
