"""Ports: which one a name means, and which may be connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import pytest

from remotemedia.core.configured import configured, why_absent
from remotemedia.core.plugin import NodeSpec
from remotemedia.core.ports import PORT_TYPES, Port, match_port
from remotemedia.core.specs import wrong_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT_AND_AUDIO = (Port("text", "text"), Port("audio", "audio"))
SUFFIXED = (Port("text_out", "text"), Port("audio_out", "audio"))


@pytest.mark.parametrize(
    ("name", "ports", "side", "meant"),
    [
        # the three spellings of the quick start, on nodes that declare nothing
        ("text_out", [Port("output")], "output", "output"),
        ("text_in", [Port("input")], "input", "input"),
        ("text", [Port("output")], "output", "output"),
        ("output", [Port("output")], "output", "output"),
        ("input", [Port("input")], "input", "input"),
        # and on nodes that declare one typed port
        ("text_out", [Port("text", "text")], "output", "text"),
        ("text", [Port("text_out", "text")], "output", "text_out"),
        ("output", [Port("transcript", "text")], "output", "transcript"),
        ("text", [Port("transcript", "text")], "output", "transcript"),
        ("text_out", [Port("transcript", "text")], "output", "transcript"),
        ("input", [Port("samples", "audio")], "input", "samples"),
        ("audio_in", [Port("samples", "audio")], "input", "samples"),
        # several ports: the name, or the name with the suffix
        ("text", TEXT_AND_AUDIO, "output", "text"),
        ("text_out", TEXT_AND_AUDIO, "output", "text"),
        ("text", SUFFIXED, "output", "text_out"),
        ("audio_out", SUFFIXED, "output", "audio_out"),
        # an exact name is preferred
        ("text", [Port("text_out"), Port("text")], "output", "text"),
        ("text_out", [Port("text"), Port("text_out")], "output", "text_out"),
        # what is meant by none
        ("output", TEXT_AND_AUDIO, "output", None),
        ("video", TEXT_AND_AUDIO, "output", None),
        ("audio", [Port("transcript", "text")], "output", None),
        ("input", [Port("output")], "output", None),
        ("text_in", [Port("text_out", "text")], "output", None),
        ("anything", [Port("output")], "output", None),
        ("", [Port("output")], "output", None),
        ("output", [], "output", None),
    ],
)
def test_a_name_means_a_port(
    name: str, ports: Sequence[Port], side: Literal["input", "output"], meant: str | None
) -> None:
    found = match_port(name, ports, side)
    assert (found and found.name) == meant


MAIN = (Port("text", "text", main=True), Port("audio", "audio", main=True), Port("reset"))


@pytest.mark.parametrize(
    ("name", "other", "meant"),
    [
        ("input", Port("text", "text"), "text"),
        ("input_in", Port("samples", "audio"), "audio"),
        ("input", Port("anything"), None),
        ("input", Port("frames", "video"), None),
        ("input", None, None),
        ("reset", Port("text", "text"), "reset"),
        ("audio_in", Port("text", "text"), "audio"),
    ],
)
def test_of_several_main_inputs_the_one_is_meant_that_fits(
    name: str, other: Port | None, meant: str | None
) -> None:
    found = match_port(name, MAIN, "input", other)
    assert (found and found.name) == meant


def test_of_several_outputs_the_main_one_is_meant() -> None:
    audio = Port("audio", "audio", main=True)
    assert match_port("output", (Port("text", "text"), audio), "output") is audio


@pytest.mark.parametrize("one", PORT_TYPES)
@pytest.mark.parametrize("other", PORT_TYPES)
def test_ports_fit_when_something_could_pass(one: str, other: str) -> None:
    fits = Port("a", one).fits(Port("b", other))  # type: ignore[arg-type]
    assert fits == (one == other or "any" in (one, other))


def test_a_port_accepts_its_type_only() -> None:
    assert Port("a", "text").accepts("text")
    assert not Port("a", "text").accepts("audio")
    assert Port("a").accepts("audio")


# ---- ports that depend on the config


class Mode(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a node can be told."""

    how: Literal["both", "read", "write"] = msgspec.field(default="both", name="mode")


DEPENDENT = NodeSpec(
    "n",
    "m:C",
    inputs=[
        Port("audio", "audio", main=True, when=("mode", ("both", "write"))),
        Port("text", "text", main=True, when=("mode", ("both", "read"))),
        Port("reset"),
    ],
    outputs=[Port("text", "text", when=("mode", ("write",))), Port("audio", "audio")],
    config=Mode,
)


@pytest.mark.parametrize(
    ("config", "inputs", "outputs"),
    [
        ({}, ["audio", "text", "reset"], ["audio"]),
        ({"mode": "read"}, ["text", "reset"], ["audio"]),
        ({"mode": "write"}, ["audio", "reset"], ["text", "audio"]),
    ],
)
def test_a_node_has_the_ports_that_its_config_gives_it(
    config: dict[str, str], inputs: list[str], outputs: list[str]
) -> None:
    spec, absent = configured(DEPENDENT, config)
    assert [port.name for port in spec.inputs] == inputs
    assert [port.name for port in spec.outputs] == outputs
    assert len(inputs) + len(outputs) + len(absent) == 5
    assert wrong_spec(spec) is wrong_spec(DEPENDENT) is None


@pytest.mark.parametrize(
    ("name", "other", "meant"),
    [
        ("text", None, "text"),
        ("text_in", Port("words", "text"), "text"),
        ("text_in", Port("samples", "audio"), "text"),
        ("input", Port("words", "text"), "text"),
        ("input", Port("frames", "video"), None),
        ("nothing", Port("words", "text"), None),
        ("audio", None, None),
    ],
)
def test_a_port_that_a_node_has_with_another_config_is_told_with_its_setting(
    name: str, other: Port | None, meant: str | None
) -> None:
    _, absent = configured(DEPENDENT, {"mode": "write"})
    why = why_absent(name, absent, "input", other)
    assert (why and why.port.name) == meant
    if why:
        said = "no input 'text' while config.mode is 'write'; set it to 'both' or 'read'"
        assert str(why) == said
