from __future__ import annotations

import importlib.util
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from remotemedia.core.plugin import NodeSpec
from remotemedia.runtime import Pipeline, Runtime

EXAMPLES = Path(__file__).parents[2] / "examples" / "speech-to-speech"
PLUGINS = [f"remotemedia.nodes.{name}.plugin" for name in ("whisper", "tts", "lfm2")]
SPECS = [spec for name in PLUGINS for spec in import_module(name).remotemedia_nodes()]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_node_alone_has_the_config_that_it_has_in_a_pipeline(spec: NodeSpec) -> None:
    module, _, name = spec.target.partition(":")
    node = getattr(import_module(module), name)
    assert spec.config is not None
    assert node.config == spec.config() == msgspec.convert({}, spec.config)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_config_field_is_documented(spec: NodeSpec) -> None:
    assert spec.config is not None
    for field in msgspec.structs.fields(spec.config):
        assert f"{field.name}: " in (spec.config.__doc__ or "")


@pytest.mark.parametrize(
    ("node", "config"),
    [
        ("whisper", {"modell": "base"}),
        ("whisper", {"max_segment_secs": 31}),
        ("whisper", {"device": "tpu"}),
        ("whisper", {"beam_size": "1"}),
        ("piper_tts", {"rate": 0}),
        ("kokoro_tts", {"rate": 3}),
        ("kokoro_tts", {"voice": ""}),
        ("lfm2_audio", {"mode": "singing"}),
        ("lfm2_audio", {"device": "gpu"}),
        ("lfm2_audio", {"max_turn_secs": 3601}),
        ("lfm2_audio", {"max_reply_tokens": 0}),
        ("lfm2_audio", {"seed": 2**32}),
        ("vibe_voice", {"rate": 0.4}),
        ("vibe_voice", {"device": "tpu"}),
        ("vibe_voice", {"device": "cuda:"}),
        ("vibe_voice", {"dtype": "int8"}),
        ("vibe_voice", {"max_turn_secs": 86_400}),
        ("vibe_voice", {"speakers": {"a": "b", "c": "d", "e": "f", "g": "h"}}),
        ("vibe_voice", {"speakers": {"a": ""}}),
    ],
)
def test_config_is_checked_before_anything_starts(node: str, config: dict[str, object]) -> None:
    (spec,) = [spec for spec in SPECS if spec.name == node]
    assert spec.config is not None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(config, spec.config)


# ---- the pipeline of the quick start


@pytest.mark.parametrize(
    "to_s2s", [("text_out", "text_in"), ("text", "input"), ("output", "input")]
)
@pytest.mark.parametrize(
    ("to_tts", "kind"),
    [
        (("audio_out", "audio_in"), "audio"),
        (("output", "input"), "audio"),
        (("audio", "input"), "audio"),
        (("text", "input"), "text"),
    ],
)
def test_the_quick_starts_pipeline_is_connected_in_every_spelling(
    to_s2s: tuple[str, str], to_tts: tuple[str, str], kind: str
) -> None:
    pipeline = (
        Pipeline()
        .add_node("whisper", "asr", {"model": "base", "language": "en"})
        .add_node("lfm2_audio", "s2s", {"model": "large", "device": "cuda"})
        .add_node("vibe_voice", "tts", {"voice": "sarah", "rate": 1.0})
        .connect("asr", to_s2s[0], "s2s", to_s2s[1])
        .connect("s2s", to_tts[0], "tts", to_tts[1])
    )
    edges = [f"{edge.source} -> {edge.target}" for edge in Runtime().check(pipeline).edges]
    assert edges == ["asr.text -> s2s.text", f"s2s.{kind} -> tts.{kind}"]


def _example(name: str) -> Pipeline:
    if name.endswith(".toml"):
        return Pipeline.load(EXAMPLES / name)
    spec = importlib.util.spec_from_file_location("speech_to_speech", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pipeline: Pipeline = module.pipeline(None)
    return pipeline


@pytest.mark.parametrize("name", ["pipeline.toml", "random-weights.toml", "speech_to_speech.py"])
def test_the_examples_of_it_are_that_pipeline_with_an_environment_for_each_node(name: str) -> None:
    pipeline = _example(name)
    versions = []
    for entry in pipeline.nodes.values():
        (requirement,) = entry.options.pop("requirements")
        assert requirement.startswith("remotemedia-nodes-")
        versions.append(entry.options.pop("python"))
    assert versions == ["3.10", "3.12", "3.11"]
    graph = Runtime().check(pipeline)  # here, without their engines
    edges = [f"{edge.source} -> {edge.target}" for edge in graph.edges]
    assert edges == ["asr.text -> s2s.text", "s2s.audio -> tts.audio"]
    assert [node.type.spec.name for node in graph.nodes.values()] == [
        "whisper",
        "lfm2_audio",
        "vibe_voice",
    ]
    assert [str(ref) for ref in (*graph.inputs, *graph.outputs)] == ["asr.audio", "tts.audio"]
