"""Data factories: the same for the same arguments, and of every shape that nodes meet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from remotemedia.core.data import AUDIO_FORMATS
from remotemedia.core.errors import DataError
from remotemedia.core.ports import PORT_TYPES
from remotemedia.core.testing import (
    chunks,
    garbage,
    long_text,
    silence,
    speech,
    tensor,
    texts,
    video,
)
from remotemedia.core.testing.channel import transfer
from remotemedia.core.testing.samples import sample


def loudness(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the power of each tenth of a second."""
    step = sample_rate // 10
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    return np.sqrt((whole.astype(np.float64) ** 2).mean(axis=1))


def test_speech_is_the_same_for_the_same_seed() -> None:
    assert np.array_equal(speech(seed=3).as_numpy(), speech(seed=3).as_numpy())
    assert not np.array_equal(speech(seed=3).as_numpy(), speech(seed=4).as_numpy())


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_speech_has_phrases_and_pauses_at_every_rate(sample_rate: int) -> None:
    audio = speech(5.0, sample_rate, seed=1)
    assert len(audio.as_numpy()) == 5 * sample_rate
    level = loudness(audio.as_numpy(), sample_rate)
    assert np.count_nonzero(level > 0.03) > 15
    assert np.count_nonzero(level < 0.01) > 3
    changes = [loud for loud, _ in itertools.groupby(level > 0.02)]
    assert changes.count(True) >= 2


@pytest.mark.parametrize("fmt", AUDIO_FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_audio_has_the_format_and_channels_that_were_asked_for(fmt: str, channels: int) -> None:
    loud, still = (make(0.2, channels=channels, format=fmt) for make in (speech, silence))
    for audio in (loud, still):
        assert (audio.metadata.format, audio.metadata.channels) == (fmt, channels)
        assert audio.as_numpy().dtype == AUDIO_FORMATS[fmt]
    assert len(np.unique(still.as_numpy())) == 1
    assert len(np.unique(loud.as_numpy())) > 10


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(DataError, match="'f31' is unknown; did you mean"):
        speech(format="f31")


def test_chunks_are_the_whole_in_order() -> None:
    audio = speech(0.15, channels=2)
    pieces = list(chunks(audio, ms=40))
    assert [round(piece.metadata.start, 3) for piece in pieces] == [0, 0.04, 0.08, 0.12]
    assert np.array_equal(np.concatenate([p.as_numpy() for p in pieces]), audio.as_numpy())


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "i8", "f2", "f4", "f8", "c8"])
def test_tensors_have_the_dtype_and_shape_that_were_asked_for(dtype: str) -> None:
    array = tensor((2, 0, 3), dtype).as_numpy()
    assert (array.shape, array.dtype) == ((2, 0, 3), np.dtype(dtype))
    assert np.array_equal(tensor((5,), dtype).as_numpy(), tensor((5,), dtype).as_numpy())


@pytest.mark.parametrize("fmt", ["rgb24", "bgr24", "rgba", "gray8"])
def test_frames_of_video_differ(fmt: str) -> None:
    first, second = (video(4, 6, format=fmt, frame=n) for n in (0, 1))
    assert (first.metadata.height, first.metadata.width, first.metadata.format) == (4, 6, fmt)
    assert not np.array_equal(first.as_numpy(), second.as_numpy())


def test_texts_are_of_many_scripts_and_any_length() -> None:
    assert len({text.encode()[:2] for text in texts()}) == len(texts())
    assert len(long_text(12_345)) == 12_345


@pytest.mark.parametrize("data_type", PORT_TYPES)
def test_every_sample_and_all_garbage_can_be_sent(data_type: str) -> None:
    items = {"ordinary": sample(data_type), **garbage(data_type)}
    for what, item in items.items():
        if data_type != "any":
            assert item.type.value == data_type, what
        assert transfer(item, "input", 0).data.type is item.type, what
