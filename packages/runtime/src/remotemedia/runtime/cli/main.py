"""The `remotemedia` command: what is imported here is imported for `--help`, so it is little."""

from __future__ import annotations

import os
import signal
import sys

import click

from remotemedia.runtime.cli.bench import bench
from remotemedia.runtime.cli.check import check
from remotemedia.runtime.cli.clean import clean
from remotemedia.runtime.cli.config import config
from remotemedia.runtime.cli.env import env
from remotemedia.runtime.cli.new import new
from remotemedia.runtime.cli.nodes import nodes
from remotemedia.runtime.cli.run import run
from remotemedia.runtime.cli.top import top

__all__ = ["main"]


def _print_version(context: click.Context, _option: click.Parameter, wanted: object) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("remotemedia-runtime")
        except PackageNotFoundError:
            number = "(not installed)"
        click.echo(f"remotemedia {number}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def remotemedia() -> None:
    """Run AI pipelines, every node in a process of its own.

    Exit codes: 0 done, 1 failed while running, 2 wrong usage or pipeline, 130 and 143 stopped by
    SIGINT and SIGTERM.
    """


remotemedia.add_command(run)
remotemedia.add_command(check)
remotemedia.add_command(nodes)
remotemedia.add_command(new)
remotemedia.add_command(config)
remotemedia.add_command(top)
remotemedia.add_command(clean)
remotemedia.add_command(bench)
remotemedia.add_command(env)


def main() -> int:
    """Run the command that the arguments name; returns the exit code."""
    try:
        return remotemedia.main(prog_name="remotemedia", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Nobody reads any more. Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
