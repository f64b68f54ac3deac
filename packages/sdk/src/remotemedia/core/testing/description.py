"""What can be told of a node type without running it: its description, plugin, class and config."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.config import check_config, of_plain, schema_of, to_plain, writable
from remotemedia.core.errors import PluginError
from remotemedia.core.specs import wrong_spec
from remotemedia.core.testing.report import Violation
from remotemedia.core.testing.subject import load_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remotemedia.core.plugin import NodeSpec
    from remotemedia.core.testing.subject import Subject

__all__ = ["check_description"]

_IMPORT_SECS = 30.0
# Asks a plugin as discovery does, and tells which of the modules came along.
_ASK = """
import importlib, json, sys
sys.path[:], plugin, modules = json.loads(sys.argv[1])
found = importlib.import_module(plugin).remotemedia_nodes()
print(json.dumps([[spec.name for spec in found], [m for m in modules if m in sys.modules]]))
"""


def check_description(subject: Subject, config: Mapping[str, Any] | None) -> Iterator[Violation]:
    """Check a node type without making a node.

    Args:
        subject: The node type.
        config: What it is run with, where its defaults don't suffice.

    Yields:
        What is wrong; after what makes going on senseless, nothing more.
    """
    spec = subject.spec
    wrong = wrong_spec(spec)
    if wrong is not None:
        what, advice = wrong
        yield Violation(what, "a runtime refuses it when it looks for node types", advice)
        return
    if not spec.summary:
        yield Violation(
            "its NodeSpec has no summary",
            "people choose node types by this one line",
            "give NodeSpec(…, summary='…'), or the class a docstring",
        )
    yield from _check_plugin(subject)
    try:
        load_class(subject)
    except PluginError as error:
        yield Violation(error.reason, "no session could start it", error.advice)
    yield from _check_config(spec, config)


def _check_plugin(subject: Subject) -> Iterator[Violation]:
    if not subject.plugin:
        return
    plugin = subject.plugin.partition(":")[0]
    target = subject.spec.target.partition(":")[0]
    question = json.dumps([sys.path, plugin, [target, "numpy"]])
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, question],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=_IMPORT_SECS,
    )
    if asked.returncode:
        yield Violation(
            f"the plugin module {plugin} fails in a fresh interpreter",
            "discovery runs it in one, and would report the plugin as broken",
            "run it: python -c 'import …; print(….remotemedia_nodes())'",
            textwrap.dedent(asked.stderr),
        )
        return
    names, imported = json.loads(asked.stdout.splitlines()[-1])
    if subject.spec.name not in names:
        yield Violation(
            f"remotemedia_nodes() of {plugin} gives {names}, without {subject.spec.name!r}",
            "a pipeline finds node types by what this function returns",
            "add its NodeSpec to the list",
        )
    for module in imported:
        what = "the node's own module" if module == target else module
        yield Violation(
            f"importing {plugin} imports {what}",
            "every start of every application would pay for it; only the node's process should",
            "name the class as text in NodeSpec(target='module:Class'), keep the config in a "
            "module of its own, and nothing in the package's __init__",
        )


def _check_config(spec: NodeSpec, config: Mapping[str, Any] | None) -> Iterator[Violation]:
    given = {} if config is None else dict(config)
    _, mistakes = check_config(given, spec.config)
    for mistake in mistakes:
        needs = config is None and not mistake.key
        yield Violation(
            f"{mistake.text} (with {'no config at all' if config is None else 'this config'})",
            "a pipeline that says this is refused",
            "give the field a default, or call the check with config={…}"
            if needs
            else "correct the config that the check is called with",
        )
    if spec.config is None:
        return
    for field in msgspec.structs.fields(spec.config):
        if field.required:
            continue
        value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        try:
            of_plain(to_plain(value), field.type)
        except (msgspec.ValidationError, TypeError) as error:
            yield Violation(
                f"the default of config key {field.encode_name!r} is not valid: {error}",
                "what a node gets by default, nobody could write down in a pipeline",
                "correct the default, or what its annotation allows",
            )
    try:
        msgspec.json.schema(writable(spec.config), schema_hook=schema_of)
    except (TypeError, ValueError) as error:
        yield Violation(
            f"the config {spec.config.__name__} has no JSON Schema: {error}",
            "editors can't complete pipeline files, and pipelines can't express such values",
            "use fields of types that JSON has, or pathlib.Path",
        )
