"""What vibe_voice can't load is told before it is ready: the node, the cause, the setting."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import NodeError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Speaker

    from remotemedia.core.testing import NodeHarness


def fails(node: NodeHarness, message: str) -> None:
    with pytest.raises(NodeError, match=message) as caught, node:
        pass
    assert caught.value.stage == "initialize"
    assert caught.value.remote_type == "ConfigError"
    assert caught.value.remote_message.startswith("tts: config key ")


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint to be spoilt."""
    return shutil.copytree(checkpoint, tmp_path / "copy")


def test_a_directory_without_a_checkpoint(speaker: Speaker, tmp_path: Path) -> None:
    fails(speaker(model=str(tmp_path)), r"'model'.*has no config.json")
    fails(speaker(model="/no/such/directory"), r"'model'.*is no directory")


def test_half_a_download(speaker: Speaker, copy: Path) -> None:
    weights = copy / "model.safetensors"
    with weights.open("r+b") as file:
        file.truncate(weights.stat().st_size // 2)
    fails(speaker(model=str(copy)), r"'model'.*model.safetensors.*half a download")


def test_a_checkpoint_of_another_model(speaker: Speaker, copy: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 300}
    Qwen2ForCausalLM(Qwen2Config(**small, **heads)).save_pretrained(copy)
    fails(speaker(model=str(copy)), r"'model'.*a checkpoint of 'qwen2'")


def test_weights_of_another_model_under_this_ones_name(speaker: Speaker, copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    gone = {k: v for k, v in tensors.items() if "prediction_head" not in k}
    save_file(gone, copy / "model.safetensors", metadata={"format": "pt"})
    fails(speaker(model=str(copy)), r"'model'.*lacks \d+ tensors of VibeVoice")


def test_a_config_that_does_not_fit_the_weights(speaker: Speaker, copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["decoder_config"]["hidden_size"] = 32
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    fails(speaker(model=str(copy)), r"'model'.*could not be loaded as VibeVoice")


def test_a_tokenizer_that_is_not_there(speaker: Speaker, copy: Path) -> None:
    fails(speaker(tokenizer=str(copy / "none")), r"'tokenizer'.*tokenizer.json")


def test_a_turn_that_the_model_can_not_hold(speaker: Speaker) -> None:
    fails(speaker(max_turn_secs=5400), r"'max_turn_secs'.*5400 s .* 32768 tokens .* 4369 s; lower")


@pytest.mark.parametrize("device", ["cpu"])
@pytest.mark.parametrize("wanted", ["cuda:99", "mps"])
def test_a_device_that_is_not_there(speaker: Speaker, wanted: str) -> None:
    fails(speaker(device=wanted), rf"'device'.*'{wanted}' is not there.*'auto' or 'cpu'")


def test_a_voice_that_is_not_there(speaker: Speaker) -> None:
    fails(speaker(voice="nobody"), r"'voice'.*no voice 'nobody'.*'sarah'")
    fails(speaker(speakers={"Anna": "gone.wav"}), r"'speakers.Anna'.*is no file")
