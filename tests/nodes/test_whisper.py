from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import ConfigError, DataError, NodeError
from remotemedia.core.testing import NodeHarness
from remotemedia.nodes.whisper.node import WhisperNode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conftest import Chunks, Clip, Rate
    from numpy.typing import NDArray

pytestmark = pytest.mark.speech


def whisper(**config: object) -> NodeHarness:
    return NodeHarness("whisper", config, node_id="asr", deadline=45)


def hear(node: NodeHarness, messages: Iterable[RuntimeData]) -> list[RuntimeData]:
    heard = [text for message in messages for text in node.feed(message)]
    return [*heard, *node.finish()]


def joined(texts: list[RuntimeData]) -> str:
    return " ".join(text.payload for text in texts)


# ---- what it hears


@pytest.mark.parametrize(
    ("sample_rate", "channels", "dtype"),
    [(16_000, 1, "float32"), (44_100, 2, "int16"), (8_000, 1, "float32")],
)
def test_a_recording_in_short_chunks_is_written_down(
    clip: Clip, chunks: Chunks, word_error_rate: Rate, sample_rate: int, channels: int, dtype: str
) -> None:
    samples = clip.at(sample_rate)
    if dtype == "int16":
        samples = (samples * 32_767).astype(np.int16)
    if channels == 2:
        samples = np.stack([samples, samples], axis=1)
    with whisper() as node:
        texts = hear(node, chunks(samples, sample_rate, 20))

    assert word_error_rate(clip.words, joined(texts)) <= 0.1
    seconds = len(samples) / sample_rate
    for text in texts:
        assert 0 <= text.metadata.start < text.metadata.end <= seconds + 0.04
        assert text.metadata.language == "en"
        assert -1 < text.metadata.extra["avg_logprob"] < 0


def test_a_recording_in_one_message_needs_no_end(clip: Clip, word_error_rate: Rate) -> None:
    with whisper() as node:
        texts = node.feed(RuntimeData.audio(clip.samples, 16_000))
        assert word_error_rate(clip.words, joined(texts)) <= 0.1
        assert node.finish() == []


@pytest.mark.parametrize(("gain", "offset"), [(0.1, 0.0), (0.03, 0.0), (0.01, 0.0), (0.5, 0.4)])
def test_quiet_speech_and_speech_off_center_are_heard(
    long_clip: Clip, chunks: Chunks, word_error_rate: Rate, gain: float, offset: float
) -> None:
    samples = ((long_clip.samples * gain + offset) * 32_767).astype(np.int16)
    with whisper() as node:
        texts = hear(node, chunks(samples, 16_000, 20))
    assert word_error_rate(long_clip.words, joined(texts)) == 0


def test_noisy_speech_is_heard(long_clip: Clip, chunks: Chunks, word_error_rate: Rate) -> None:
    level = np.sqrt(np.mean(long_clip.samples**2)) * 10 ** (-15 / 20)
    noise = np.random.default_rng(0).standard_normal(len(long_clip.samples)) * level
    with whisper() as node:
        texts = hear(node, chunks((long_clip.samples + noise).astype(np.float32), 16_000, 20))
    assert word_error_rate(long_clip.words, joined(texts)) <= 0.1


@pytest.mark.parametrize("sound", ["silence", "noise", "hum"])
def test_without_speech_nothing_is_written(sound: str, chunks: Chunks) -> None:
    at = np.arange(16_000 * 8) / 16_000
    samples = {
        "silence": np.zeros(len(at)),
        "noise": np.random.default_rng(0).standard_normal(len(at)) * 0.1,
        "hum": 0.1 * np.sin(2 * np.pi * 50 * at),
    }[sound].astype(np.float32)
    with whisper() as node:
        assert hear(node, chunks(samples, 16_000, 100)) == []


# ---- streams


def test_in_a_long_stream_no_word_is_lost_or_doubled(
    long_clip: Clip, short_clip: Clip, chunks: Chunks, word_error_rate: Rate
) -> None:
    pieces, words = [], []
    for before, between in [(0.3, 0.5), (0.8, 4.0), (0.1, 0.2), (9.0, 1.0)]:
        for pause, clip in [(before, long_clip), (between, short_clip)]:
            pieces += [np.zeros(int(16_000 * pause), np.float32), clip.samples]
            words.append(clip.words)
    stream = np.concatenate(pieces)
    with whisper(max_segment_secs=10) as node:
        texts = hear(node, chunks(stream, 16_000, 20))

    assert word_error_rate(" ".join(words), joined(texts)) <= 0.03
    assert len(texts) >= 6
    for before_text, after_text in pairwise(texts):
        assert before_text.metadata.end <= after_text.metadata.start
    assert texts[-1].metadata.end == pytest.approx(len(stream) / 16_000 - 0.35, abs=0.3)


def test_an_utterance_leaves_when_its_pause_is_over_not_at_the_end(
    short_clip: Clip, chunks: Chunks
) -> None:
    silence = np.zeros(16_000, np.float32)
    with whisper(min_pause_secs=0.5) as node:
        for message in chunks(short_clip.samples[: int(16_000 * 3.1)], 16_000, 20):
            assert node.feed(message) == []
        sent = 0.0
        for message in chunks(silence, 16_000, 20):
            sent += 0.02
            if node.feed(message):
                break
        assert sent < 0.7


def test_short_messages_are_pieces_long_ones_recordings(short_clip: Clip, chunks: Chunks) -> None:
    with whisper() as node:
        messages = list(chunks(short_clip.samples, 16_000, 500))
        assert [text for message in messages for text in node.feed(message)] == []
        assert len(node.finish()) == 1
    with whisper(segmentation="stream") as node:
        assert node.feed(RuntimeData.audio(short_clip.samples, 16_000)) == []
        assert len(node.finish()) == 1


def test_time_goes_on_from_recording_to_recording(short_clip: Clip) -> None:
    with whisper() as node:
        message = RuntimeData.audio(short_clip.samples, 16_000)
        (first,) = node.feed(message)
        (second,) = node.feed(message)
    length = len(short_clip.samples) / 16_000
    assert second.metadata.start - first.metadata.start == pytest.approx(length, abs=0.001)


def test_a_message_that_says_where_it_begins_sets_the_time(short_clip: Clip) -> None:
    with whisper() as node:
        (text,) = node.feed(RuntimeData.audio(short_clip.samples, 16_000, start=100.0))
    assert 100 < text.metadata.start < text.metadata.end < 103.3


def test_an_empty_message_is_nothing(short_clip: Clip) -> None:
    with whisper() as node:
        assert hear(node, [RuntimeData.audio(np.empty(0, np.float32), 44_100)]) == []


# ---- what it refuses


def test_text_is_refused_where_no_port_does_it() -> None:
    with pytest.raises(DataError, match="hears audio, not text"):
        list(WhisperNode().process(RuntimeData.text("hello")))


@pytest.mark.parametrize(
    ("config", "key", "message"),
    [
        ({"model": "tyni.en"}, "model", "did you mean 'tiny.en'"),
        ({"model": "./nowhere"}, "model", "no directory, no hub id and no size.* sizes are base, "),
        ({"device": "cuda"}, "device", "no CUDA device is visible; use device='cpu'"),
        ({"language": "de"}, "language", "knows English only, not 'de'; use a multilingual one"),
        ({"task": "translate"}, "task", "can't translate; use a multilingual one"),
        ({"compute_type": "float16", "device": "cpu"}, "compute_type", "use 'auto' or one of"),
    ],
)
def test_what_can_not_be_had_is_said(
    config: dict[str, object], key: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    with pytest.raises(NodeError, match=message) as caught, whisper(**config):
        pass
    error = caught.value.__cause__
    assert isinstance(error, ConfigError)
    assert (error.where, error.key) == ("asr", key)


def test_a_directory_that_holds_something_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"no model")
    with (
        pytest.raises(NodeError, match="holds a CTranslate2 conversion of Whisper"),
        whisper(model=str(tmp_path)),
    ):
        pass


# ---- what Whisper leaves out


class Heard(NamedTuple):
    """A segment as faster-whisper gives it."""

    text: str
    end: float
    tokens: tuple[int, ...] = (1, 2)
    avg_logprob: float = -0.5


@pytest.mark.parametrize(
    ("stops_at", "expected"),
    [(4.0, " One. Two."), (5.2, " One."), (0.4, " One.")],
    ids=["too early", "early enough", "at once"],
)
def test_what_whisper_did_not_hear_is_heard_in_a_second_pass(
    stops_at: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whisper() as node:
        recognizer = node.node._recognizer
        answers = iter([Heard(" One.", stops_at), Heard(" Two.", 2.0)])
        lengths = []

        def hear_part(samples: NDArray[np.float32], language: str) -> tuple[list[Heard], str]:
            lengths.append(len(samples) / 16_000)
            return [next(answers)], "en"

        monkeypatch.setattr(recognizer, "_hear", hear_part)
        heard = recognizer.transcribe(np.zeros(16_000 * 7, np.float32), voice_end=6.5)
    assert heard.text == expected.strip()
    assert heard.avg_logprob == -0.5
    assert lengths == [7, 7 - stops_at][: len(lengths)]


# ---- loading


def test_progress_grows_to_one() -> None:
    with whisper() as node:
        fractions = [report.fraction for report in node.progress]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0
        assert any("loading tiny.en" in report.message for report in node.progress)


@pytest.mark.models
def test_the_multilingual_model_finds_the_language_and_translates(
    long_clip: Clip, word_error_rate: Rate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with whisper(model="base", task="translate") as node:
        (text,) = node.feed(RuntimeData.audio(long_clip.samples, 16_000))
    assert text.metadata.language == "en"
    assert word_error_rate(long_clip.words, text.payload) <= 0.1
    with (
        pytest.raises(NodeError, match="knows no language 'xx'"),
        whisper(model="base", language="xx"),
    ):
        pass
