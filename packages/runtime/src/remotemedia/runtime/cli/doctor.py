"""`remotemedia nodes doctor`: does each node load, how long does it take, and how much memory?"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.core.errors import PluginError
    from remotemedia.runtime.environments.answers import BrokenPlugin
    from remotemedia.runtime.reference.checkup import Finding
    from remotemedia.runtime.reference.inventory import Entry, Inventory

__all__ = ["doctor"]


@click.command(short_help="Load node types, each in a process of its own.")
@click.argument("types", metavar="[TYPE]...", nargs=-1)
@click.option(
    "--extra-path",
    "extra_paths",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Look for node modules here too. Repeat it for several.",
)
@click.option(
    "--initialize", is_flag=True, help="Initialize them too, with default config: loads models."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
@click.pass_context
def doctor(
    context: click.Context,
    /,
    *,
    types: tuple[str, ...],
    extra_paths: tuple[Path, ...],
    initialize: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Load each TYPE (all by default) in a process of its own, at most two at a time.

    Those that ask for an environment of their own are loaded there; it is made if it is not there.
    One that crashes, hangs or raises is told with its reason, and the others go on. Without TYPE,
    plugins that can't be used are told too.

    Exit codes: 0 all load, 1 some do not, or plugins are broken, 2 wrong usage or no such type, 130
    and 143 stopped by SIGINT and SIGTERM.
    """
    from remotemedia.runtime.cli.nodes import inventory_of, print_json
    from remotemedia.runtime.nodetypes import UnknownNodeType

    inventory = inventory_of(extra_paths)
    problems: list[PluginError | BrokenPlugin | str]
    problems = [] if types else [*inventory.catalog.problems, *inventory.problems]
    known = {entry.name: entry for entry in inventory.entries}
    try:  # what is known is loaded, also where reading it shows that it can't be
        chosen = [known.get(name) or inventory.find(name) for name in types] or [*known.values()]
    except UnknownNodeType as error:
        click.echo(f"error: {error}", err=True)
        context.exit(2)
    from remotemedia.runtime.cli import node_events as events

    for problem in problems:
        if as_json:
            print_json(events.problem_event(problem))
        else:
            click.echo(f"broken  {problem}")
    findings = _examine(inventory, chosen, initialize=initialize, timeout=timeout, as_json=as_json)
    failed = sum(1 for finding in findings if finding.problem)
    ok = len(findings) - failed
    if as_json:
        print_json(events.CheckupSummary(ok, failed, len(problems)))
    else:
        broken = f", {len(problems)} broken plugin{'s' * (len(problems) > 1)}" if problems else ""
        click.echo(f"{ok} load, {failed} do not{broken}", err=True)
    context.exit(1 if failed or problems else 0)


def _examine(
    inventory: Inventory,
    entries: Sequence[Entry],
    *,
    initialize: bool,
    timeout: float,
    as_json: bool,
) -> list[Finding]:
    """Look at each node; what is found is printed as it comes."""
    import anyio

    from remotemedia.runtime.cli.node_events import checkup_event
    from remotemedia.runtime.cli.nodes import print_json
    from remotemedia.runtime.reference.checkup import Checkup

    width = max((len(entry.name) for entry in entries), default=0)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if as_json:
            print_json(checkup_event(finding))
        else:
            _tell(finding, width)

    def making(name: str, message: str) -> None:
        click.echo(f"        {name.ljust(width)}  {message}", err=True)

    checkup = Checkup(
        inventory.store,
        inventory.policy,
        tell,
        making,
        initialize=initialize,
        limit_secs=timeout,
    )

    async def listen(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                stopped.append(number)
                scope.cancel()
                return

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(listen, group.cancel_scope)
            await checkup.look_at(entries)
            group.cancel_scope.cancel()

    stopped: list[int] = []
    anyio.run(both)
    if stopped:
        sys.exit(128 + stopped[0])
    return findings


def _tell(finding: Finding, width: int) -> None:
    name = finding.type.ljust(width)
    report = finding.report
    if finding.problem:
        click.echo(f"FAILED  {name}  {finding.problem}; {finding.advice}")
        for line in finding.output:
            click.echo(f"        | {line}")
    elif report is not None:
        times = f"import {report.import_secs:.2f} s"
        if report.initialize_secs is not None:
            times += f", initialize {report.initialize_secs:.2f} s"
        memory = f"{report.pss / 2**20:.0f} MB ({report.rss / 2**20:.0f} MB resident)"
        click.echo(f"ok      {name}  {times}, {memory}")
