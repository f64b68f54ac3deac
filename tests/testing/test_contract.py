"""The contract check: each way of not keeping it is told with what, why and what to do."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import NodeSpec, Port
from remotemedia.core.testing import ContractError, check_node_contract, speech

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AUDIO = [Port("audio", "audio")]
TEXT = [Port("text", "text")]


def spec(cls: type, **changes: Any) -> NodeSpec:
    described = {"inputs": AUDIO, "outputs": AUDIO, "summary": "A node.", **changes}
    return NodeSpec("tested", f"{__name__}:{cls.__name__}", **described)


def broken(node: Any, *args: Any, **options: Any) -> str:
    """Return what the check says of a node; it has to say something, and all of it in full."""
    with pytest.raises(ContractError) as caught:
        check_node_contract(node, *args, **options)
    for violation in caught.value.violations:
        assert all(violation[:3])
    return str(caught.value)


# ---- a node that keeps it


class GoodConfig(msgspec.Struct):
    factor: Annotated[float, msgspec.Meta(gt=0)] = 2.0


class Good(MultiprocessNode):
    """Makes audio louder, and takes all care."""

    gain: float | None = None

    def initialize(self) -> None:
        self.report_progress(0.5, "half")
        self.gain = self.config.factor
        self.report_progress(1.0, "whole")

    def process(self, data: RuntimeData) -> RuntimeData:
        samples = data.as_numpy()
        if samples.dtype != np.float32:
            raise DataError("float32 only")
        return RuntimeData.audio(samples * self.gain, data.metadata.sample_rate)

    def cleanup(self) -> None:
        self.gain = None


def test_a_node_that_keeps_it_passes() -> None:
    check_node_contract(spec(Good, config=GoodConfig))


def test_a_node_without_a_declaration_passes_with_what_it_takes() -> None:
    check_node_contract(Anything)
    check_node_contract(Anything, inputs={"input": ["a text", {"b": 1}]})


class Anything(MultiprocessNode):
    """Gives back what it gets."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data


# ---- description


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"api_version": 99}, "was made for SDK API 99"),
        ({"summary": ""}, "has no summary"),
        ({"outputs": [Port("a"), Port("a")]}, "two ports are named 'a'"),
        ({"inputs": [Port("a", "sound")]}, "unknown type 'sound'"),  # type: ignore[arg-type]
    ],
)
def test_a_description_that_is_not_valid(changes: dict[str, Any], message: str) -> None:
    assert message in broken(spec(Good, config=GoodConfig, **changes))


def test_a_target_that_is_not_there() -> None:
    assert "'nowhere:Node' can't be imported" in broken(NodeSpec("n", "nowhere:Node", summary="s"))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a package with a plugin that is installed; returns the name of its node type."""

    def write(source: str, init: str = "") -> str:
        package = tmp_path / "written_by_a_test"
        package.mkdir()
        (package / "__init__.py").write_text(init, encoding="utf-8")
        (package / "node.py").write_text(
            "from remotemedia.core.node import MultiprocessNode\n"
            "class Node(MultiprocessNode):\n    def process(self, data): return data\n",
            encoding="utf-8",
        )
        (package / "plugin.py").write_text(
            "from remotemedia.core.plugin import NodeSpec, hookimpl\n"
            f"{source}\n"
            "@hookimpl\n"
            "def remotemedia_nodes():\n"
            "    return [NodeSpec('written', 'written_by_a_test.node:Node', summary='s')]\n",
            encoding="utf-8",
        )
        info = tmp_path / "written-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: written\nVersion: 1\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(
            "[remotemedia.nodes]\nw = written_by_a_test.plugin\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        return "written"

    before = set(sys.modules)
    yield write  # type: ignore[misc]
    for name in set(sys.modules) - before:
        if name.startswith("written_by_a_test"):
            del sys.modules[name]


def test_a_plugin_that_imports_little_passes(plugin: Callable[..., str]) -> None:
    check_node_contract(plugin(""))


def test_a_plugin_that_imports_the_class(plugin: Callable[..., str]) -> None:
    said = broken(plugin("from written_by_a_test.node import Node"))
    assert "importing written_by_a_test.plugin imports the node's own module" in said


def test_a_package_that_imports_numpy(plugin: Callable[..., str]) -> None:
    assert "importing written_by_a_test.plugin imports numpy" in broken(plugin("", "import numpy"))


def test_a_plugin_that_works_only_where_something_was_imported_before(
    plugin: Callable[..., str],
) -> None:
    said = broken(plugin("import sys\nsys.modules['pytest']"))
    assert "fails in a fresh interpreter" in said
    assert "KeyError: 'pytest'" in said


# ---- config


class WrongDefault(msgspec.Struct):
    factor: Annotated[float, msgspec.Meta(gt=0)] = 0.0
    mode: Literal["a", "b"] = "c"  # type: ignore[assignment]


class NoDefault(msgspec.Struct):
    factor: float


class NoSchema(msgspec.Struct):
    factor: complex = 1j


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        (WrongDefault, ["default of config key 'factor' is not valid", "config key 'mode'"]),
        (NoDefault, ["missing required field `factor`", "give the field a default, or call"]),
        (NoSchema, ["the config NoSchema has no JSON Schema"]),
    ],
)
def test_a_config_whose_defaults_do_not_do(config: Any, messages: list[str]) -> None:
    said = broken(spec(Good, config=config))
    assert all(message in said for message in messages)


def test_a_config_without_defaults_passes_with_one_that_is_given() -> None:
    check_node_contract(spec(Good, config=NoDefault), {"factor": 2.0})
    assert "unknown config key 'factr'" in broken(spec(Good, config=NoDefault), {"factr": 2.0})


# ---- what it gives


class Wrong(MultiprocessNode):
    """Gives text where it says audio."""

    def process(self, data: RuntimeData) -> str:
        return "text"


class Elsewhere(MultiprocessNode):
    """Names an output that is not there."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.audio(data.as_numpy(), 8000, port="sound")


class Silent(MultiprocessNode):
    """Gives nothing."""

    def process(self, data: RuntimeData) -> None:
        return None


class Refuses(MultiprocessNode):
    """Takes nothing."""

    def process(self, data: RuntimeData) -> None:
        raise DataError("I want something else")


class Writes(MultiprocessNode):
    """Works in place."""

    def process(self, data: RuntimeData) -> RuntimeData:
        data.as_numpy()[:] = 0
        return data


class WritesByForce(MultiprocessNode):
    """Works in place, past the protection."""

    def process(self, data: RuntimeData) -> RuntimeData:
        import ctypes

        samples = data.as_numpy()
        ctypes.memset(samples.ctypes.data, 0, samples.nbytes)
        return data


class Swallows(MultiprocessNode):
    """Takes anything, says it; uses audio."""

    def process(self, data: RuntimeData) -> RuntimeData | None:
        return data if data.type.value == "audio" else None


class KeepsALoan(MultiprocessNode):
    """Does not give its loan back."""

    def process(self, data: RuntimeData) -> RuntimeData:
        self.loan = self.loan_audio(8, 8000)
        return data


@pytest.mark.parametrize(
    ("cls", "message", "advice"),
    [
        (Wrong, "output 'audio' gives audio data, got text", "correct the outputs"),
        (Elsewhere, "the node has no output 'sound'; it has 'audio'", "correct the outputs"),
        (Silent, "output 'audio' gave nothing", "remove the output; or call the check with"),
        (Refuses, "process raises DataError: I want something else", "inputs={'audio': […]}"),
        (Writes, "read-only", "work on a copy: array.copy()"),
        (WritesByForce, "it writes into the memory of its input audio#0", "work on a copy"),
        (KeepsALoan, "neither returned nor dropped", "return the loan"),
    ],
)
def test_what_it_gives_is_not_what_it_says(cls: type, message: str, advice: str) -> None:
    said = broken(spec(cls))
    assert message in said
    assert advice in said


def test_an_output_may_be_said_to_be_quiet() -> None:
    check_node_contract(spec(Silent), quiet=["audio"])
    with pytest.raises(TypeError, match="no ports \\['sound'\\]"):
        check_node_contract(spec(Silent), quiet=["sound"])


def test_an_input_of_any_type_swallows_nothing() -> None:
    said = broken(spec(Swallows, inputs=[Port("in")], outputs=[Port("out")]))
    assert "input 'in' is declared for any type, but video, text, tensor, json, bytes" in said
    assert "declare the type" in said


# ---- what it makes of garbage


class Stumbles(MultiprocessNode):
    """Never recovers from an empty message."""

    def process(self, data: RuntimeData) -> RuntimeData:
        if not len(data.as_numpy()):
            self.broken = True
        if vars(self).get("broken"):
            raise RuntimeError("out of order")
        return data


class Exits(MultiprocessNode):
    """Ends its process."""

    def process(self, data: RuntimeData) -> RuntimeData:
        if data.metadata.channels > 2:
            sys.exit(3)
        return data


class HangsOnGarbage(MultiprocessNode):
    """Waits for a sample that does not come."""

    def process(self, data: RuntimeData) -> RuntimeData:
        while not len(data.as_numpy()):
            pass
        return data


def test_after_garbage_it_works_as_before() -> None:
    said = broken(spec(Stumbles))
    assert "after strange data, process raises RuntimeError: out of order" in said


def test_garbage_does_not_end_its_process() -> None:
    assert "it ends its process in process (exit code 3)" in broken(spec(Exits))


def test_garbage_does_not_make_it_hang() -> None:
    said = broken(spec(HangsOnGarbage), deadline=0.3)
    assert "process does not end within 0.3 s" in said
    assert "in process" in said.split("It was here")[1]


# ---- cleanup


class NeedsInitialize(MultiprocessNode):
    """Cleans up what may not be there."""

    def initialize(self) -> None:
        self.report_progress(0.1, "begin")
        self.model = [1]
        self.report_progress(1.0, "end")

    def process(self, data: RuntimeData) -> RuntimeData:
        return data

    def cleanup(self) -> None:
        self.model.clear()


class EmitsWhenStopped(MultiprocessNode):
    """Gives something more when it is stopped."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        try:
            yield data
            yield data
        except GeneratorExit:
            yield data


class LeavesAThread(MultiprocessNode):
    """Forgets its thread."""

    release = threading.Event()

    def initialize(self) -> None:
        threading.Thread(target=self.release.wait, args=(30,), name="forgotten").start()

    def process(self, data: RuntimeData) -> RuntimeData:
        return data


class LeavesADaemon(LeavesAThread):
    """Forgets a thread that would not keep its process alive; a library has one, too."""

    def initialize(self) -> None:
        threading.Thread(target=self.watch, name="forgotten", daemon=True).start()
        wait = self.release.wait
        threading.Thread(target=wait, args=(30,), name="of a library", daemon=True).start()

    def watch(self) -> None:
        self.release.wait(30)


class ReportsLate(MultiprocessNode):
    """Works on after its cleanup."""

    def initialize(self) -> None:
        self.closed = threading.Event()

    def process(self, data: RuntimeData) -> RuntimeData:
        return data

    def cleanup(self) -> None:
        def report() -> None:
            time.sleep(0.2)
            self.report_progress(0.5, "still here")

        threading.Thread(target=report).start()


def test_cleanup_works_where_initialize_did_not() -> None:
    said = broken(spec(NeedsInitialize))
    assert "where initialize fails before it begins, cleanup raises AttributeError" in said
    assert "where initialize fails after its report 1 of progress, cleanup raises" in said
    assert "after its report 2" not in said


def test_nothing_more_comes_when_it_is_stopped() -> None:
    said = broken(spec(EmitsWhenStopped))
    assert "stopped in the middle" in said
    assert "generator ignored GeneratorExit" in said


@pytest.mark.parametrize("node", [LeavesAThread, LeavesADaemon])
def test_no_thread_of_it_runs_on(node: type[MultiprocessNode]) -> None:
    LeavesAThread.release.clear()
    try:
        said = broken(spec(node))
        assert "its thread 'forgotten' runs on after cleanup" in said
        assert "of a library" not in said
    finally:
        LeavesAThread.release.set()


def test_nothing_is_reported_after_cleanup() -> None:
    said = broken(spec(ReportsLate, config=None))
    assert "it reports progress or takes loans after its cleanup" in said


def test_everything_is_told_at_once() -> None:
    class Many(Writes):
        pass

    globals()["Many"] = Many
    with pytest.raises(ContractError) as caught:
        check_node_contract(spec(NeedsInitialize, outputs=TEXT), inputs={"audio": [speech(0.1)]})
    assert len(caught.value.violations) >= 3
    assert str(caught.value).startswith("node type 'tested' does not keep the contract of nodes")
