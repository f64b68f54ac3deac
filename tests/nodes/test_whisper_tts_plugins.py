from __future__ import annotations

from importlib import import_module

import msgspec
import pytest

from remotemedia.core.plugin import NodeSpec

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
