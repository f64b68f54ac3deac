"""NodeHarness: a node without processes does what it does in one."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import (
    DataError,
    LoanError,
    NodeError,
    PipelineError,
    PluginError,
    ProcessCrashError,
    SessionClosed,
    SessionError,
)
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import NodeSpec, Port, register_node
from remotemedia.core.testing import NodeHarness, NodeTimeout, speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SOON = 0.3


def payloads(items: list[RuntimeData]) -> list[Any]:
    return [item.payload for item in items]


class Repeat(MultiprocessNode):
    """Says a text three times."""

    def process(self, data: RuntimeData) -> Iterator[str]:
        for self.made in range(3):
            yield f"{data.payload} {self.made}"


# ---- every way to write `process`


def plain(self: object, data: RuntimeData) -> str:
    return data.payload.upper()


def several(self: object, data: RuntimeData) -> list[str | None]:
    return [data.payload, None, data.payload]


def generator(self: object, data: RuntimeData) -> Iterator[str]:
    yield data.payload
    yield data.payload


async def coroutine(self: object, data: RuntimeData) -> str:
    await asyncio.sleep(1)
    return data.payload.upper()


async def async_generator(self: object, data: RuntimeData) -> AsyncIterator[str]:
    yield data.payload
    await asyncio.sleep(1)
    yield data.payload


def nothing(self: object, data: RuntimeData) -> None:
    return None


@pytest.mark.parametrize(
    ("process", "given"),
    [
        (plain, ["HI"]),
        (several, ["hi", "hi"]),
        (generator, ["hi", "hi"]),
        (coroutine, ["HI"]),
        (async_generator, ["hi", "hi"]),
        (nothing, []),
    ],
)
def test_process_may_be_written_in_any_way(process: object, given: list[str]) -> None:
    cls = type("Node", (MultiprocessNode,), {"process": process})
    with NodeHarness(cls) as node:
        assert payloads(node.feed("hi")) == given
        assert payloads(node.outputs["output"]) == given


def test_initialize_finish_and_cleanup_are_called_in_order() -> None:
    called = []

    class Node(MultiprocessNode):
        async def initialize(self) -> None:
            called.append("initialize")
            self.report_progress(0.5, "half")

        def process(self, data: RuntimeData) -> None:
            called.append("process")

        async def finish(self) -> str:
            called.append("finish")
            return "rest"

        def cleanup(self) -> None:
            called.append("cleanup")

    with NodeHarness(Node, node_id="n", session_id="s") as node:
        assert (node.node.node_id, node.node.session_id) == ("n", "s")
        assert node.progress == [(0.5, "half", "initialize")]
        node.feed("a")
        assert payloads(node.finish()) == ["rest"]
        with pytest.raises(SessionClosed, match="its input has ended"):
            node.feed("b")
    assert called == ["initialize", "process", "finish", "cleanup"]


def test_what_the_node_gets_is_what_a_channel_delivers() -> None:
    got: list[RuntimeData] = []

    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> None:
            got.append(data)

    sent = speech(0.1)
    with NodeHarness(Node, session_id="s") as node:
        node.feed(sent)
        node.feed({"a": [1]})
    audio, value = got
    assert np.array_equal(audio.as_numpy(), sent.as_numpy())
    assert not np.shares_memory(audio.as_numpy(), sent.as_numpy())
    assert not audio.as_numpy().flags.writeable
    assert audio.as_numpy().ctypes.data % 64 == 0
    assert (audio.port, audio.sequence, audio.session_id) == ("input", 0, "s")
    assert (value.sequence, value.payload) == (1, {"a": [1]})


def test_what_it_gave_does_not_change_with_what_it_gave_it_from() -> None:
    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> Iterator[np.ndarray]:
            buffer = np.zeros(2)
            yield buffer
            buffer += 1
            yield buffer

    with NodeHarness(Node) as node:
        first, second = node.feed("go")
    assert first.as_numpy().tolist() == [0, 0]
    assert second.as_numpy().tolist() == [1, 1]


# ---- config


class GainConfig(msgspec.Struct):
    factor: Annotated[float, msgspec.Meta(gt=0)] = 2.0


@register_node("harness_gain", config=GainConfig, inputs=[Port("audio", "audio")])
class Gain(MultiprocessNode):
    """Makes audio louder."""

    def process(self, data: RuntimeData) -> RuntimeData:
        samples = data.as_numpy()
        out = self.loan_audio(len(samples), data.metadata.sample_rate)
        np.multiply(samples, self.config.factor, out=out.as_numpy())
        return out


@pytest.mark.parametrize("name", ["harness_gain", Gain, f"{__name__}:Gain"])
@pytest.mark.parametrize("config", [{"factor": 3}, GainConfig(3.0)])
def test_a_node_is_named_in_any_way(name: Any, config: Any) -> None:
    with NodeHarness(name, config) as node:
        (louder,) = node.feed(RuntimeData.audio(np.ones(4, np.float32), 8000))
    assert louder.as_numpy().tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"factr": 3}, "unknown config key 'factr'; did you mean 'factor'"),
        ({"factor": -1}, "config key 'factor': Expected `float` > 0"),
        (["factor"], "config must be a table"),
    ],
)
def test_a_wrong_config_is_the_error_of_a_pipeline(config: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        NodeHarness(Gain, config)


def test_without_a_struct_config_is_a_mapping_that_can_not_be_written() -> None:
    with NodeHarness(Repeat, {"a": 1}) as node:
        assert node.node.config["a"] == 1
        with pytest.raises(TypeError):
            node.node.config["a"] = 2


def test_a_type_that_is_not_installed_is_said() -> None:
    with pytest.raises(PluginError, match=r"has a node type 'harness_gian'; .*install the pack"):
        NodeHarness("harness_gian")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (f"{__name__}:Nobody", "can't be imported"),
        ("nowhere:Node", "can't be imported"),
        (f"{__name__}:GainConfig", "is no subclass of MultiprocessNode"),
        ("remotemedia.core.node:MultiprocessNode", "has no process"),
    ],
)
def test_a_target_that_is_no_node_is_said(target: str, message: str) -> None:
    with pytest.raises(NodeError, match=message), NodeHarness(NodeSpec("n", target)):
        pass


# ---- ports


class Split(MultiprocessNode):
    """Gives what it is told, by the port that it is told."""

    def process(self, data: RuntimeData) -> RuntimeData:
        port, text = data.payload.split(" ")
        return RuntimeData.text(text, port=port or None)


SPLIT = NodeSpec(
    "split",
    f"{__name__}:Split",
    inputs=[Port("text", "text"), Port("other", "json")],
    outputs=[Port("a", "text"), Port("b", "any"), Port("c", "audio")],
)


def test_outputs_are_kept_by_port() -> None:
    with NodeHarness(SPLIT) as node:
        (item,) = node.feed("a 1", "text_in")
        assert item.port == "a"
        node.feed("b 2", "text")
        assert {port: payloads(items) for port, items in node.outputs.items()} == {
            "a": ["1"],
            "b": ["2"],
            "c": [],
        }


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (" 1", "the node has the outputs 'a', 'b', 'c': set port="),
        ("d 1", "the node has no output 'd'"),
        ("c 1", "output 'c' gives audio data, got text"),
    ],
)
def test_an_item_that_fits_no_output_is_an_error(told: str, message: str) -> None:
    with NodeHarness(SPLIT) as node, pytest.raises(NodeError, match=message) as caught:
        node.feed(told, "text")
    assert isinstance(caught.value.__cause__, DataError)


def test_an_input_takes_its_type_only() -> None:
    message = "failed in process of other#0: DataError: input 'other' takes json data, got text"
    with NodeHarness(SPLIT) as node, pytest.raises(NodeError, match=message):
        node.feed("a 1", "other")


@pytest.mark.parametrize(("port", "message"), [(None, "several inputs"), ("x", "no input 'x'")])
def test_an_input_that_is_not_there_is_said(port: str | None, message: str) -> None:
    with NodeHarness(SPLIT) as node:
        with pytest.raises(SessionError, match=f"{message}; name one of: 'text', 'other'"):
            node.feed("a 1", port)
        assert payloads(node.feed("a 1", "text")) == ["1"]  # which harms nothing


# ---- streams


def test_a_stream_has_the_node_wait_until_it_is_asked() -> None:
    with NodeHarness(Repeat) as node:
        stream = node.stream("x")
        for number in range(3):
            assert next(stream).payload == f"x {number}"
            assert node.node.made == number
        assert next(stream, None) is None
        assert len(node.feed("y")) == 3


def test_leaving_a_stream_stops_the_node_there_and_closes_its_generator() -> None:
    seen = []

    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> Iterator[str]:
            try:
                while True:
                    yield "more"
            finally:
                seen.append("closed")

        def cleanup(self) -> None:
            seen.append("cleanup")

    with NodeHarness(Node) as node:
        for _ in node.stream("x"):
            break
        with pytest.raises(SessionClosed, match="left early"):
            node.feed("y")
    assert seen == ["closed", "cleanup"]
    assert len(node.outputs["output"]) == 1


def test_a_stream_ends_with_the_error_of_the_node() -> None:
    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> Iterator[str]:
            yield "one"
            raise RuntimeError("no more")

    with NodeHarness(Node) as node:
        stream = node.stream("x")
        assert next(stream).payload == "one"
        with pytest.raises(NodeError, match="no more"):
            next(stream)


# ---- errors


class Fails(MultiprocessNode):
    """Fails where it is told."""

    def _at(self, stage: str) -> None:
        if self.config.get("stage") == stage:
            raise ZeroDivisionError("on purpose")

    def __init__(self) -> None:
        self._at("import")

    def initialize(self) -> None:
        self._at("initialize")

    def process(self, data: RuntimeData) -> Iterator[str]:
        yield "before"
        if data.payload == "bad":
            self._at("process")
        yield "after"

    def finish(self) -> None:
        self._at("finish")

    def cleanup(self) -> None:
        self.cleaned = True
        self._at("cleanup")


def live(node: NodeHarness) -> None:
    with node:
        node.feed("good")
        node.feed("bad")
        node.finish()


@pytest.mark.parametrize("stage", ["import", "initialize", "process", "finish", "cleanup"])
def test_an_exception_is_told_as_a_session_tells_it(stage: str) -> None:
    harness = NodeHarness(Fails, {"stage": stage}, node_id="n")
    with pytest.raises(NodeError, match="ZeroDivisionError: on purpose") as caught:
        live(harness)
    error = caught.value
    assert (error.node_id, error.stage) == ("n", stage)
    assert error.item == ("input#1" if stage == "process" else "")
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "test_harness.py" in error.remote_traceback
    assert harness.errors == [error]
    assert stage == "import" or harness.node.cleaned  # type: ignore[attr-defined]


def test_what_left_before_the_error_has_left() -> None:
    with NodeHarness(Fails, {"stage": "process"}) as node:
        with pytest.raises(NodeError):
            node.feed("bad")
        assert payloads(node.outputs["output"]) == ["before"]


def test_after_an_error_a_session_ends_unless_it_goes_on() -> None:
    with NodeHarness(Fails, {"stage": "process"}) as node:
        with pytest.raises(NodeError):
            node.feed("bad")
        with pytest.raises(SessionClosed, match="failed in process"):
            node.feed("good")
    with NodeHarness(Fails, {"stage": "process"}, on_error="continue") as node:
        with pytest.raises(NodeError):
            node.feed("bad")
        assert payloads(node.feed("good")) == ["before", "after"]


def test_what_the_test_raises_is_not_hidden_by_the_cleanup() -> None:
    harness = NodeHarness(Fails, {"stage": "cleanup"})
    with pytest.raises(KeyError, match="mine"), harness:
        raise KeyError("mine")
    assert [error.stage for error in harness.errors] == ["cleanup"]


def test_a_node_that_exits_would_have_ended_its_process() -> None:
    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> None:
            sys.exit(7)

    with NodeHarness(Node) as node, pytest.raises(ProcessCrashError) as caught:
        node.feed("x")
    assert (caught.value.exit_code, caught.value.stage) == (7, "process")


def test_what_can_not_be_sent_is_the_test_s_mistake() -> None:
    with NodeHarness(Repeat) as node:
        with pytest.raises(DataError, match="object can't be sent"):
            node.feed(object())
        assert len(node.feed("x")) == 3


def test_what_the_node_can_not_send_is_its_own() -> None:
    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> RuntimeData:
            return RuntimeData.json({"thing": object()})

    with NodeHarness(Node) as node, pytest.raises(NodeError, match="not a JSON-like value"):
        node.feed("x")


@pytest.mark.parametrize("way", ["plain", "coroutine"])
def test_writing_into_an_input_is_an_error(way: str) -> None:
    class Plain(MultiprocessNode):
        def process(self, data: RuntimeData) -> None:
            data.as_numpy()[:] = 0

    class Coroutine(Plain):
        async def process(self, data: RuntimeData) -> None:
            data.as_numpy()[:] = 0

    cls = Plain if way == "plain" else Coroutine
    with NodeHarness(cls) as node, pytest.raises(NodeError, match="read-only"):
        node.feed(speech(0.1))


def test_before_it_starts_and_after_it_ends_nothing_can_be_asked() -> None:
    harness = NodeHarness(Repeat)
    with pytest.raises(SessionError, match="`with` statement"):
        harness.feed("x")
    with pytest.raises(SessionError, match="`with` statement"):
        harness.node  # noqa: B018
    with harness:
        pass
    with pytest.raises(SessionClosed, match="it was closed"):
        harness.feed("x")
    harness.close()  # again, which is nothing


# ---- loans


class Lends(MultiprocessNode):
    """Breaks the rules of loans as it is told."""

    def initialize(self) -> None:
        self.kept: list[RuntimeData] = []
        if self.config.get("early"):
            self.loan_audio(4, 8000)

    def process(self, data: RuntimeData) -> Any:
        loan = self.loan_audio(4, 8000)
        loan.as_numpy()[:] = 1
        if data.payload == "keep":
            self.kept.append(loan)
            return None
        if data.payload == "twice":
            return [loan, loan]
        if data.payload == "fail":
            raise ValueError("with a loan in its hands")
        if data.payload == "many":
            return [self.loan_audio(4, 8000) for _ in range(15)]
        return None if data.payload == "drop" else loan


def test_a_loan_may_be_returned_or_dropped() -> None:
    with NodeHarness(Lends) as node:
        (item,) = node.feed("return")
        assert item.as_numpy().tolist() == [1, 1, 1, 1]
        assert node.feed("drop") == []


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("keep", "neither returned nor dropped"),
        ("twice", "was sent already"),
        ("many", "15 loans of output 'output' are out"),
    ],
)
def test_the_rules_of_loans_hold(how: str, message: str) -> None:
    with NodeHarness(Lends) as node, pytest.raises(NodeError, match=message) as caught:
        node.feed(how)
    assert isinstance(caught.value.__cause__, LoanError)


def test_a_loan_goes_back_with_the_item_that_failed() -> None:
    with NodeHarness(Lends, on_error="continue") as node:
        with pytest.raises(NodeError, match="in its hands"):
            node.feed("fail")
        assert len(node.feed("return")) == 1


def test_outputs_lend_nothing_before_the_node_is_ready() -> None:
    with pytest.raises(NodeError, match="take loans in process"), NodeHarness(Lends, {"early": 1}):
        pass


# ---- deadlines


class Hangs(MultiprocessNode):
    """Hangs where it is told."""

    def _at(self, stage: str) -> None:
        while self.config["stage"] == stage:
            pass

    def initialize(self) -> None:
        self._at("initialize")

    def process(self, data: RuntimeData) -> Iterator[str]:
        yield "one"
        self._at("process")

    def finish(self) -> None:
        self._at("finish")

    def cleanup(self) -> None:
        self._at("cleanup")


@pytest.mark.parametrize("stage", ["initialize", "process", "finish", "cleanup"])
def test_a_node_that_computes_for_ever_fails_the_test_with_its_stack(stage: str) -> None:
    before = set(threading.enumerate())
    # Long enough for the steps before it on any machine.
    with pytest.raises(NodeTimeout, match=f"did not finish {stage}") as caught:
        live(NodeHarness(Hangs, {"stage": stage}, deadline=SOON * 4))
    assert "in _at\n" in caught.value.stack
    # Others may have ended meanwhile: trio's do when they have been idle for a while.
    assert set(threading.enumerate()) <= before


def test_a_stream_has_a_deadline_for_each_item() -> None:
    with NodeHarness(Hangs, {"stage": "process"}, deadline=SOON) as node:
        stream = node.stream("x")
        assert next(stream).payload == "one"
        with pytest.raises(NodeTimeout):
            next(stream)


def test_a_coroutine_that_waits_for_ever_fails_the_test_with_what_it_awaits() -> None:
    cleaned = []

    class Node(MultiprocessNode):
        async def process(self, data: RuntimeData) -> AsyncIterator[str]:
            async for item in self.items():
                yield item

        async def items(self) -> AsyncIterator[str]:
            yield "one"
            await asyncio.Event().wait()  # for ever

        async def cleanup(self) -> None:
            cleaned.append(True)

    with NodeHarness(Node, deadline=SOON) as node, pytest.raises(NodeTimeout) as caught:
        node.feed("x")
    assert "await asyncio.Event().wait()  # for ever" in caught.value.stack
    assert payloads(node.outputs["output"]) == ["one"]
    assert cleaned == [True]


def test_a_node_that_sleeps_in_c_fails_the_test_and_is_left_behind() -> None:
    release = threading.Event()

    class Node(MultiprocessNode):
        def process(self, data: RuntimeData) -> None:
            while not release.wait(3600):
                pass

    began = time.monotonic()
    with pytest.raises(NodeTimeout), NodeHarness(Node, deadline=SOON) as node:
        node.feed("x")
    assert time.monotonic() - began < 10
    release.set()  # for what comes after this test
