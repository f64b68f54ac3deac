"""A checkpoint is looked at before anything loads it: no engine is needed to say what is wrong."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts.vibevoice.checkpoint import find_checkpoint, tokenizer_source

if TYPE_CHECKING:
    from pathlib import Path


def weights(size: int) -> bytes:
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, "w": {"dtype": "U8", "data_offsets": [0, size]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What looks like a checkpoint of VibeVoice in two shards."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "vibevoice"}', encoding="utf-8")
    (folder / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index = json.dumps({"weight_map": shards})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    for shard in shards.values():
        (folder / shard).write_bytes(weights(100))
    return folder


def no_download(repository: str) -> str:
    raise AssertionError(f"{repository} was to be downloaded")


def offline(repository: str) -> str:
    raise OSError(f"no way to the hub for {repository}\nand a second line")


def found(directory: Path) -> Path:
    return find_checkpoint(str(directory), no_download, "tts")


def test_a_whole_checkpoint_is_taken(directory: Path) -> None:
    assert found(directory) == directory


def test_one_file_of_weights_will_do(directory: Path) -> None:
    (directory / "model.safetensors.index.json").unlink()
    (directory / "model.safetensors").write_bytes(weights(3))
    assert found(directory) == directory


@pytest.mark.parametrize("kept", [0, 7, 50, 180])
def test_half_a_download_is_told(directory: Path, kept: int) -> None:
    shard = directory / "model-2.safetensors"
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"'model'.*model-2.safetensors.*half a download"):
        found(directory)


def test_a_missing_shard_is_told(directory: Path) -> None:
    (directory / "model-1.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"lacks model-1.safetensors"):
        found(directory)


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": {"a": 5}}',
        '{"weight_map": {"a": "../../etc/passwd"}}',
        "{",
    ],
)
def test_an_index_that_lists_nothing_is_told(directory: Path, index: str) -> None:
    (directory / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"model\.safetensors\.index\.json"):
        found(directory)


@pytest.mark.parametrize("header", [b"[]", b"{", b'{"w": 5}', b'{"w": {"data_offsets": "ab"}}'])
def test_weights_that_are_none_are_told(directory: Path, header: bytes) -> None:
    content = struct.pack("<Q", len(header)) + header
    (directory / "model-1.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match=r"model-1.safetensors that is none"):
        found(directory)


def test_a_checkpoint_of_another_model_is_told(directory: Path) -> None:
    (directory / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'model'.*a checkpoint of 'qwen2'.*'vibevoice'"):
        found(directory)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_description_that_is_missing_or_torn_is_told(directory: Path, name: str) -> None:
    (directory / name).write_text('{"model', encoding="utf-8")
    with pytest.raises(ConfigError, match=f"has a {name} that can't be read"):
        found(directory)
    (directory / name).unlink()
    with pytest.raises(ConfigError, match=f"has no {name}"):
        found(directory)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("2B", "is no size; .*'1.5B'"),
        ("/no/such/directory", "is no directory"),
        ("./vibe/voice", "is no directory"),
        ("a/b/c", "is no directory"),
    ],
)
def test_what_is_neither_size_nor_id_nor_directory_is_told(model: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_checkpoint(model, no_download, "tts")


def test_a_size_is_downloaded(directory: Path) -> None:
    asked: list[str] = []

    def download(repository: str) -> str:
        asked.append(repository)
        return str(directory)

    assert find_checkpoint("1.5B", download, "tts") == directory
    assert asked == ["microsoft/VibeVoice-1.5B"]


def test_without_a_network_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"could not be downloaded.*hf download.*--local-dir"):
        find_checkpoint("1.5B", offline, "tts")


def test_the_tokenizer_is_that_of_config_directory_or_checkpoint(directory: Path) -> None:
    described = directory / "preprocessor_config.json"
    assert tokenizer_source(directory, None, "tts") == "Qwen/Qwen2.5-1.5B"
    named = '{"language_model_pretrained_name": "Qwen/Qwen2.5-7B"}'
    described.write_text(named, encoding="utf-8")
    assert tokenizer_source(directory, None, "tts") == "Qwen/Qwen2.5-7B"
    (directory / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert tokenizer_source(directory, None, "tts") == str(directory)
    assert tokenizer_source(directory, "/other", "tts") == "/other"
