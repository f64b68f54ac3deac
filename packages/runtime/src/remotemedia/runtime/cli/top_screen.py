"""The screen of `remotemedia top`: a table for each session. Imports rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remotemedia.runtime.cli.report import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.node_status import NodeStatus
    from remotemedia.runtime.observer import SessionView

__all__ = ["WIDE", "screen"]

#: Columns that a table needs where no terminal limits it.
WIDE = 140
_COLOURS = {
    "running": "green",
    "waiting": "yellow",
    "stuck": "bold red",
    "failed": "bold red",
    "finished": "cyan",
}
# Below this width, some columns are left out.
_WIDE_ENOUGH = 120
_DISPENSABLE = ("pid", "in", "out", "p99 ms")
_COLUMNS = {
    "pid": 7, "CPU%": 4, "MiB": 5, "in": 7, "out": 7, "/s": 5, "p50 ms": 6, "p99 ms": 6, "queue": 5
}  # fmt: skip
_LONGEST_NAME = 18
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def screen(views: Sequence[SessionView], width: int, *, keys: bool = False) -> RenderableType:
    """Return what is to be seen.

    Args:
        views: The sessions.
        width: Columns of the terminal; where they are few, less is shown.
        keys: Say which keys there are.
    """
    count = len(views)
    head = Text(f"{count} session{'' if count == 1 else 's'}" if count else "no sessions")
    if count:
        processes = sum(view.metrics.process_count for view in views)
        head.append(f", {processes} processes")
        head.append(f", CPU {sum(view.metrics.cpu_percent for view in views):.0f} %")
        head.append(f", {sum(view.metrics.memory_mb for view in views):.0f} MiB")
    if keys:
        head.append("   q: quit", "dim")
    is_wide = width >= _WIDE_ENOUGH
    shown = [name for name in _COLUMNS if is_wide or name not in _DISPENSABLE]
    longest = None if width >= WIDE else _LONGEST_NAME
    parts = ((Text(), _head(view), _table(view, shown, longest)) for view in views)
    return Group(head, *(part for group in parts for part in group))


def _head(view: SessionView) -> Text:
    description, metrics = view.description, view.metrics
    line = Text(printable(description.session_id), "bold", no_wrap=True, overflow="ellipsis")
    line.append(
        f"  {printable(description.pipeline)}, process {description.pid}, "
        f"{_time(view.seconds)}, {metrics.items_in} in, {metrics.items_out} out",
        "not bold",
    )
    dropped = sum(one.dropped for one in view.channels.values())
    if dropped:
        line.append(f", {dropped} dropped", "not bold yellow")
    return line


def _table(view: SessionView, shown: Sequence[str], longest: int | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("node", no_wrap=True, overflow="ellipsis", min_width=6, max_width=longest)
    table.add_column("state", no_wrap=True, min_width=8)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True, min_width=_COLUMNS[name])
    table.add_column("item", no_wrap=True, overflow="ellipsis", min_width=8)
    for name, status in view.status.items():
        state = _state(status)
        cells = _cells(view, name)
        table.add_row(
            Text(printable(name)),
            Text(state, _COLOURS.get(state, "")),
            *(cells[column] for column in shown),
            Text(_item(status)),
        )
    return table


def _cells(view: SessionView, name: str) -> dict[str, str]:
    node = view.metrics.nodes[name]
    inline = view.description.nodes[name].executor == "inline"
    skipped = f" -{node.items_skipped}" if node.items_skipped else ""
    return {
        "pid": "inline" if inline else "" if node.pid is None else str(node.pid),
        "CPU%": _whole(node.cpu_percent),
        "MiB": _whole(node.memory_mb),
        "in": str(node.items_in),
        "out": f"{node.items_out}{skipped}",
        "/s": _rate(view.rates[name]),
        "p50 ms": _milliseconds(node.processing_p50_ms),
        "p99 ms": _milliseconds(node.processing_p99_ms),
        "queue": str(node.queue_depth),
    }


def _state(status: NodeStatus) -> str:
    if status.state == "running":
        if status.is_stuck:
            return "stuck"
        if status.is_waiting:
            return "waiting"
    return status.state.value


def _item(status: NodeStatus) -> str:
    return f"{_time(status.item_seconds)}  {printable(status.item)}" if status.item else ""


def _whole(number: float | None) -> str:
    return "" if number is None else f"{number:.0f}"


def _rate(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _milliseconds(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.0f}"


def _time(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"
    return f"{int(seconds // _DAY)} d {int(seconds % _DAY // _HOUR)} h"
