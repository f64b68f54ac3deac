"""`remotemedia nodes`: which node types there are, and all that is known of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from remotemedia.runtime.cli.doctor import doctor
from remotemedia.runtime.cli.terminal_text import columns, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import msgspec

    from remotemedia.core.errors import PluginError
    from remotemedia.runtime.environments.answers import BrokenPlugin
    from remotemedia.runtime.environments.request import ExistingEnvironment, MadeEnvironment
    from remotemedia.runtime.reference.config_schema import ConfigField
    from remotemedia.runtime.reference.description import NodeDescription, PortDescription
    from remotemedia.runtime.reference.inventory import Inventory

__all__ = ["nodes"]

extra_path = click.option(
    "--extra-path",
    "extra_paths",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Look for node modules here too. Repeat it for several.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


@click.group(short_help="Show the installed node types, and what is wrong with them.")
def nodes() -> None:
    """Show the node types that pipelines can use, and what is wrong with broken ones.

    They come from installed packages (entry points of the group remotemedia.nodes) and from the
    directories in extra_paths of the runtime.toml here. No node is imported to list or show it.
    """


nodes.add_command(doctor)


@nodes.command("list", short_help="What is installed, and from which packages.")
@extra_path
@as_json
def list_(*, extra_paths: tuple[Path, ...], as_json: bool) -> None:
    """List the node types, and the plugins that can't be used, with reason and advice.

    Exit codes: 0 done, also where plugins are broken (`doctor` tells by its exit code); 2 wrong
    usage or configuration.
    """
    inventory = inventory_of(extra_paths)
    from remotemedia.runtime.cli import node_events as events

    found = [(inventory.describe(entry), entry.environment) for entry in inventory.entries]
    problems: list[PluginError | BrokenPlugin | str] = [
        *inventory.catalog.problems,
        *inventory.problems,
    ]
    blocked = inventory.catalog.blocked
    if as_json:
        for node, environment in found:
            print_json(events.node_event(node, environment))
        for problem in problems:
            print_json(events.problem_event(problem))
        for plugin in blocked:
            print_json(events.blocked_event(plugin))
        print_json(events.ListSummary(len(found), len(problems), len(blocked)))
        return
    for line in columns(
        [
            (
                node.type,
                _ports(node.inputs, node.outputs),
                _origin(node),
                node.summary + (f" [in {environment}]" if environment else ""),
            )
            for node, environment in found
        ]
    ):
        click.echo(line)
    if not found:
        click.echo("no node types: install a package of nodes, or name a directory of them")
    for problem in problems:
        click.echo(f"broken: {problem}")
    for plugin in blocked:
        click.echo(f"blocked: {plugin}")


@nodes.command(short_help="All that is known of a node type.")
@click.argument("type_name", metavar="TYPE")
@extra_path
@click.option("--toml", is_flag=True, help="Print only the piece for a pipeline file.")
@as_json
@click.pass_context
def show(
    context: click.Context,
    /,
    *,
    type_name: str,
    extra_paths: tuple[Path, ...],
    toml: bool,
    as_json: bool,
) -> None:
    """Show a node type: where it comes from, ports, config, and TOML that is ready to paste.

    TYPE is the name of a node type, module:Class or file.py:Class.

    Exit codes: 0 done, 2 there is no such type, or wrong usage.
    """
    inventory = inventory_of(extra_paths)
    from remotemedia.runtime.nodetypes import UnknownNodeType

    try:
        entry = inventory.find(type_name)
        node = inventory.describe(entry)
    except UnknownNodeType as error:
        click.echo(f"error: {error}", err=True)
        context.exit(2)
    if as_json:
        print_json(node)
    elif toml:
        click.echo(node.snippet, nl=False)
    else:
        click.echo("\n".join(_page(node, entry.environment)))


@nodes.command(short_help="A JSON Schema of pipeline files, for editors.")
@extra_path
def schema(*, extra_paths: tuple[Path, ...]) -> None:
    """Print a JSON Schema of pipeline files with the node types that there are here.

    Editors check and complete pipeline files by it, config of each node included (of those that
    are only in environments of nodes, the type). Write it to a file, and name that in the first
    line of a pipeline file: #:schema ./pipeline.schema.json

    Exit codes: 0 done, 2 wrong usage or configuration.
    """
    import json

    inventory = inventory_of(extra_paths)
    from remotemedia.runtime.reference.pipeline_schema import pipeline_schema

    elsewhere = {entry.type.spec.name: entry.type.spec.summary for entry in inventory.elsewhere}
    made = pipeline_schema((node.spec for node in inventory.nodes), elsewhere)
    click.echo(json.dumps(made, indent=2, ensure_ascii=False))


def inventory_of(extra_paths: Sequence[Path]) -> Inventory:
    """Return what there is; mistakes in the configuration end the command with code 2."""
    from remotemedia.core.errors import ConfigError
    from remotemedia.runtime.reference.inventory import take_inventory

    try:
        return take_inventory(extra_paths)
    except ConfigError as error:
        _misconfigured(error)


def _misconfigured(error: Exception) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    raise SystemExit(2) from error


def print_json(event: msgspec.Struct) -> None:
    """Print an object on a line."""
    import msgspec

    click.echo(msgspec.json.encode(event))


def _ports(inputs: Sequence[PortDescription], outputs: Sequence[PortDescription]) -> str:
    sides = (", ".join(_port(port) for port in ports) or "nothing" for ports in (inputs, outputs))
    return " -> ".join(sides)


def _port(port: PortDescription) -> str:
    return port.name if port.name == port.type else f"{port.name}: {port.type}"


def _origin(node: NodeDescription) -> str:
    return f"{node.distribution} {node.version}" if node.distribution else node.source or ""


def _page(
    node: NodeDescription, environment: ExistingEnvironment | MadeEnvironment | None
) -> list[str]:
    """Return the lines that describe a node type."""
    where = f"plugin {node.plugin!r} of {_origin(node)}" if node.plugin else node.source or "here"
    lines = [f"{node.type}: {node.summary}", f"{node.target}, from {where}"]
    if environment is not None:
        lines.append(f"its nodes run in {environment}")
    for title, ports in (("inputs", node.inputs), ("outputs", node.outputs)):
        lines += ["", f"{title}:" if ports else f"{title}: none"]
        rows = [
            (port.name, port.type + ("" if port.required else ", optional"), _doc(port))
            for port in ports
        ]
        lines += [f"  {line}" for line in columns(rows)]
    nothing = "none" if node.config is not None else "any table; the type declares none"
    lines += ["", "config:" if node.config else f"config: {nothing}"]
    lines += _settings(node.config or ())
    return [*lines, "", "in a pipeline file:", "", node.snippet.rstrip()]


def _settings(fields: Sequence[ConfigField], table: str = "") -> Iterator[str]:
    """Yield the lines that describe the keys of a table, and those of tables in it."""
    for field in fields:
        default = "required" if field.required else f"default {_value(field.default)}"
        yield f"  {table}{field.name}: {field.type}; {default}"
        yield from wrapped(field.doc, indent=6)
        yield from _settings(field.keys, f"{table}{field.name}.")


def _doc(port: PortDescription) -> str:
    """Return what a port is for, and with which config there is one."""
    conditions = [
        f"Only with {key} = {' or '.join(map(_value, values))}."
        for key, values in (port.when or {}).items()
    ]
    return " ".join(filter(None, (port.doc, *conditions)))


def _value(value: object) -> str:
    import msgspec

    return "none" if value is None else msgspec.json.encode(value).decode()
