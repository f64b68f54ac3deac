"""Speech made faster or slower while it arrives."""

from __future__ import annotations

import numpy as np
import pytest

from remotemedia.nodes.tts.vibevoice.tempo import Tempo

RATE = 24_000


def spoken(rate: float, samples: np.ndarray, size: int = 3200) -> np.ndarray:
    tempo = Tempo(rate, RATE)
    parts = [tempo.add(samples[at : at + size]) for at in range(0, len(samples), size)]
    return np.concatenate([*parts, tempo.rest()])


def vowel(secs: float, hz: float = 150) -> np.ndarray:
    time = np.arange(int(secs * RATE)) / RATE
    return sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 6)).astype(np.float32) / 3


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.3, 2.0])
@pytest.mark.parametrize("size", [100, 3200, 100_000])
def test_length_changes_and_pitch_and_loudness_do_not(rate: float, size: int) -> None:
    before = vowel(2)
    after = spoken(rate, before, size)
    assert after.dtype == np.float32
    assert len(after) == round(len(before) / rate)
    pitch = np.argmax(np.abs(np.fft.rfft(after))) * RATE / len(after)
    assert pitch == pytest.approx(150, abs=3)
    middle = slice(len(after) // 4, -len(after) // 4)
    assert np.std(after[middle]) == pytest.approx(np.std(before), rel=0.1)


def test_at_rate_one_nothing_is_touched() -> None:
    before = vowel(1)
    assert np.array_equal(spoken(1.0, before), before)


@pytest.mark.parametrize("frames", [0, 1, 200, 1000])
def test_a_turn_shorter_than_a_piece(frames: int) -> None:
    assert len(spoken(1.5, vowel(1)[:frames])) == round(frames / 1.5)


def test_it_holds_back_less_than_a_tenth_of_a_second() -> None:
    tempo = Tempo(2.0, RATE)
    given = sum(len(tempo.add(vowel(0.2))) for _ in range(10))
    assert given > (2.0 - 0.1) * RATE / 2
