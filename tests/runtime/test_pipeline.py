"""Pipelines: every mistake at once, each with its place, and nothing started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import ConfigError, DataError, PipelineError, SessionError
from remotemedia.runtime import Pipeline, Runtime

if TYPE_CHECKING:
    from pathlib import Path

TEN_MISTAKES = """\
name = "all wrong"
extra_paths = ["NODES"]
outputs = ["sink.nothing"]
edges = [
  "src.output -> shout.text_in",
  "src.nothing -> sink.input",
  "nobody.output -> sink.input",
  "shout.text -> sink.input",
  "shout.text -> sink.input",
  "sink.output -> shout.text",
]
[nodes.src]
type = "samples:Ech"
[nodes.shout]
type = "shout"
executor = "inlnie"
[nodes.sink]
type = "samples:Echo"
on_error = "ignore"
[nodes.typed]
type = "samples:Typed"
config.factor = "much"
config.lable = "x"
[nodes."bad/id"]
type = "samples:Echo"
[nodes.gone]
type = "whispr"
"""
WANTED = {
    3: "'sink' has no output 'nothing'",
    7: "there is no node 'nobody'",
    13: "has no class 'Ech'; did you mean 'Echo'",
    16: "unknown executor 'inlnie'; did you mean 'inline'",
    19: "on_error is 'stop' or 'continue', not 'ignore'",
    22: "config key 'factor'",
    23: "unknown config key 'lable'; did you mean 'label'",
    24: "'bad/id' is not valid",
    27: "node type 'whispr' is not installed",
}


def problems(path: Path) -> list[str]:
    with pytest.raises(PipelineError) as caught:
        Runtime().check(Pipeline.load(path))
    return list(caught.value.problems)


def written(tmp_path: Path, text: str, nodes: Path) -> Path:
    path = tmp_path / "pipeline.toml"
    path.write_text(text.replace("NODES", str(nodes)), encoding="utf-8")
    return path


def test_ten_mistakes_are_found_at_once_each_with_its_line(tmp_path: Path, nodes: Path) -> None:
    path = written(tmp_path, TEN_MISTAKES, nodes)
    found = problems(path)
    for line, text in WANTED.items():
        assert any(p.startswith(f"{path}:{line}: ") and text in p for p in found), (line, found)
    for text in ("connected twice", "it would wait for itself"):
        assert any(text in problem for problem in found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the pipeline has no nodes"),
        ("nodes = 5", "nodes must be tables"),
        ("[nodes]\na = 5", "node 'a' needs a type"),
        ("[nodes.a]\n", "node 'a' needs a type"),
        ("[nodes.a]\ntype = 5", "node 'a' needs a type"),
        ("[nodes.a]\ntype = 'shout'\nmodel = 'x'", "model.*config.model"),
        ("[nodes.a]\ntype = 'shout'\nconfig = 5", "config must be a table"),
        ("nme = 'x'\n[nodes.a]\ntype = 'shout'", "unknown key 'nme'; did you mean 'name'"),
        ("name = 5\n[nodes.a]\ntype = 'shout'", "name must be a string"),
        ("edges = 5\n[nodes.a]\ntype = 'shout'", "edges must be a list"),
        ("edges = ['a']\n[nodes.a]\ntype = 'shout'", "must read"),
        ("edges = [5]\n[nodes.a]\ntype = 'shout'", "edge 5 needs from and to"),
        ("edges = [{from='a', to='a', polcy='x'}]\n[nodes.a]\ntype = 'shout'", "'policy'"),
        ("edges = [{from='a', to='a', policy='x'}]\n[nodes.a]\ntype = 'shout'", "policy 'x'"),
        ("edges = [{from='a', to='a', capacity=0}]\n[nodes.a]\ntype = 'shout'", "capacity"),
        ("extra_paths = ['no/such']\n[nodes.a]\ntype = 'shout'", "is no directory"),
        ("outputs = 'a'\n[nodes.a]\ntype = 'shout'", "outputs must be a list of strings"),
    ],
)
def test_a_mistake_of_form_is_an_error_with_its_place(
    tmp_path: Path, nodes: Path, text: str, message: str
) -> None:
    import re

    head = "" if "extra_paths" in text or not text else 'extra_paths = ["NODES"]\n'
    path = written(tmp_path, head + text, nodes)
    found = problems(path)
    assert any(re.search(message, problem) for problem in found), found
    assert all(problem.startswith(str(path)) for problem in found), found


@pytest.mark.parametrize("text", ["x = [", "a = 1\na = 2", "\0"])
def test_a_file_that_is_no_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        Pipeline.load(path)


def test_types_are_checked_when_the_pipeline_is_built(tmp_path: Path, nodes: Path) -> None:
    (tmp_path / "audio_only.py").write_text(
        "from remotemedia.core.multiprocessing import MultiprocessNode, register_node\n"
        "from remotemedia.core.ports import Port\n"
        "@register_node('audio_only', inputs=[Port('samples', 'audio')])\n"
        "class AudioOnly(MultiprocessNode):\n"
        "    def process(self, data): return data\n",
        encoding="utf-8",
    )
    pipeline = Pipeline(extra_paths=[nodes, tmp_path])
    pipeline.add_node("shout", "a").add_node("audio_only", "b").connect("a", "text", "b", "samples")
    with pytest.raises(PipelineError, match=r"a\.text_out gives text, but b\.samples takes audio"):
        Runtime().check(pipeline)


def test_checking_imports_no_node(nodes: Path) -> None:
    Runtime().check(Pipeline(extra_paths=[nodes]).add_node("broken_import:Never", "n"))


def test_a_required_input_that_nothing_is_connected_to(nodes: Path) -> None:
    pipeline = Pipeline(extra_paths=[nodes])
    pipeline.add_node("samples:Echo", "a").add_node("two_inputs", "b")
    pipeline.connect("a", "output", "b", "right")
    with pytest.raises(PipelineError, match="node 'b': input 'left' is not connected"):
        Runtime().check(pipeline)


def test_by_default_open_ports_are_the_applications(nodes: Path) -> None:
    pipeline = Pipeline(extra_paths=[nodes])
    pipeline.add_node("samples:Echo", "a").add_node("split", "b")
    pipeline.connect("a", "output", "b", "input")
    graph = Runtime().check(pipeline)
    assert [str(ref) for ref in graph.inputs] == ["a.input"]
    assert [str(ref) for ref in graph.outputs] == ["b.low", "b.high"]


# ---- mistakes in Python


def test_an_id_can_be_given_once(pipeline: Pipeline) -> None:
    pipeline.add_node("samples:Echo", "a")
    with pytest.raises(PipelineError, match="'a' is there already"):
        pipeline.add_node("samples:Echo", "a")


def test_with_executor_needs_a_node() -> None:
    with pytest.raises(PipelineError, match=r"call add_node\(\) first"):
        Pipeline().with_executor("inline")


@pytest.mark.parametrize("wrong", ["a/b", "a\nb", "", "-a", "x" * 65, 5, None], ids=repr)
def test_a_bad_node_id_is_refused(pipeline: Pipeline, wrong: object) -> None:
    with pytest.raises(PipelineError, match=r"node id .* is not valid"):
        Runtime().check(pipeline.add_node("samples:Echo", wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [int, 5, None, object(), "samples", ":", "samples:"])
def test_what_is_no_node_type_is_refused_before_anything_starts(
    pipeline: Pipeline, wrong: object
) -> None:
    with pytest.raises(PipelineError, match="'n'"):
        Runtime().check(pipeline.add_node(wrong, "n"))  # type: ignore[arg-type]


def test_a_class_that_no_other_process_could_find_is_refused(pipeline: Pipeline) -> None:
    from remotemedia.core.multiprocessing import MultiprocessNode

    class Local(MultiprocessNode):
        def process(self, data: object) -> None:
            return None

    with pytest.raises(PipelineError, match=r"function|module"):
        Runtime().check(pipeline.add_node(Local, "n"))


@pytest.mark.parametrize("wrong", ["text", 5, [1]], ids=repr)
def test_a_config_that_is_no_mapping_is_refused(pipeline: Pipeline, wrong: object) -> None:
    with pytest.raises(PipelineError, match="config"):
        Runtime().check(pipeline.add_node("samples:Echo", "n", wrong))  # type: ignore[arg-type]


def test_a_config_that_can_not_travel_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(PipelineError, match="values as in JSON"):
        Runtime().check(pipeline.add_node("samples:Echo", "n", {"model": object()}))


def test_input_and_output_mean_the_main_ports(tmp_path: Path) -> None:
    (tmp_path / "speakers.py").write_text(
        "from remotemedia.core.multiprocessing import MultiprocessNode, register_node\n"
        "from remotemedia.core.ports import Port\n"
        "TEXT, AUDIO = Port('text', 'text', False), Port('audio', 'audio', False, main=True)\n"
        "@register_node('talks', inputs=[Port('text', 'text', False, main=True), AUDIO],\n"
        "               outputs=[TEXT, AUDIO])\n"
        "class Talks(MultiprocessNode):\n"
        "    def process(self, data): return data\n",
        encoding="utf-8",
    )
    pipeline = (
        Pipeline(extra_paths=[tmp_path])
        .add_node("talks", "first")
        .add_node("talks", "second")
        .add_node("talks", "third")
        .connect("first", "output", "second", "input")
        .connect("second", "text", "third", "input")
    )
    edges = [(str(edge.source), str(edge.target)) for edge in Runtime().check(pipeline).edges]
    assert edges == [("first.audio", "second.audio"), ("second.text", "third.text")]


MODES = """\
from typing import Literal
import msgspec
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port

class Config(msgspec.Struct):
    mode: Literal["talk", "listen"] = "talk"

TALK, LISTEN = ("mode", ("talk",)), ("mode", ("listen",))

@register_node(
    "modes",
    config=Config,
    inputs=[Port("text", "text", main=True, when=TALK), Port("audio", "audio", when=LISTEN)],
    outputs=[Port("audio", "audio", main=True, when=TALK), Port("text", "text", when=LISTEN)],
)
class Modes(MultiprocessNode):
    def process(self, data):
        return data
"""


@pytest.fixture
def modes(tmp_path: Path, nodes: Path) -> Path:
    """A pipeline file of `shout`, which gives text, and a node whose ports depend on its mode."""
    (tmp_path / "modes.py").write_text(MODES, encoding="utf-8")
    path = tmp_path / "pipeline.toml"
    head = f'extra_paths = ["{nodes}", "."]\n'
    path.write_text(head + '[nodes.shout]\ntype = "shout"\n[nodes.m]\ntype = "modes"\n', "utf-8")
    return path


def test_by_default_a_node_has_the_ports_of_its_default_config(modes: Path) -> None:
    graph = Runtime().check(Pipeline.load(modes).connect("shout", "text_out", "m", "input"))
    assert [str(edge.target) for edge in graph.edges] == ["m.text"]
    assert [str(ref) for ref in graph.outputs] == ["m.audio"]


@pytest.mark.parametrize("name", ["input", "text", "text_in"])
def test_an_edge_to_a_port_that_the_config_takes_away_is_a_mistake_that_names_the_setting(
    name: str, modes: Path
) -> None:
    text = modes.read_text("utf-8")
    edges = f'edges = ["shout.text -> m.{name}"]\n'
    modes.write_text(f'{edges}{text}config.mode = "listen"\n', "utf-8")
    (problem,) = problems(modes)
    assert problem == (
        f"{modes}:1: shout.text -> m.{name}: node 'm' has no input 'text' while config.mode is "
        "'listen'; set it to 'talk'"
    )


def test_with_another_config_other_ports_are_the_applications(modes: Path) -> None:
    modes.write_text(modes.read_text("utf-8") + 'config.mode = "listen"\n', "utf-8")
    pipeline = Pipeline.load(modes)
    graph = Runtime().check(pipeline)
    assert [str(ref) for ref in graph.inputs] == ["shout.text_in", "m.audio"]
    assert [str(ref) for ref in graph.outputs] == ["shout.text_out", "m.text"]
    pipeline.outputs = ["m.audio"]
    with pytest.raises(PipelineError, match=r"m\.audio: node 'm' has no output 'audio' while c"):
        Runtime().check(pipeline)


@pytest.mark.anyio
async def test_what_is_sent_to_a_port_that_the_config_takes_away_is_refused_with_the_setting(
    modes: Path,
) -> None:
    pipeline = Pipeline(extra_paths=[modes.parent]).add_node("modes", "m", {"mode": "listen"})
    async with Runtime() as runtime:
        session = await runtime.create_session("s", pipeline)
        with pytest.raises(SessionError, match=r"'m' has no input 'text' while config\.mode is 'l"):
            await session.send("m.text", "Hello.")
        with pytest.raises(DataError, match=r"takes audio data, not text: node 'm' .* config\."):
            await session.send("m", "Hello.")
        with pytest.raises(SessionError, match="'m' has no output 'audio' while config"):
            await session.receive("m.audio")
