"""What `lfm2_audio` can't load, it says before it is ready."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.core.errors import NodeError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Checkpoints, Open

CODEC = "tokenizer-e351c8d8-checkpoint125.safetensors"


@pytest.fixture
def copied(checkpoints: Checkpoints, tmp_path: Path) -> Path:
    """A checkpoint that may be damaged: file by file, without changing the others."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for file in checkpoints.converses().iterdir():
        if file.name == CODEC:
            (folder / file.name).symlink_to(file)
        else:
            shutil.copy(file, folder)
    return folder


def fails(node: Any, message: str) -> str:
    with pytest.raises(NodeError, match=message) as caught, node:
        pass
    assert caught.value.stage == "initialize"
    assert caught.value.remote_type == "ConfigError"
    return str(caught.value.remote_message)


def test_progress_is_told_from_the_import_to_ready(checkpoints: Checkpoints, lfm2: Open) -> None:
    with lfm2(checkpoints.converses()) as node:
        told = [report.message.partition(" ")[0] for report in node.progress]
        fractions = [report.fraction for report in node.progress]
    assert told == ["finding", "importing", "loading", "loading", "loading", "warming", "ready"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_weights_that_are_not_there_are_not_left_to_chance(copied: Path, lfm2: Open) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    del weights["depth_linear.bias"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    message = fails(lfm2(copied), "1 are not there, 'depth_linear.bias' among them")
    assert message.startswith("s2s: config key 'model'")


def test_weights_of_another_size_are_told(copied: Path, lfm2: Open) -> None:
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    config["lfm"]["hidden_size"] = 128
    (copied / "config.json").write_text(json.dumps(config), encoding="utf-8")
    fails(
        lfm2(copied), "'model'.*could not be loaded on .*check that it holds a checkpoint of LFM2"
    )


def test_a_tokenizer_that_is_none_is_told(copied: Path, lfm2: Open) -> None:
    (copied / "tokenizer.json").write_text("{}", encoding="utf-8")
    fails(lfm2(copied), "'model'.*could not be loaded on")


def test_the_codec_of_another_model_is_told(copied: Path, lfm2: Open) -> None:
    (copied / CODEC).unlink()
    shutil.copy(copied / "model.safetensors", copied / CODEC)
    fails(lfm2(copied), "'model'.*could not be loaded on")


def test_half_a_download_is_told_before_anything_is_loaded(copied: Path, lfm2: Open) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000_000])
    node = lfm2(copied)
    fails(node, r"'model'.*model\.safetensors' is cut off: 1,000,000 bytes of 2")
    assert not any(report.message.startswith("loading") for report in node.progress)


@pytest.mark.parametrize(
    ("key", "value"), [("max_reply_tokens", 4096), ("system_prompt", "Be brief. " * 500)]
)
def test_what_leaves_no_room_for_a_turn_is_told(
    key: str, value: Any, checkpoints: Checkpoints, lfm2: Open
) -> None:
    node = lfm2(checkpoints.converses(), **{key: value})
    assert fails(node, "leave nothing of the 4,096 tokens").startswith(f"s2s: config key '{key}'")


def test_a_model_that_the_device_has_no_room_for_is_told(
    checkpoints: Checkpoints, lfm2: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from liquid_audio import LFM2AudioModel

    def full(*args: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB.")

    monkeypatch.setattr(LFM2AudioModel, "from_pretrained", full)
    said = fails(lfm2(checkpoints.converses()), "does not fit into the memory of .*Tried to alloc")
    assert said.startswith("s2s: config key 'device'")
    assert "dtype='bfloat16'" in said


def test_a_turn_that_the_model_can_not_hold_is_told_before_it_comes(
    checkpoints: Checkpoints, lfm2: Open
) -> None:
    said = fails(lfm2(checkpoints.converses(), max_turn_secs=3600), r"there is room for 2\d\d s")
    assert said.startswith("s2s: config key 'max_turn_secs': a recording of 3600 s does not fit")
    with lfm2(checkpoints.reads(), mode="speech", max_turn_secs=3600) as node:
        assert node.progress[-1].message == "ready"  # it takes no recordings


def test_a_device_that_is_not_there_is_told(checkpoints: Checkpoints, lfm2: Open) -> None:
    import torch

    if torch.cuda.is_available():
        device, message = "cuda:99", "there is no 'cuda:99'"
    else:
        device, message = "cuda", "'cuda' was asked for, but no CUDA device is visible"
    for model in (str(checkpoints.converses()), "large"):  # which is not downloaded for that
        said = fails(lfm2(checkpoints.converses(), model=model, device=device), message)
        assert said.startswith("s2s: config key 'device'")
