"""Discovery: every plugin is asked, and a broken one hurts no other."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import PipelineError
from remotemedia.runtime import Pipeline, Runtime
from remotemedia.runtime.plugins import discover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "from remotemedia.core.plugin import NodeSpec, hookimpl\n"
HOOK = HEAD + "@hookimpl\ndef remotemedia_nodes():\n    return "


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPoint]:
    """Write a plugin's module, and return its entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(name: str, source: str, entry: str | None = None) -> EntryPoint:
        (tmp_path / f"plugin_{name}.py").write_text(source, encoding="utf-8")
        return EntryPoint(entry or name, f"plugin_{name}", "remotemedia.nodes")

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


def good(node: str) -> str:
    return HOOK + f"[NodeSpec({node!r}, 'nowhere.at.all:Class')]"


BROKEN = {
    "import": ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
    "syntax": ("def", "SyntaxError"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "raises": (HOOK + "1 / 0", "ZeroDivisionError"),
    "one_spec": (HOOK + "NodeSpec('n', 'm:C')", "must return a list of NodeSpec, not NodeSpec"),
    "nothing": (HOOK + "None", "must return a list of NodeSpec, not NoneType"),
    "other_things": (HOOK + "['whisper']", "must return NodeSpec objects, not str"),
    "typo": (
        HEAD + "@hookimpl\ndef remotemedia_node(): return []",
        "no hook 'remotemedia_node'; did you mean 'remotemedia_nodes'",
    ),
    "unmarked": (
        "def remotemedia_nodes(): return []",
        "marked with remotemedia.core.plugin.hookimpl",
    ),
    "newer": (HOOK + "[NodeSpec('n', 'm:C', api_version=99)]", "upgrade remotemedia-runtime"),
    "older": (HOOK + "[NodeSpec('n', 'm:C', api_version=0)]", "upgrade the plugin"),
    "target": (HOOK + "[NodeSpec('n', 'm.C')]", "must be 'module:Class'"),
    "no_target": (HOOK + "[NodeSpec('n', None)]", "'NoneType'|must be 'module:Class'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_and_hurts_no_other(
    plugin: Callable[..., EntryPoint], case: str
) -> None:
    source, reason = BROKEN[case]
    entries = [plugin("a", good("a")), plugin(case, source), plugin("z", good("z"))]
    catalog = discover(entries)
    assert sorted(catalog.nodes) == ["a", "z"]
    (problem,) = catalog.problems
    assert problem.plugin == case
    with pytest.raises(type(problem), match=reason):
        raise problem


def test_no_node_class_is_imported(plugin: Callable[..., EntryPoint]) -> None:
    assert "a" in discover([plugin("a", good("a"))]).nodes  # its module does not even exist


def test_of_two_types_with_one_name_the_first_is_used_and_both_are_named(
    plugin: Callable[..., EntryPoint],
) -> None:
    catalog = discover([plugin("one", good("same")), plugin("two", good("same"))])
    assert catalog.nodes["same"].plugin == "one"
    (problem,) = catalog.problems
    assert problem.plugin == "two"
    assert "'same' is already provided" in str(problem)


def test_of_two_plugins_with_one_name_the_second_is_reported(
    plugin: Callable[..., EntryPoint],
) -> None:
    catalog = discover([plugin("one", good("a")), plugin("two", good("b"), entry="one")])
    assert [*catalog.nodes] == ["a"]
    assert "another distribution has a plugin named 'one'" in str(catalog.problems[0])


def test_a_plugin_may_have_several_types(plugin: Callable[..., EntryPoint]) -> None:
    source = HOOK + "(NodeSpec(name, 'm:C') for name in 'xyz')"
    assert sorted(discover([plugin("several", source)]).nodes) == ["x", "y", "z"]


def test_a_type_that_is_not_installed_names_near_ones_and_what_is_broken(
    plugin: Callable[..., EntryPoint],
) -> None:
    runtime = Runtime()
    entries = [plugin("a", good("amplifier")), plugin("b", "import no_such_library")]
    runtime._catalog = discover(entries)
    with pytest.raises(PipelineError) as caught:
        runtime.check(Pipeline().add_node("amplifyer", "n"))
    assert "did you mean 'amplifier'?" in str(caught.value)
    assert "no_such_library" in str(caught.value)


@pytest.mark.parametrize("name", ["whisper", "piper_tts", "kokoro_tts"])
def test_a_type_of_this_project_says_which_package_to_install(name: str) -> None:
    runtime = Runtime()
    runtime._catalog = discover([])
    with pytest.raises(PipelineError, match=r"pip install 'remotemedia-nodes-"):
        runtime.check(Pipeline().add_node(name, "n"))
