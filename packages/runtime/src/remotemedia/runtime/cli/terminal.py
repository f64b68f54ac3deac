"""A run on a terminal: bars while the nodes load. The only module that imports rich."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from remotemedia.runtime.cli.report import PlainReporter, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.cli.events import ErrorEvent, ProgressEvent

__all__ = ["TerminalReporter"]

# A node that takes longer is shown with the time that it takes.
_SLOW_SECS = 2.0


class TerminalReporter(PlainReporter):
    """Shows a bar for each node while it loads; then prints lines.

    Args:
        out: Where texts go.
        nodes: The nodes, in the order of their bars.
        named: Texts say which node they come from.
        silent: Outputs whose texts are not printed.
    """

    def __init__(
        self, out: TextIO, nodes: Sequence[str], *, named: bool, silent: tuple[str, ...]
    ) -> None:
        super().__init__(out, named=named, silent=silent)
        self._console = Console(file=sys.stderr, highlight=False)
        self._bars = Progress(
            TextColumn("{task.fields[node]}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[status]}", table_column=Column(no_wrap=True), markup=False),
            console=self._console,
            redirect_stdout=False,
        )
        self._tasks: dict[str, TaskID] = {
            node: self._bars.add_task("", total=1.0, node=node, status="starting") for node in nodes
        }
        self._bars.start()

    def progress(self, event: ProgressEvent) -> None:
        """Move the node's bar."""
        status = f"{event.status}: {event.message}" if event.message else event.status
        if event.status == "failed":
            status = event.status
        elif event.status != "ready" and event.elapsed >= _SLOW_SECS:
            status += f" ({event.life})"
        self._bars.update(
            self._tasks[event.node],
            status=printable(status),
            completed=event.progress if event.status != "failed" else None,
        )

    def ready(self, seconds: float) -> None:
        """Leave the bars as they are."""
        del seconds
        self._bars.stop()

    def error(self, event: ErrorEvent) -> None:
        """Print it below the bars."""
        if event.fatal:
            self._bars.stop()
        super().error(event)

    def log(self, line: str) -> None:
        """Print a line above the bars."""
        self._console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()
