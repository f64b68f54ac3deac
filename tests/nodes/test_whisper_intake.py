from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.nodes.whisper.intake import Intake, duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def tone(sample_rate: int, seconds: float = 1.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(sample_rate * seconds)) / sample_rate)


def take(messages: Iterable[RuntimeData]) -> NDArray[np.float32]:
    intake = Intake()
    pieces = [piece for message in messages for piece in intake.push(message)]
    return np.concatenate([*pieces, intake.flush()])


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 192_000])
def test_chunks_of_any_rate_become_the_same_tone_at_16_khz(sample_rate: int) -> None:
    samples = tone(sample_rate).astype(np.float32)
    step = sample_rate // 50
    heard = take(
        RuntimeData.audio(samples[at : at + step], sample_rate)
        for at in range(0, len(samples), step)
    )
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(16_000, abs=2)
    inner = slice(500, 15_500)
    assert np.abs(heard[inner] - tone(16_000)[inner]).max() < 0.005


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"),
    [("int16", 2**15, 0), ("int32", 2**31, 0), ("uint8", 2**7, 128), ("float64", 1, 0)],
)
def test_every_sample_format_has_the_same_loudness(dtype: str, scale: int, zero: int) -> None:
    samples = (tone(16_000) * scale + zero).astype(dtype)
    assert np.abs(take([RuntimeData.audio(samples, 16_000)]) - tone(16_000)).max() < 0.01


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_channels_are_mixed_to_one(dtype: str) -> None:
    left = (tone(16_000) * (1 if dtype == "float32" else 32_767)).astype(dtype)
    both = np.stack([left, np.zeros_like(left)], axis=1)
    assert np.abs(take([RuntimeData.audio(both, 16_000)]) - tone(16_000) / 2).max() < 0.001


def test_the_rate_may_change_between_messages() -> None:
    heard = take(
        RuntimeData.audio(tone(rate).astype(np.float32), rate)
        for rate in (16_000, 44_100, 8_000, 16_000)
    )
    assert len(heard) == pytest.approx(64_000, abs=4)


def test_nothing_is_a_view_of_the_message() -> None:
    samples = tone(16_000).astype(np.float32)
    for piece in Intake().push(RuntimeData.audio(samples, 16_000)):
        assert not np.shares_memory(piece, samples)


def test_values_that_are_no_numbers_become_silence() -> None:
    samples = np.array([0.5, np.nan, np.inf, -np.inf, -0.5], np.float32)
    heard = take([RuntimeData.audio(samples, 16_000)])
    assert heard.tolist() == [0.5, 0, 0, 0, -0.5]


def test_integers_in_a_float_array_are_refused() -> None:
    samples = (tone(16_000) * 32_767).astype(np.float32)
    with pytest.raises(DataError, match=r"lies between -1 and 1.*divide them by 32768"):
        take([RuntimeData.audio(samples, 16_000)])


def test_what_is_no_audio_is_refused() -> None:
    with pytest.raises(DataError, match=r"hears audio, not text; send RuntimeData\.audio"):
        duration(RuntimeData.text("hello"))
