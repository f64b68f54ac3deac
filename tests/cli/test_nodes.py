"""`remotemedia nodes`: what is installed, what it is, and whether it loads."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any, TypeAlias

import jsonschema
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call: TypeAlias = Callable[..., Any]

_NODE = """
import msgspec
from remotemedia.core.multiprocessing import MultiprocessNode


class Config(msgspec.Struct):
    \"\"\"What it can be told.

    Attributes:
        word: What it says.
    \"\"\"

    word: str
    loud: bool = False


class Parrot(MultiprocessNode):
    def initialize(self):
        print("at work")

    def process(self, data):
        return data
"""
_PLUGIN = """
from acme_parrot.node import Config
from remotemedia.core.plugin import NodeSpec, Port, hookimpl

print("a plugin that prints")


@hookimpl
def remotemedia_nodes():
    text = [Port("text", "text", doc="Words.")]
    return [NodeSpec("parrot", "acme_parrot.node:Parrot", text, text, Config, "Repeats.")]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Install a distribution `acme-NAME 1.2` with a package `acme_NAME` of these modules."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site))

    def add(name: str, **modules: str) -> None:
        package = site / f"acme_{name}"
        package.mkdir()
        for module, source in {"__init__": "", **modules}.items():
            (package / f"{module}.py").write_text(source, encoding="utf-8")
        info = site / f"acme_{name}-1.2.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.2\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        entry = f"[remotemedia.nodes]\n{name} = acme_{name}.plugin\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")

    return add


@pytest.fixture
def local(tmp_path: Path) -> Call:
    """Write a module with a node class that is registered; `source` comes before it."""

    def write(name: str, before: str = "", inside: str = "pass") -> str:
        folder = tmp_path / "nodes"
        folder.mkdir(exist_ok=True)
        source = (
            "from remotemedia.core.multiprocessing import MultiprocessNode, register_node\n"
            f"{before}\n"
            f"@register_node({name!r})\nclass Node(MultiprocessNode):\n"
            f'    "A node."\n    def process(self, data):\n        {inside}\n'
        )
        (folder / f"module_{name}.py").write_text(source, encoding="utf-8")
        return "nodes"

    return write


def test_list_names_types_ports_and_packages(command: Call, install: Call) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN)
    result = command("nodes", "list")
    assert result.code == 0
    (line,) = [line for line in result.out.splitlines() if line.startswith("parrot")]
    assert line.split() == ["parrot", "text", "->", "text", "acme-parrot", "1.2", "Repeats."]
    assert "a plugin that prints" in result.err


def test_list_works_with_broken_and_blocked_plugins(
    command: Call, install: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN)
    install("broken", plugin="import no_such_library")
    install("kept_out", plugin="1 / 0")
    monkeypatch.setenv("REMOTEMEDIA_PLUGINS_BLOCK", "kept_out")
    monkeypatch.setenv("REMOTEMEDIA_PLUGINS_STRICT", "1")
    result = command("nodes", "list")
    assert result.code == 0
    assert "\nparrot " in result.out
    broken = "broken: plugin 'broken' of acme-broken 1.2: ModuleNotFoundError: No module named 'no_"
    assert broken in result.out
    assert "; install what it needs, or upgrade the plugin\n" in result.out
    assert "blocked: plugin 'kept_out' of acme-kept_out 1.2: blocked by" in result.out
    result = command("nodes", "list", "--json")
    (node,) = [event for event in result.of("node") if event["type"] == "parrot"]
    assert (node["distribution"], node["version"]) == ("acme-parrot", "1.2")
    assert (node["inputs"], node["outputs"]) == ({"text": "text"}, {"text": "text"})
    (problem,) = result.of("problem")
    assert problem["distribution"] == "acme-broken"
    assert problem["reason"]
    assert problem["advice"]
    (blocked,) = result.of("blocked")
    assert (blocked["plugin"], result.summary["problems"]) == ("kept_out", 1)


def test_a_quiet_run_says_nothing_of_plugins_that_it_does_not_need(
    command: Call, install: Call, pipeline: Call
) -> None:
    install("broken", plugin="import nothing_of_this_name\n")
    arguments = ("run", pipeline(upper="upper"), "-i", "-")
    assert "acme-broken 1.2" in command(*arguments, text="a\n").err
    quiet = command(*arguments, "--quiet", text="a\n")
    assert (quiet.code, quiet.out, quiet.err) == (0, "A\n", "")


def test_list_shows_what_files_register(command: Call, local: Call, tmp_path: Path) -> None:
    folder = local("filter")
    (tmp_path / "nodes" / "bad.py").write_text("register_node(", encoding="utf-8")
    nodes = command("nodes", "list", "--extra-path", folder, "--json")
    (node,) = [event for event in nodes.of("node") if event["type"] == "filter"]
    assert (node["distribution"], node["summary"]) == (None, "A node.")
    assert node["source"].endswith("module_filter.py")
    (problem,) = nodes.of("problem")
    assert "bad.py can't be read" in problem["reason"]
    assert "filter" not in command("nodes", "list").out


def test_show_tells_all_without_importing_the_node(command: Call, install: Call) -> None:
    install(
        "parrot",
        node=f"raise AssertionError('imported')\n{_NODE}",
        config=_NODE.partition("class Parrot")[0],
        plugin=_PLUGIN.replace("acme_parrot.node import", "acme_parrot.config import"),
    )
    out = command("nodes", "show", "parrot").out
    assert "parrot: Repeats.\nacme_parrot.node:Parrot, from plugin 'parrot' of acme-parrot" in out
    assert "  text  text  Words.\n" in out
    assert "  word: text; required\n      What it says.\n" in out
    assert "  loud: true or false; default false\n" in out
    node = json.loads(command("nodes", "show", "parrot", "--json").out)
    assert node["schema"]["definitions"]["parrot.Config"]["required"] == ["word"]
    assert node["config"][0]["doc"] == "What it says."


def test_show_tells_with_which_config_there_is_a_port(command: Call, install: Call) -> None:
    port = 'doc="Words.", when=("loud", (True,))'
    install("parrot", node=_NODE, plugin=_PLUGIN.replace('doc="Words."', port))
    assert "  text  text  Words. Only with loud = true.\n" in command("nodes", "show", "parrot").out
    node = json.loads(command("nodes", "show", "parrot", "--json").out)
    assert node["inputs"][0]["when"] == {"loud": [True]}


def test_the_toml_that_show_gives_is_a_pipeline(
    command: Call, install: Call, tmp_path: Path
) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN)
    toml = command("nodes", "show", "parrot", "--toml").out
    assert toml == (
        '[nodes.parrot]\ntype = "parrot"\nconfig.word = "…"  # required: text\n'
        "# config.loud = false\n"
    )
    (tmp_path / "p.toml").write_text(toml, encoding="utf-8")
    assert command("check", "p.toml").out == (
        "ok: p.toml: 1 node, 0 edges; takes parrot.text; gives parrot.text\n"
    )


def test_a_class_of_an_installed_type_has_its_ports_and_config(
    command: Call, install: Call, tmp_path: Path
) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN)
    text = '[nodes.p]\ntype = "acme_parrot.node:Parrot"\nconfig.{}\n'
    (tmp_path / "p.toml").write_text(text.format('word = "a"'), encoding="utf-8")
    result = command("run", "p.toml", "-i", "-", "-o", "-", text="hello\n")
    assert (result.code, result.out) == (0, "hello\n")
    checked = command("check", "p.toml")
    assert "takes p.text" in checked.err + checked.out
    (tmp_path / "p.toml").write_text(text.format("wrod = 'a'"), encoding="utf-8")
    wrong = command("check", "p.toml")
    assert wrong.code == 2
    assert "wrod" in wrong.out


def test_a_plugin_that_reads_gets_nothing_of_the_input(
    command: Call, install: Call, tmp_path: Path
) -> None:
    install("parrot", node=_NODE, plugin=f"import sys\nsys.stdin.read()\n{_PLUGIN}")
    text = '[nodes.p]\ntype = "parrot"\nconfig.word = "a"\n'
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    result = command("run", "p.toml", "-i", "-", "-o", "-", text="hello\n")
    assert (result.code, result.out) == (0, "hello\n")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            _NODE.replace("class Parrot", "class Parot"),
            "has no class 'Parrot'; did you mean 'Parot'?",
        ),
        (_NODE.replace("def process", "def proces"), "class 'Parrot' has no method 'process'"),
        (_NODE.replace("import msgspec", "import msgspec ("), "can't be read"),
    ],
    ids=["class", "process", "syntax"],
)
def test_an_installed_type_that_reading_shows_to_be_broken_is_told_before_it_runs(
    command: Call, install: Call, tmp_path: Path, node: str, message: str
) -> None:
    config = _NODE.partition("class Parrot")[0]
    install(
        "parrot", node=node, config=config, plugin=_PLUGIN.replace("node import", "config import")
    )
    (tmp_path / "p.toml").write_text('[nodes.p]\ntype = "parrot"\n', encoding="utf-8")
    result = command("check", "p.toml")
    assert result.code == 2
    assert "node type 'parrot' is 'acme_parrot.node:Parrot', but " in result.out
    assert message in result.out


def test_a_module_that_is_not_there_is_told_before_it_runs(
    command: Call, install: Call, tmp_path: Path
) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN.replace("parrot.node:", "parrot.nodes:"))
    (tmp_path / "p.toml").write_text('[nodes.p]\ntype = "parrot"\n', encoding="utf-8")
    result = command("check", "p.toml")
    assert result.code == 2
    assert "acme_parrot has no module 'nodes'; did you mean 'node'?" in result.out
    doctor = command("nodes", "doctor", "parrot", "--json")
    (found,) = doctor.of("checkup")
    assert "No module named 'acme_parrot.nodes'; correct its target" in found["problem"]


@pytest.mark.parametrize("written", ["nodes/module_fine.py:Node", "nodes.module_fine:Node"])
def test_a_class_is_called_as_it_was_named(
    command: Call, local: Call, tmp_path: Path, written: str
) -> None:
    local("fine")
    text = command("nodes", "show", written, "--toml").out
    assert text == f'[nodes.fine]\ntype = "{written}"\n'
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    assert command("check", "p.toml").code == 0
    (found,) = command("nodes", "doctor", written, "--json").of("checkup")
    assert (found["type"], found["ok"]) == (written, True)


@pytest.mark.parametrize(
    "node",
    [
        "from acme_parrot.inside import *",
        "from acme_parrot.inside import Parrot",
        "import acme_parrot.inside\n\nParrot = acme_parrot.inside.Parrot",
        "def __getattr__(name):\n    import acme_parrot.inside as at\n    return getattr(at, name)",
        "import acme_parrot.inside as at\n\nglobals().update(vars(at))",
        "from acme_parrot.inside import Parrot as Base\n\nclass Parrot(Base):\n    pass",
        (
            "from acme_parrot.inside import Parrot as Other\n"
            "from remotemedia.core.multiprocessing import MultiprocessNode\n\n"
            "def answering(cls):\n    return Other\n\n"
            "@answering\nclass Parrot(MultiprocessNode):\n    pass"
        ),
    ],
)
def test_a_class_that_reading_does_not_find_is_left_to_python(
    command: Call, install: Call, tmp_path: Path, node: str
) -> None:
    plugin = _PLUGIN.replace("node import", "inside import")
    install("parrot", node=node, inside=_NODE, plugin=plugin)
    text = '[nodes.p]\ntype = "parrot"\nconfig.word = "a"\n'
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    result = command("run", "p.toml", "-i", "-", "-o", "-", text="hello\n")
    assert (result.code, result.out) == (0, "hello\n")


def test_show_of_a_type_that_is_not_there(command: Call) -> None:
    result = command("nodes", "show", "whispre")
    assert (result.code, result.out) == (2, "")
    assert "node type 'whispre' is not installed; did you mean 'whisper'?" in result.err


def test_schema_is_one_of_pipeline_files(command: Call, local: Call) -> None:
    schema = json.loads(command("nodes", "schema", "--extra-path", local("filter")).out)
    validator = jsonschema.Draft7Validator(schema)
    assert validator.is_valid({"nodes": {"a": {"type": "filter"}}})
    assert not validator.is_valid({"nodes": {"a": {"type": "filtre"}}})


def test_a_configuration_with_a_mistake(command: Call, tmp_path: Path) -> None:
    (tmp_path / "runtime.toml").write_text("[plugins]\nblok = []", encoding="utf-8")
    result = command("nodes", "list")
    assert result.code == 2
    assert "'plugins.blok': unknown; did you mean 'block'" in result.err


# ---- doctor


def test_doctor_measures_what_loads(command: Call, install: Call) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN)
    result = command("nodes", "doctor", "parrot", "--json")
    assert result.code == 0
    (checkup,) = result.of("checkup")
    assert checkup["ok"] is True
    assert 0 < checkup["import_secs"] < 20
    assert 1 << 20 < checkup["pss"] <= checkup["rss"]
    assert "MB" in command("nodes", "doctor", "parrot").out


CRASHES = {
    "raises": ("import no_such_library", "importing it raised ModuleNotFoundError", "install what"),
    "exits": ("import sys; sys.exit(3)", "importing it raised SystemExit: 3", ""),
    "leaves": ("import os; os._exit(3)", "its process exited with code 3", "must not end"),
    "segfault": (
        "import ctypes; ctypes.string_at(0)",
        "its process was ended by SIGSEGV",
        "C code crashed",
    ),
    "hangs": (
        "import threading; threading.Event().wait()",
        "did not load within 12 s",
        "--timeout",
    ),
}


def test_doctor_goes_on_whatever_a_node_does(command: Call, local: Call) -> None:
    for name, (before, _, _) in CRASHES.items():
        local(name, f"print('about to'); {before}")
    folder = local("fine")
    names = [*CRASHES, "fine"]
    result = command("nodes", "doctor", *names, "--extra-path", folder, "--timeout", 12, "--json")
    assert result.code == 1
    found = {event["type"]: event for event in result.of("checkup")}
    assert set(found) == set(names)
    assert found["fine"]["ok"] is True, found["fine"]
    for name, (_, problem, advice) in CRASHES.items():
        assert problem in found[name]["problem"], name
        assert advice in found[name]["advice"], name
    assert found["segfault"]["output"]
    assert "no_such_library" in found["raises"]["traceback"]
    assert (result.summary["ok"], result.summary["failed"]) == (1, len(CRASHES))


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (_NODE + "\n(", "SyntaxError: '(' was never closed (…node.py, line 24)"),
        (
            _NODE.replace("initialize(self)", "__init__(self, word)"),
            "; a node is made without arguments, and finds its settings in self.config",
        ),
        (_NODE.replace('print("at work")', "1 / 0"), "division by zero (…node.py, line 19)"),
    ],
    ids=["syntax", "arguments", "raises"],
)
def test_doctor_tells_where_in_the_node(
    command: Call, install: Call, tmp_path: Path, node: str, problem: str
) -> None:
    plugin = _PLUGIN.replace("node import", "config import")
    config = _NODE.partition("class Parrot")[0].replace("word: str", 'word: str = ""')
    install("parrot", node=node, config=config, plugin=plugin)
    (found,) = command("nodes", "doctor", "parrot", "--initialize", "--json").of("checkup")
    place = str(tmp_path / "site" / "acme_parrot") + "/"
    assert found["problem"].replace(place, "…").endswith(problem)


def test_doctor_initializes_when_asked(command: Call, local: Call, install: Call) -> None:
    install("parrot", node=_NODE, plugin=_PLUGIN)
    result = command("nodes", "doctor", "parrot", "--initialize")
    assert result.code == 1
    assert "initialize() raised ValidationError" in result.out
    assert "missing required field `word`" in result.out
    folder = local("fine")
    out = command("nodes", "doctor", "fine", "--initialize", "--extra-path", folder).out
    assert ", initialize 0." in out


def test_doctor_tells_of_broken_plugins(command: Call, install: Call) -> None:
    install("broken", plugin="import no_such_library")
    result = command("nodes", "doctor", "--json")
    assert result.code == 1
    assert [problem["plugin"] for problem in result.of("problem")] == ["broken"]
    assert result.summary["problems"] == 1
    assert all(checkup["ok"] for checkup in result.of("checkup"))


def test_doctor_of_a_type_that_is_not_there(command: Call) -> None:
    assert command("nodes", "doctor", "whispre").code == 2


def test_doctor_stops_at_a_signal_and_leaves_nothing(start: Call, local: Call) -> None:
    before = "import sys, threading; print('here', file=sys.stderr); threading.Event().wait()"
    folder = local("hangs", before)
    local("fine")
    process = start("nodes", "doctor", "fine", "hangs", "--extra-path", folder)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ok      fine")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
