from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remotemedia.nodes.whisper.config import WhisperConfig
from remotemedia.nodes.whisper.segmenter import WINDOW, Segmenter, Utterance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


WINDOW_SECS = WINDOW / 16_000


def segment(config: WhisperConfig, speech: Sequence[float], chunk: int = WINDOW) -> list[Utterance]:
    """Segment a stream whose window number n has the value n + 1 in all of its samples."""
    ahead = iter(speech)
    segmenter = Segmenter(config, lambda _: next(ahead))
    samples = np.repeat(np.arange(1, len(speech) + 1, dtype=np.float32), WINDOW)
    found: list[Utterance] = []
    for at in range(0, len(samples), chunk):
        found += segmenter.push(samples[at : at + chunk])
    return found + list(segmenter.flush())


def windows(utterances: Iterable[Utterance]) -> list[int]:
    """Return the numbers of the windows that the utterances hold."""
    return [int(n) - 1 for u in utterances for n in u.samples[::WINDOW]]


RUNS = st.lists(
    st.tuples(st.sampled_from([0.02, 0.2, 0.4, 0.6, 0.97]), st.integers(1, 60)), max_size=12
)


@settings(deadline=None, max_examples=60)
@given(
    runs=RUNS,
    chunk=st.integers(100, 5000),
    longest=st.floats(2, 5),
    pause=st.floats(0.1, 1),
    padding=st.floats(0, 1),
)
def test_every_window_with_voice_leaves_once_and_in_order(
    runs: list[tuple[float, int]], chunk: int, longest: float, pause: float, padding: float
) -> None:
    speech = [p for p, count in runs for _ in range(count)]
    config = WhisperConfig(
        max_segment_secs=longest, min_pause_secs=pause, padding_secs=padding, min_speech_secs=0
    )

    found = segment(config, speech, chunk)

    held = windows(found)
    assert held == sorted(set(held))
    assert set(held) >= {n for n, p in enumerate(speech) if p >= config.speech_threshold}
    for utterance in found:
        assert len(utterance.samples) <= longest * 16_000
        first, last = windows([utterance])[0], windows([utterance])[-1] + 1
        assert utterance.offset == pytest.approx(first * WINDOW_SECS)
        assert utterance.offset <= utterance.start < utterance.end
        assert utterance.end <= last * WINDOW_SECS + 1e-6
    for before, after in pairwise(found):
        assert before.end <= after.start


def test_a_pause_ends_an_utterance_and_padding_surrounds_its_voice() -> None:
    config = WhisperConfig(min_pause_secs=0.64, padding_secs=0.32)
    (first, second) = segment(config, [0.0] * 30 + [0.9] * 20 + [0.0] * 40 + [0.9] * 10)

    assert windows([first]) == list(range(20, 60))
    assert (first.start, first.end) == pytest.approx((30 * WINDOW_SECS, 50 * WINDOW_SECS))
    assert windows([second]) == list(range(80, 100))


def test_a_short_pause_does_not_end_an_utterance() -> None:
    config = WhisperConfig(min_pause_secs=0.64)
    assert len(segment(config, [0.9] * 20 + [0.0] * 15 + [0.9] * 20)) == 1


def test_a_click_is_no_utterance() -> None:
    assert segment(WhisperConfig(min_speech_secs=0.1), [0.0] * 20 + [0.9] * 2 + [0.0] * 40) == []


def test_without_a_pause_it_cuts_at_the_quietest_place() -> None:
    loud = np.full(WINDOW, 0.3, np.float32)
    quiet = np.full(WINDOW, 0.003, np.float32)
    stream = np.concatenate([loud] * 80 + [quiet] * 3 + [loud] * 60)

    segmenter = Segmenter(WhisperConfig(max_segment_secs=4), lambda _: 0.9)
    first, *_ = [*segmenter.push(stream), *segmenter.flush()]

    assert 80 <= len(first.samples) // WINDOW <= 83


def test_silence_holds_nothing_but_padding_and_gives_nothing() -> None:
    segmenter = Segmenter(WhisperConfig(), lambda _: 0.01)
    minute = np.zeros(16_000 * 60, np.float32)
    list(segmenter.push(minute))
    tracemalloc.start()
    try:
        for _ in range(5):
            assert list(segmenter.push(minute)) == []
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


def test_two_hours_of_speech_need_the_memory_of_one_utterance() -> None:
    config = WhisperConfig(max_segment_secs=15)
    segmenter = Segmenter(config, lambda window: 0.9 if window[0] else 0.0)
    talk = np.full(16_000 * 60, 0.1, np.float32)
    talk[-16_000:] = 0
    count = 0
    tracemalloc.start()
    try:
        for _ in range(120):
            count += sum(1 for _ in segmenter.push(talk))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count >= 120 * 4
    assert peak < 4 * config.max_segment_secs * 16_000 * 4


def test_after_a_flush_time_starts_again() -> None:
    segmenter = Segmenter(WhisperConfig(), lambda _: 0.9)
    second = np.zeros(16_000, np.float32)
    for _ in range(2):
        (utterance,) = [*segmenter.push(second), *segmenter.flush()]
        assert utterance.start == 0
        assert utterance.end == pytest.approx(1, abs=WINDOW_SECS)


def test_nothing_in_nothing_out() -> None:
    segmenter = Segmenter(WhisperConfig(), lambda _: 0.9)
    assert [*segmenter.push(np.empty(0, np.float32)), *segmenter.flush()] == []
