"""`remotemedia new`: a node package from nothing."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

__all__ = ["new"]


@click.command(short_help="Write a package with a node, ready to install, test and run.")
@click.argument("name")
@click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path),
    help="Where to write it; it must not be there yet.  [default: a directory NAME here]",
)
@click.pass_context
def new(context: click.Context, name: str, directory: Path | None) -> None:
    """Write a package with a node: class, config, plugin, tests, pipeline, README, tox.ini, CI.

    NAME is that of the distribution, such as acme-denoise: the import package and the node type are
    called acme_denoise. What is written installs, passes its own checks and runs as it stands: it
    makes audio louder or quieter until you write what it is to do.

    Exit codes: 0 done, 2 wrong name or directory; nothing is written then.
    """
    from remotemedia.core.errors import RemoteMediaError
    from remotemedia.runtime.new_package.files import check_place, render, write
    from remotemedia.runtime.new_package.name import PackageName
    from remotemedia.runtime.plugins import discover

    try:
        package = PackageName(name)
        place = Path(name) if directory is None else directory
        check_place(place)
        package.check_free(discover())
        texts = render(package)
        write(texts, place)
    except RemoteMediaError as error:
        click.echo(f"error: {error}", err=True)
        context.exit(2)
    for path in sorted(texts):
        click.echo(f"{place / path}")
    click.echo("\nNext:")
    click.echo(f"  cd {shlex.quote(str(place))}")
    click.echo("  python -m pip install --upgrade pip       # --group takes 25.1 or newer")
    click.echo("  pip install -e . --group test")
    click.echo("  pytest                                    # or tox, with all Pythons")
    click.echo("  remotemedia run pipeline.toml --input heard.wav --output quieter.wav")
    click.echo(f"then write what it is to do: src/{package.module}/node.py")
