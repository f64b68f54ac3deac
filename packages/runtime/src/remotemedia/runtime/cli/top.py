"""`remotemedia top`: what the sessions of all runtimes are doing, live."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from remotemedia.runtime.observer import Observer

__all__ = ["top"]

_QUIT = b"qQ\x03\x04"  # also Ctrl-C and Ctrl-D, where the terminal passes them on
# Between the two looks that rates need, where nobody waits for a second screen.
_ONCE_SECS = 0.5


@click.command(short_help="Show what the sessions of all runtimes are doing, live.")
@click.option("--once", is_flag=True, help="Print what there is now, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per session, each time.")
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
def top(*, once: bool, as_json: bool, interval: float) -> None:
    """Show the sessions of all runtimes of this user: what each node does, needs and waits for.

    Nothing of it is asked of the sessions: they are not disturbed. q ends it. In a pipe it prints
    once, unless --json is given.

    \b
    CPU%    of one core, since the last look
    MiB     resident memory; what nodes share counts in each
    /s      items begun per second, since the last look
    p50 ms  what an item took, without waiting for room to send
    queue   messages that wait for the node
    item    what it has in work, and for how long

    With --json, {"event": "session", "session": …, "nodes": {…}, "channels": {…}} for each session,
    and {"event": "look", "sessions": …} after the last of them; docs/operate.md has all fields.

    Exit codes: 0, also where there is no session; 130 and 143 when ended by a signal.
    """  # noqa: D301 - click's sign for a paragraph that is not wrapped
    from remotemedia.runtime.observer import Observer

    observer = Observer()
    with _terminable():
        if as_json:
            _print_json(observer, interval, once=once)
        elif once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            _print_once(observer, min(interval, _ONCE_SECS))
        else:
            _show(observer, interval)


def _print_json(observer: Observer, interval: float, *, once: bool) -> None:
    import msgspec

    from remotemedia.runtime.cli.watch_events import LookEvent, SessionEvent

    observer.look()
    time.sleep(min(interval, _ONCE_SECS))
    while True:
        views = observer.look()
        for view in views:
            click.echo(msgspec.json.encode(SessionEvent.of(view)))
        click.echo(msgspec.json.encode(LookEvent(len(views))))
        if once:
            return
        time.sleep(interval)


def _print_once(observer: Observer, interval: float) -> None:
    from rich.console import Console

    from remotemedia.runtime.cli.top_screen import WIDE, screen

    if observer.look():
        time.sleep(interval)
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.print(screen(observer.look(), console.width))


def _show(observer: Observer, interval: float) -> None:
    """Show it on the terminal until somebody presses q."""
    from rich.console import Console
    from rich.live import Live

    from remotemedia.runtime.cli.top_screen import screen

    console = Console()
    with _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(observer.look(), console.width, keys=True), refresh=True)
            ready, _, _ = select.select([keys], [], [], interval)
            if ready and any(key in _QUIT for key in os.read(keys, 64) or _QUIT):
                return


@contextlib.contextmanager
def _keys() -> Iterator[int]:
    """Have keys arrive when they are pressed, unseen; and the terminal be as it was, afterwards."""
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield fd
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM end it as Ctrl-C does: with the terminal as it was."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
