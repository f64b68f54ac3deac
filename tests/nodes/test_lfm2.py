"""What `lfm2_audio` does without its engine: checkpoints, recordings, words, and what it says."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import ConfigError, DataError, PipelineError
from remotemedia.nodes.lfm2.checkpoint import check_checkpoint, find_checkpoint, weight_names
from remotemedia.nodes.lfm2.config import Lfm2AudioConfig
from remotemedia.nodes.lfm2.device import find_device, find_dtype
from remotemedia.nodes.lfm2.engine import Engine
from remotemedia.nodes.lfm2.recording import mono
from remotemedia.nodes.lfm2.words import KnownWords, Words
from remotemedia.runtime import Pipeline, Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

CODEC = "tokenizer-e351c8d8-checkpoint125.safetensors"


def no_hub(hub_id: str) -> str:
    raise ConnectionError(f"no way to {hub_id}\nand more")


def write_weights(file: Path, *names: str) -> None:
    """Write a file in the format of safetensors: four bytes for each tensor."""
    header = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]}
        for at, name in enumerate(names)
    }
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4 * len(names)))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A directory that looks like a checkpoint, up to the numbers in it."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    parts = {"lfm": {}, "encoder": {}, "depthformer": {}, "preprocessor": {}, "codebooks": 8}
    (folder / "config.json").write_text(json.dumps(parts), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    write_weights(folder / "model.safetensors", "a", "b")
    write_weights(folder / CODEC, "c")
    return folder


# ---- where a checkpoint comes from


def test_a_directory_comes_before_everything(checkpoint: Path) -> None:
    assert find_checkpoint(str(checkpoint), no_hub, "s2s") == checkpoint
    assert weight_names(checkpoint, "s2s") == {"a", "b"}


@pytest.mark.parametrize(
    ("model", "hub_id"),
    [("large", "LiquidAI/LFM2-Audio-1.5B"), ("acme/fine-tuned", "acme/fine-tuned")],
)
def test_sizes_and_ids_are_downloaded(model: str, hub_id: str, checkpoint: Path) -> None:
    asked = []

    def download(name: str) -> str:
        asked.append(name)
        return str(checkpoint)

    assert find_checkpoint(model, download, "s2s") == checkpoint
    assert asked == [hub_id]


def test_without_a_network_the_ways_out_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        find_checkpoint("large", no_hub, "s2s")
    message = str(caught.value)
    assert message.startswith("s2s: config key 'model': LiquidAI/LFM2-Audio-1.5B could not be")
    assert "no way to LiquidAI" in message
    assert "let 'model' name that directory" in message
    assert "and more" not in message


@pytest.mark.parametrize("model", ["larg", "./here", "~/there", "a/b/c", "huge"])
def test_what_can_be_no_model_is_not_downloaded(model: str) -> None:
    with pytest.raises(ConfigError, match=r"no directory, no hub id and no size.*sizes are large"):
        find_checkpoint(model, no_hub, "s2s")


# ---- whether it is whole


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


@pytest.mark.parametrize("name", ["model.safetensors", CODEC])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, r"is cut off: \d+ bytes of \d+; the download is not complete"),
        (lambda file: file.write_bytes(b""), "is no file of weights"),
        (lambda file: file.write_bytes(b"\x05\0"), "is no file of weights"),
        (lambda file: file.write_bytes(b"\x02\0\0\0\0\0\0\0[]"), "is no file of weights"),
        (
            lambda file: file.write_text(
                "version https://git-lfs.github.com/spec/v1\noid sha256:0", "utf-8"
            ),
            "is no file of weights",
        ),
        (lambda file: file.unlink(), "has no '"),
    ],
)
def test_half_a_download_is_told_before_it_is_loaded(
    name: str, damage: Any, message: str, checkpoint: Path
) -> None:
    damage(checkpoint / name)
    with pytest.raises(ConfigError, match=message) as caught:
        check_checkpoint(checkpoint, "s2s")
    assert caught.value.key == "model"
    assert name in str(caught.value)


def test_a_checkpoint_without_a_tokenizer_is_not_complete(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"has no 'tokenizer\.json'.*repeat it"):
        check_checkpoint(checkpoint, "s2s")


def test_weights_in_several_files_are_all_looked_at(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    write_weights(checkpoint / "model-1.safetensors", "a")
    with pytest.raises(ConfigError, match=r"lacks model-2\.safetensors"):
        check_checkpoint(checkpoint, "s2s")
    write_weights(checkpoint / "model-2.safetensors", "b")
    check_checkpoint(checkpoint, "s2s")
    assert weight_names(checkpoint, "s2s") == {"a", "b"}


def test_the_checkpoint_of_another_model_is_named(checkpoint: Path) -> None:
    other = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}
    (checkpoint / "config.json").write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(ConfigError, match="is no checkpoint of LFM2-Audio but of 'whisper'"):
        check_checkpoint(checkpoint, "s2s")


@pytest.mark.parametrize("content", ["", "{", "[1]", "\udc80"])
def test_a_config_that_can_not_be_read_is_told(content: str, checkpoint: Path) -> None:
    (checkpoint / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"can't be read|no checkpoint of LFM2-Audio"):
        check_checkpoint(checkpoint, "s2s")


def test_wrong_directories_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no 'config\.json', so it holds no checkpoint"):
        find_checkpoint(str(tmp_path), no_hub, "s2s")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file; give the directory"):
        find_checkpoint(str(tmp_path / "file"), no_hub, "s2s")


# ---- recordings


@pytest.mark.parametrize(
    "samples",
    [
        np.full(1600, 0.5, np.float32),
        np.full((1600, 2), 0.5, np.float64),
        np.full(1600, 1 << 14, np.int16),
        np.full((1600, 2), 1 << 30, np.int32),
        np.full(1600, 192, np.uint8),
    ],
)
def test_audio_of_any_format_becomes_mono_float32(samples: Any) -> None:
    heard = mono(RuntimeData.audio(samples, 16_000), 60)
    assert heard.dtype == np.float32
    assert heard == pytest.approx(np.full(1600, 0.5))


@pytest.mark.parametrize("rate", [8_000, 44_101, 96_000])
def test_any_sample_rate_becomes_16_khz(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    heard = mono(RuntimeData.audio(tone, rate), 60)
    assert len(heard) == 16_000
    assert int(np.argmax(np.abs(np.fft.rfft(heard)))) == 440


def test_a_recording_is_a_copy_without_what_is_no_number() -> None:
    samples = np.full(1600, np.nan, np.float32)
    heard = mono(RuntimeData.audio(samples, 16_000), 60)
    assert not np.shares_memory(heard, samples)
    assert not heard.any()


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (3600, r"a turn of 3,600\.0 s is over the limit of 60 s; raise 'max_turn_secs'"),
        (0.02, "20 ms of audio are no turn"),
        (0, "0 ms of audio are no turn"),
    ],
)
def test_what_is_no_turn_is_refused(seconds: float, message: str) -> None:
    samples = np.zeros(int(seconds * 100), np.float32)
    with pytest.raises(DataError, match=message):
        mono(RuntimeData.audio(samples, 100), 60)


def test_integers_that_were_not_scaled_are_told() -> None:
    with pytest.raises(DataError, match="send integers as int16"):
        mono(RuntimeData.audio(np.full(1600, 20_000.0), 16_000), 60)


# ---- words


def _bytes(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode(errors="replace")


def test_pieces_hold_whole_characters_and_together_the_whole() -> None:
    words = Words(_bytes)
    pieces = []
    for token in " größer 🙂".encode():
        words.add(token)
        pieces.append(words.piece())
    assert "".join(pieces) == " größer 🙂"
    assert words.text == "größer 🙂"
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)


def test_the_last_piece_has_what_is_no_whole_character_too() -> None:
    words = Words(_bytes)
    for token in b"a\xf0\x9f":
        words.add(token)
    assert words.piece() == "a"
    assert words.piece(last=True) == "\N{REPLACEMENT CHARACTER}"
    assert words.piece(last=True) == ""


def test_words_that_are_known_are_one_piece() -> None:
    words = KnownWords("Good morning.")
    assert words.piece() == words.text == "Good morning."
    assert words.piece(last=True) == ""


# ---- devices


def machine_with(count: int) -> SimpleNamespace:
    """Return as much of torch as says which devices there are: this machine may have none."""
    cuda = SimpleNamespace(is_available=lambda: count > 0, device_count=lambda: count)
    return SimpleNamespace(cuda=cuda, float32="f32", bfloat16="bf16", float16="f16")


@pytest.mark.parametrize(
    ("asked", "count", "device"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_the_device_is_the_one_that_was_asked_for(asked: str, count: int, device: str) -> None:
    torch = machine_with(count)
    assert find_device(torch, asked, "s2s") == device
    assert find_dtype(torch, "auto", device) == ("f32" if device == "cpu" else "bf16")
    assert find_dtype(torch, "float16", device) == "f16"


@pytest.mark.parametrize(
    ("asked", "count", "message"),
    [
        ("cuda", 0, "'cuda' was asked for, but no CUDA device is visible; use device='cpu'"),
        ("cuda:1", 1, "there is no 'cuda:1': 1 CUDA devices are visible, counted from 0"),
    ],
)
def test_a_device_that_is_not_there_is_told(asked: str, count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        find_device(machine_with(count), asked, "s2s")
    assert (caught.value.where, caught.value.key) == ("s2s", "device")


# ---- what it says


def test_a_missing_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liquid_audio", None)
    with pytest.raises(ConfigError, match=r"liquid-audio can't be imported.*nodes-lfm2\[engine\]"):
        Engine(Lfm2AudioConfig(), "s2s", lambda fraction, message: None)


def test_an_old_python_is_told_from_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liquid_audio", None)
    monkeypatch.setattr(sys, "version_info", (3, 11, 0, "final", 0))
    with pytest.raises(ConfigError, match=r"it needs Python 3\.12 or newer.*python = \"3\.12\""):
        Engine(Lfm2AudioConfig(), "s2s", lambda fraction, message: None)


def test_it_is_connected_as_the_quick_start_does() -> None:
    pipeline = (
        Pipeline()
        .add_node("lfm2_audio", "asr", {"mode": "transcription"})
        .add_node("lfm2_audio", "s2s", {"model": "large", "device": "cuda"})
        .add_node("lfm2_audio", "again")
        .add_node("lfm2_audio", "more")
        .connect("asr", "text_out", "s2s", "text_in")
        .connect("asr", "output", "again", "input")
        .connect("s2s", "audio_out", "again", "audio_in")
        .connect("s2s", "output", "more", "input")
    )
    graph = Runtime().check(pipeline)
    ports = {f"{edge.source}->{edge.target}" for edge in graph.edges}
    assert ports == {
        "asr.text->s2s.text",
        "asr.text->again.text",
        "s2s.audio->again.audio",
        "s2s.audio->more.audio",
    }


@pytest.mark.parametrize(
    ("mode", "inputs", "outputs"),
    [
        ("conversation", ["s2s.audio", "s2s.text", "s2s.reset"], ["s2s.audio", "s2s.text"]),
        ("transcription", ["s2s.audio", "s2s.reset"], ["s2s.text"]),
        ("speech", ["s2s.text", "s2s.reset"], ["s2s.audio"]),
    ],
)
def test_a_mode_has_the_ports_of_what_it_takes_and_gives(
    mode: str, inputs: list[str], outputs: list[str]
) -> None:
    graph = Runtime().check(Pipeline().add_node("lfm2_audio", "s2s", {"mode": mode}))
    assert [str(ref) for ref in graph.inputs] == inputs
    assert [str(ref) for ref in graph.outputs] == outputs


@pytest.mark.parametrize("name", ["text", "text_in", "input"])
def test_text_for_a_mode_that_takes_audio_alone_is_a_mistake_of_the_pipeline(name: str) -> None:
    pipeline = (
        Pipeline()
        .add_node("lfm2_audio", "asr", {"mode": "transcription"})
        .add_node("lfm2_audio", "s2s", {"mode": "transcription"})
        .connect("asr", "text", "s2s", name)
    )
    with pytest.raises(
        PipelineError,
        match=r"node 's2s' has no input 'text' while config\.mode is 'transcription'; "
        r"set it to 'conversation' or 'speech'",
    ):
        Runtime().check(pipeline)


@pytest.mark.parametrize("name", ["audio", "audio_in", "input"])
def test_audio_for_a_mode_that_takes_text_alone_is_a_mistake_of_the_pipeline(name: str) -> None:
    pipeline = (
        Pipeline()
        .add_node("lfm2_audio", "tts", {"mode": "speech"})
        .add_node("lfm2_audio", "s2s", {"mode": "speech"})
        .connect("tts", "audio", "s2s", name)
    )
    with pytest.raises(PipelineError, match=r"no input 'audio' while config\.mode is 'speech'"):
        Runtime().check(pipeline)
