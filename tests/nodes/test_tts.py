from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from remotemedia.core.data import DataType
from remotemedia.core.errors import ConfigError, DataError, NodeError
from remotemedia.core.testing import NodeHarness, silence
from remotemedia.nodes.tts.kokoro import KokoroTtsNode
from remotemedia.nodes.tts.piper import PiperTtsNode

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rate
    from numpy.typing import NDArray

    from remotemedia.nodes.tts.speaking import SpeakingNode

SENTENCES = (
    "The morning train left the station, and nobody on board knew where it was going.",
    "He smiled and said that it did not matter today.",
)


def piper(**config: object) -> NodeHarness:
    return NodeHarness(PiperTtsNode, config, node_id="tts", deadline=45)


def kokoro(**config: object) -> NodeHarness:
    """Return a Kokoro node with one of the voices that come with pip."""
    config = {"voice": "jf_alpha", "language": "en-us", **config}
    return NodeHarness(KokoroTtsNode, config, node_id="tts", deadline=45)


def check_speech(node: NodeHarness, sample_rate: int, word_error_rate: Rate) -> None:
    spoken = node.feed(" ".join(SENTENCES))
    assert [audio.metadata.transcript for audio in spoken] == list(SENTENCES)
    with NodeHarness("whisper", deadline=45) as ears:
        for audio in spoken:
            assert audio.type is DataType.AUDIO
            assert (audio.metadata.sample_rate, audio.metadata.channels) == (sample_rate, 1)
            assert audio.payload.dtype == np.float32
            assert 0.05 < np.abs(audio.payload).max() <= 1
            heard = " ".join(text.payload for text in ears.feed(audio))
            # Two words of fifteen, once in many times: Piper says it differently each time.
            assert word_error_rate(audio.metadata.transcript, heard) <= 0.2


@pytest.mark.speech
def test_what_piper_says_whisper_understands(word_error_rate: Rate) -> None:
    with piper() as node:
        check_speech(node, 22_050, word_error_rate)


@pytest.mark.models
def test_what_kokoro_says_whisper_understands(word_error_rate: Rate) -> None:
    with kokoro() as node:
        check_speech(node, 24_000, word_error_rate)


@pytest.mark.speech
def test_the_first_sentence_leaves_before_the_second_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    synthesize = PiperTtsNode.synthesize

    def counting(node: PiperTtsNode, sentence: str) -> NDArray[np.float32]:
        made.append(sentence)
        return synthesize(node, sentence)

    monkeypatch.setattr(PiperTtsNode, "synthesize", counting)
    with piper() as node:
        made.clear()  # without the warming up
        for _ in node.stream(" ".join(SENTENCES)):
            assert made == [SENTENCES[0]]
            break


@pytest.mark.speech
@pytest.mark.parametrize("text", ["", "  ", "...", "?! —", "\n\n", "\x00"])
def test_nothing_to_say_makes_no_sound_and_no_error(text: str) -> None:
    with piper() as node:
        assert node.feed(text) == []


@pytest.mark.models
def test_kokoro_has_nothing_to_say_either() -> None:
    with kokoro() as node:
        for text in ("", "...", "🙂", "?! —"):
            assert node.feed(text) == []


def seconds(node: NodeHarness) -> float:
    spoken = node.feed(SENTENCES[0])
    return sum(len(audio.payload) / audio.metadata.sample_rate for audio in spoken)


@pytest.mark.speech
def test_rate_and_pause_of_piper() -> None:
    with piper(pause_secs=0) as node:
        normal = seconds(node)
    with piper(pause_secs=0, rate=2.0) as node:
        assert seconds(node) < 0.75 * normal  # Piper's durations are drawn by chance
    with piper(pause_secs=5) as node:
        assert seconds(node) > normal + 3


@pytest.mark.models
def test_rate_of_kokoro() -> None:
    with kokoro(pause_secs=0) as node:
        normal = seconds(node)
    with kokoro(pause_secs=0, rate=2.0) as node:
        assert seconds(node) == pytest.approx(normal / 2, rel=0.2)


def test_audio_is_refused_where_no_port_does_it() -> None:
    with pytest.raises(DataError, match="speaks text, not audio"):
        list(PiperTtsNode().process(silence()))


@pytest.mark.parametrize(
    ("module", "node", "extra"),
    [("piper", PiperTtsNode, "piper"), ("kokoro_onnx", KokoroTtsNode, "kokoro")],
)
def test_a_missing_engine_names_its_extra(
    module: str, node: type[SpeakingNode], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'remotemedia-nodes-tts\[{extra}\]'"):
        node().initialize()


@pytest.mark.speech
def test_what_piper_can_not_load_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    (tmp_path / "bad.onnx.json").write_text("{}", encoding="utf-8")
    with (
        pytest.raises(NodeError, match="could not be loaded as a Piper voice"),
        piper(voice=str(tmp_path / "bad.onnx")),
    ):
        pass


@pytest.mark.speech
def test_a_speaker_that_the_voice_has_not_is_said() -> None:
    with (
        pytest.raises(NodeError, match="has speakers 0 to 0, not 3"),
        piper(speaker=3),
    ):
        pass


@pytest.mark.models
def test_what_kokoro_can_not_do_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(NodeError, match="espeak-ng knows no language 'xx'"),
        kokoro(language="xx"),
    ):
        pass
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with (
        pytest.raises(NodeError, match="could not be loaded as Kokoro-82M"),
        kokoro(model=str(tmp_path / "bad.onnx")),
    ):
        pass
