"""Discovery: every plugin is asked, and a broken one hurts no other."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.core import plugin as contract
from remotemedia.core.errors import BrokenPluginsError, ConfigError, PipelineError, PluginError
from remotemedia.runtime import Pipeline, Runtime
from remotemedia.runtime.plugins import Catalog, PluginPolicy, discover
from remotemedia.runtime.plugins.policy import load_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = "from remotemedia.core.plugin import NodeSpec, Port, hookimpl\n"
HOOK = HEAD + "@hookimpl\ndef remotemedia_nodes():\n    return "


@dataclass
class SitePackages:
    """A directory of installed distributions, each with one plugin."""

    path: Path
    count: int = field(default=0)

    def add(
        self,
        name: str,
        source: str,
        *,
        distribution: str = "",
        module: str = "",
        requires: str = "",
    ) -> None:
        """Install a distribution `acme-NAME 1.2` whose plugin NAME is a module with this source."""
        self.count += 1
        module = module or f"plugin_{name}_{self.count}"
        (self.path / f"{module}.py").write_text(source, encoding="utf-8")
        self.metadata(distribution or f"acme-{name}", f"{name} = {module}", requires)

    def metadata(self, distribution: str, entry: str, requires: str = "") -> Path:
        info = self.path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        head += f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(head, encoding="utf-8")
        entries = f"[remotemedia.nodes]\n{entry}\n"
        (info / "entry_points.txt").write_text(entries, encoding="utf-8")
        return info

    def entries(self) -> list[EntryPoint]:
        return [e for d in distributions(path=[str(self.path)]) for e in d.entry_points]

    def found(self, **policy: object) -> Catalog:
        """Return what discovery finds here, and here alone."""
        return discover(self.entries(), PluginPolicy(**policy))  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SitePackages]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield SitePackages(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


def good(node: str) -> str:
    return HOOK + f"[NodeSpec({node!r}, 'nowhere.at.all:Class')]"


def only(catalog: Catalog) -> PluginError:
    (problem,) = catalog.problems
    return problem


#: Source of a plugin, what is wrong with it, and what is to be done.
BROKEN = {
    "import": ("import no_such_library", "No module named 'no_such_library'", "install what it"),
    "sdk": ("from remotemedia.core.plugin import Later", "cannot import name 'Later'", "wants"),
    "sdk_module": ("import remotemedia.core.later", "remotemedia.core.later", "another SDK"),
    "syntax": ("x = 1\ndef", "SyntaxError: invalid syntax .*plugin_syntax_2.py, line 2", ""),
    "exits": ("import sys\nsys.exit(3)", "it calls sys.exit: SystemExit: 3 .*line 2", "block it"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    "raises": (HOOK + "1 / 0", "ZeroDivisionError: division by zero .*line 4", "tell its author"),
    "late": (HOOK + "(1 / 0 for _ in 'a')", "ZeroDivisionError", ""),
    "endless": (HOOK + "iter(int, 1)", "returns more than 1000 node types", "a list that ends"),
    "coroutine": (
        HOOK.replace("def", "async def") + "[]",
        r"remotemedia_nodes\(\) is a coroutine",
        "without async",
    ),
    "verbose": ("raise OSError('a' * 999)", r"OSError: a{300}… \(", ""),
    "lines": (
        "raise OSError('one\\n  two\\x1b[31m')",
        r"OSError: one two \[31m \(",
        "",
    ),
    "mute": (
        "class X(Exception):\n    __str__ = None\nraise X",
        r"X \(",
        "",
    ),
    "one_spec": (HOOK + "NodeSpec('n', 'm:C')", "a list of NodeSpec, not NodeSpec", "into a list"),
    "nothing": (HOOK + "None", "a list of NodeSpec, not NoneType", ""),
    "text": (HOOK + "'whisper'", "a list of NodeSpec, not str", ""),
    "other_things": (HOOK + "['whisper']", "must return NodeSpec objects, not str", ""),
    "typo": (
        HEAD + "@hookimpl\ndef remotemedia_node(): return []",
        "no hook 'remotemedia_node'; did you mean 'remotemedia_nodes'",
        "rename it",
    ),
    "argument": (
        HEAD + "@hookimpl\ndef remotemedia_nodes(config): return []",
        "'config'",
        "write it as def remotemedia_nodes",
    ),
    "unmarked": ("def remotemedia_nodes(): return []", "no function", "add it"),
    "newer": (HOOK + "[NodeSpec('n', 'm:C', api_version=99)]", "SDK API 99", "upgrade remotem"),
    "older": (HOOK + "[NodeSpec('n', 'm:C', api_version=0)]", "SDK API 0", "upgrade the plugin"),
    "field": (HOOK + "[NodeSpec('n', 'm:C', gpu=True)]", "unexpected keyword .*gpu", "another SDK"),
    "version": (HOOK + "[NodeSpec('n', 'm:C', api_version='1')]", "whole number, not '1'", ""),
    "name": (HOOK + "[NodeSpec('a b', 'm:C')]", "name 'a b' is not valid", "letters"),
    "no_name": (HOOK + "[NodeSpec(None, 'm:C')]", "name None is not valid", "letters"),
    "target": (HOOK + "[NodeSpec('n', 'm.C')]", "'n': target 'm.C' must be", ""),
    "no_target": (HOOK + "[NodeSpec('n', None)]", "target None must be", ""),
    "ports": (HOOK + "[NodeSpec('n', 'm:C', 'audio')]", "inputs must be a list of Port", ""),
    "port": (HOOK + "[NodeSpec('n', 'm:C', ['audio'])]", "inputs must hold Port objects", ""),
    "port_type": (
        HOOK + "[NodeSpec('n', 'm:C', [], [Port('a', 'adio')])]",
        "outputs: port 'a' has the unknown type 'adio'; did you mean 'audio'",
        "",
    ),
    "port_name": (HOOK + "[NodeSpec('n', 'm:C', [Port('a.b')])]", "port name 'a.b' is not", ""),
    "two_ports": (HOOK + "[NodeSpec('n', 'm:C', [Port('a')] * 2)]", "two ports .* 'a'", ""),
    "condition": (
        HOOK + "[NodeSpec('n', 'm:C', [Port('a', when=('mode', 'x'))])]",
        r"inputs: port 'a': when must be \(key, \(value, …\)\), not \('mode', 'x'\)",
        "",
    ),
    "condition_key": (
        HOOK + "[NodeSpec('n', 'm:C', [], [Port('a', when=('mode', ('x',)))])]",
        "port 'a' depends on the config key 'mode'; none is known",
        "",
    ),
    "condition_value": (
        "import msgspec\nfrom typing import Literal\n"
        + HEAD
        + "class C(msgspec.Struct):\n    mode: Literal['x'] = 'x'\n"
        + HOOK.removeprefix(HEAD)
        + "[NodeSpec('n', 'm:C', [Port('a', when=('mode', ('y',)))], config=C)]",
        "port 'a' depends on the config key 'mode': Invalid enum value 'y'",
        "",
    ),
    "summary": (HOOK + "[NodeSpec('n', 'm:C', summary=1)]", "summary must be a text", ""),
    "config": (HOOK + "[NodeSpec('n', 'm:C', config={})]", "config must be a msgspec.Struct", ""),
    "config_type": (
        "import msgspec\n"
        + HEAD
        + "class C(msgspec.Struct):\n    a: 'Nowhere'\n"
        + HOOK.removeprefix(HEAD)
        + "[NodeSpec('n', 'm:C', config=C)]",
        "config C: NameError: name 'Nowhere'",
        "",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_and_hurts_no_other(site: SitePackages, case: str) -> None:
    source, reason, advice = BROKEN[case]
    site.add("a", good("a"))
    site.add(case, source)
    site.add("z", good("z"))
    catalog = site.found()
    assert sorted(catalog.nodes) == ["a", "z"]
    problem = only(catalog)
    assert (problem.plugin, problem.distribution, problem.version) == (case, f"acme-{case}", "1.2")
    assert advice in problem.advice
    with pytest.raises(PluginError, match=rf"^plugin '{case}' of acme-{case} 1.2: .*{reason}"):
        raise problem


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("x = no_such_package.plugin", "names the module 'no_such_package.plugin', and there is"),
        ("x = json.no_such_module", "there is no 'json.no_such_module'"),
        ("x = json:no_such_object", "names 'json:no_such_object', and there is no 'no_such_object"),
        ("x = json", "has no function remotemedia_nodes"),
    ],
)
def test_an_entry_point_that_names_nothing(site: SitePackages, entry: str, reason: str) -> None:
    site.metadata("acme-x", entry)
    site.add("a", good("a"))
    catalog = site.found()
    assert [*catalog.nodes] == ["a"]
    assert reason in only(catalog).reason
    assert only(catalog).advice


def test_a_plugin_that_hangs_is_left_behind_and_named(site: SitePackages) -> None:
    gate = site.path / "gate"
    os.mkfifo(gate)
    site.add("a", good("a"))
    site.add("hangs", f"x = 1\nwith open({str(gate)!r}): pass")
    site.add("z", good("z"))
    try:
        catalog = site.found(timeout_secs=0.5)
    finally:
        gate.open("wb").close()
    assert sorted(catalog.nodes) == ["a", "z"]
    assert "did not answer within 0.5 s" in only(catalog).reason
    assert "plugin_hangs_2.py, line 2" in only(catalog).reason


def test_a_plugin_that_computes_without_end_is_interrupted(site: SitePackages) -> None:
    before = {*threading.enumerate()}
    site.add("spins", "while True: pass")
    site.add("z", good("z"))
    catalog = site.found(timeout_secs=0.5)
    assert [*catalog.nodes] == ["z"]
    assert "plugin_spins_1.py, line 1" in only(catalog).reason
    for thread in {*threading.enumerate()} - before:
        thread.join(10)
        assert not thread.is_alive()


def test_a_plugin_does_not_change_where_paths_begin(site: SitePackages) -> None:
    before = Path.cwd()
    site.add("moves", f"import os\nos.chdir('/')\n{good('moves')}")
    assert [*site.found().nodes] == ["moves"]
    assert Path.cwd() == before


def test_a_plugin_for_another_sdk_says_which_one_it_wants(site: SitePackages) -> None:
    source = "from remotemedia.core.plugin import Later"
    site.add("sdk", source, requires="remotemedia-sdk >=7")
    assert "it wants remotemedia-sdk >=7, installed is" in only(site.found()).advice


def test_damaged_metadata_of_one_distribution_hides_no_other(site: SitePackages) -> None:
    site.add("a", good("a"))
    info = site.metadata("acme-b", "b = b")
    (info / "entry_points.txt").write_text("[remotemedia.nodes]\nb\n", encoding="utf-8")
    catalog = discover()
    assert "a" in catalog.nodes
    assert only(catalog).distribution == "acme-b"
    assert "metadata is damaged" in only(catalog).reason


def test_of_two_types_with_one_name_the_first_by_distribution_is_used(site: SitePackages) -> None:
    site.add("one", good("same"), distribution="zeta")
    site.add("two", good("same"), distribution="alpha")
    catalog = site.found()
    assert catalog.nodes["same"].plugin.origin == "alpha 1.2"
    problem = only(catalog)
    assert (problem.plugin, problem.distribution) == ("one", "zeta")
    assert "'same' is already provided by plugin 'two' of alpha 1.2" in problem.reason
    assert "uninstall one of the two" in problem.advice


def test_of_two_plugins_with_one_name_the_second_is_reported(site: SitePackages) -> None:
    site.add("one", good("a"), distribution="alpha")
    site.add("one", good("b"), distribution="beta")
    catalog = site.found()
    assert [*catalog.nodes] == ["a"]
    assert only(catalog).distribution == "beta"
    assert "alpha 1.2 has a plugin named 'one' too" in only(catalog).reason


def test_a_broken_plugin_takes_its_name_from_nobody(site: SitePackages) -> None:
    site.add("one", "1 / 0", distribution="alpha")
    site.add("one", good("b"), distribution="beta")
    assert [*site.found().nodes] == ["b"]


def test_a_plugin_may_have_several_types(site: SitePackages) -> None:
    site.add("several", HOOK + "(NodeSpec(name, 'm:C') for name in 'xyz')")
    assert sorted(site.found().nodes) == ["x", "y", "z"]


def test_no_node_class_is_imported(site: SitePackages) -> None:
    site.add("a", good("a"))
    assert "a" in site.found().nodes  # its module does not even exist


# ---- policy


@pytest.mark.parametrize("name", ["bad", "acme-bad", "Acme_Bad", "acme-b*"])
def test_a_blocked_plugin_is_not_even_imported(site: SitePackages, name: str) -> None:
    site.add("bad", "raise AssertionError('imported')")
    site.add("good", good("good"))
    catalog = site.found(block=(name,))
    assert ([*catalog.nodes], catalog.problems) == (["good"], [])
    (blocked,) = catalog.blocked
    assert str(blocked) == f"plugin 'bad' of acme-bad 1.2: blocked by plugins.block = {name!r}"


def test_only_what_is_allowed_is_imported(site: SitePackages) -> None:
    site.add("bad", "raise AssertionError('imported')")
    site.add("good", good("good"))
    site.add("worse", good("worse"))
    catalog = site.found(allow=("acme-*",), block=("worse", "bad"))
    assert [*catalog.nodes] == ["good"]
    catalog = site.found(allow=("good",))
    assert [*catalog.nodes] == ["good"]
    assert {blocked.reason for blocked in catalog.blocked} == {"not in plugins.allow"}


def test_a_strict_policy_accepts_no_broken_plugin(
    site: SitePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("bad", "1 / 0")
    pipeline = Pipeline(extra_paths=[Path(__file__).parent / "nodes"])
    pipeline.add_node("samples:Echo", "n")
    with pytest.raises(BrokenPluginsError, match=r"plugin 'bad' of acme-bad 1.2: ZeroDivision"):
        Runtime(plugins=PluginPolicy(strict=True)).check(pipeline)
    monkeypatch.setenv("REMOTEMEDIA_PLUGINS_STRICT", "1")
    with pytest.raises(BrokenPluginsError):
        Runtime().check(pipeline)
    monkeypatch.setenv("REMOTEMEDIA_PLUGINS_BLOCK", "other, bad")
    Runtime().check(pipeline)


def test_else_a_broken_plugin_is_logged_once(
    site: SitePackages, caplog: pytest.LogCaptureFixture
) -> None:
    site.add("bad", "1 / 0")
    runtime = Runtime()
    with caplog.at_level(logging.WARNING, "remotemedia"):
        runtime.catalog()
        runtime.catalog()
    (record,) = caplog.records
    assert "plugin 'bad' of acme-bad 1.2: ZeroDivisionError" in record.getMessage()


def test_the_policy_comes_from_file_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "runtime.toml"
    file.write_text('[plugins]\nblock = ["a"]\nallow = ["b"]\n', encoding="utf-8")
    environment = {"REMOTEMEDIA_PLUGINS_BLOCK": "c,d", "REMOTEMEDIA_PLUGINS_STRICT": "true"}
    wanted = PluginPolicy(allow=("b",), block=("c", "d"), strict=True)
    assert load_policy(file, environment) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[plugins]\nblok = []", "'plugins.blok': unknown; did you mean 'block'"),
        ("[plugins]\nblock = 'a'", "'plugins.block': Expected `array`"),
        ("[plugins]\nstrict = 1", "'plugins.strict': Expected `bool`"),
        ("[plugins]\ntimeout_secs = 0", "must be positive"),
        ("plugins = 1", "must be a table"),
        ("[plugin]", "'plugin': unknown; did you mean 'plugins'"),
    ],
)
def test_a_policy_that_makes_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runtime.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Runtime()


# ---- what is promised to plugins


def test_a_new_hook_breaks_no_old_plugin(
    site: SitePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(contract.HookSpecs):
        @contract.hookspec
        def remotemedia_codecs(self) -> object:
            """Return something that nobody has thought of yet."""

    site.add("old", good("old"))
    monkeypatch.setattr(contract, "HookSpecs", Later)
    assert [*site.found().nodes] == ["old"]


def test_a_plugin_may_have_hooks_of_a_later_sdk(site: SitePackages) -> None:
    later = "\n@hookimpl(optionalhook=True)\ndef remotemedia_codecs(): return 1\n"
    site.add("new", good("new") + later)
    catalog = site.found()
    assert ([*catalog.nodes], catalog.problems) == (["new"], [])


# ---- what it costs

_FIFTY = """
import json, sys, time
import remotemedia.runtime.runtime  # what an application has imported anyway
sys.path.append(sys.argv[1])
before = set(sys.modules)
began = time.process_time()
from remotemedia.runtime.plugins import discover
catalog = discover()
seconds = time.process_time() - began
print(json.dumps([[*catalog.nodes], seconds, sorted(set(sys.modules) - before),
                  [str(problem) for problem in catalog.problems]]))
"""
_NODE = "import numpy, no_such_model_library\nclass Node: pass"
_CONFIG = """
import msgspec
class Config(msgspec.Struct, forbid_unknown_fields=True):
    factor: float = 1.0
    names: list[str] = []
"""


def test_fifty_plugins_are_found_fast_and_nothing_of_their_nodes_is_imported(
    tmp_path: Path, run_program: Callable[..., str]
) -> None:
    site = SitePackages(tmp_path / "site")
    for number in range(50):
        package = site.path / f"acme_{number}"
        package.mkdir(parents=True)
        hook = f"[NodeSpec('acme_{number}', 'acme_{number}.node:Node', config=Config)]"
        source = f"from acme_{number}.config import Config\n{HOOK}{hook}"
        files = {"__init__": "", "config": _CONFIG, "node": _NODE, "plugin": source}
        for name, text in files.items():
            (package / f"{name}.py").write_text(text, encoding="utf-8")
        site.metadata(f"acme-{number}", f"acme{number} = acme_{number}.plugin")
    cold = json.loads(run_program(_FIFTY, str(site.path)))
    nodes, seconds, imported, problems = json.loads(run_program(_FIFTY, str(site.path)))
    assert problems == []
    assert {f"acme_{number}" for number in range(50)} <= set(nodes) == set(cold[0])
    new = {name.partition(".")[0] for name in imported}
    assert new.isdisjoint({"numpy", "torch", "onnxruntime", "ctranslate2", "iceoryx2"})
    assert not [name for name in imported if name.endswith(".node")]
    assert seconds < 0.4  # of a core; docs/plugins.md says what it is on an idle one


# ---- types that are not there


def test_a_type_that_is_not_installed_names_near_ones_and_what_is_broken(
    site: SitePackages,
) -> None:
    runtime = Runtime()
    site.add("a", good("amplifier"))
    site.add("b", "import no_such_library")
    site.add("c", good("c"))
    runtime._catalog = site.found(block=("c",))
    with pytest.raises(PipelineError) as caught:
        runtime.check(Pipeline().add_node("amplifyer", "n"))
    assert "did you mean 'amplifier'?" in str(caught.value)
    assert "no_such_library" in str(caught.value)
    assert "plugins that the policy keeps out: c" in str(caught.value)


def test_of_many_that_are_broken_those_are_told_that_name_the_type(site: SitePackages) -> None:
    for number in range(9):
        site.add(f"b{number}", "import no_such_library")
    site.add("amp", HOOK + "[NodeSpec('ampli', 'm:C', api_version=99)]")
    runtime = Runtime()
    runtime._catalog = site.found()
    with pytest.raises(PipelineError) as caught:
        runtime.check(Pipeline().add_node("ampli", "n"))
    text = str(caught.value)
    assert "SDK API 99" in text
    assert "no_such_library" not in text
    assert "and 9 more: remotemedia nodes list" in text
    with pytest.raises(PipelineError) as caught:
        runtime.check(Pipeline().add_node("other", "n"))
    assert str(caught.value).count("no_such_library") == 2
    assert "and 7 more: remotemedia nodes list" in str(caught.value)


@pytest.mark.parametrize("name", ["whisper", "piper_tts", "kokoro_tts"])
def test_a_type_of_this_project_says_which_package_to_install(name: str) -> None:
    runtime = Runtime()
    runtime._catalog = discover([])
    with pytest.raises(PipelineError, match=r"pip install 'remotemedia-nodes-"):
        runtime.check(Pipeline().add_node(name, "n"))
