"""Segmenter: finds the utterances in a stream of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from remotemedia.nodes.whisper.intake import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from remotemedia.nodes.whisper.config import WhisperConfig

__all__ = ["WINDOW", "Segmenter", "Utterance"]

#: Samples that Silero VAD judges at once (32 ms at 16 kHz); the unit of everything here.
WINDOW = 512
#: An utterance in progress goes on down to this much less probability than one needs to begin.
HYSTERESIS = 0.15
#: Windows over which loudness is averaged when the quietest place is looked for (96 ms).
QUIET_SPAN = 3


class Utterance(NamedTuple):
    """A stretch of speech.

    Attributes:
        samples: Mono float32 at 16 kHz, the voice with its padding.
        offset: Where the samples begin, in seconds since the segmenter's last flush.
        start: Where the voice begins.
        end: Where it ends.
    """

    samples: NDArray[np.float32]
    offset: float
    start: float
    end: float


class Segmenter:
    """Cuts a stream into utterances, without a gap or an overlap inside of speech.

    It holds at most `max_segment_secs` of audio, however long the stream is.

    Args:
        config: Thresholds and times.
        detect: Returns the probability of speech in one window of `WINDOW` float32 samples.
    """

    def __init__(
        self, config: WhisperConfig, detect: Callable[[NDArray[np.float32]], float]
    ) -> None:
        self._detect = detect
        self._begin = config.speech_threshold
        self._go_on = max(config.speech_threshold - HYSTERESIS, 0.01)
        self._min_voice = max(1, _windows(config.min_speech_secs))
        self._pause = max(1, _windows(config.min_pause_secs))
        self._padding = min(_windows(config.padding_secs), self._pause)
        self._longest = int(config.max_segment_secs * SAMPLE_RATE) // WINDOW
        self._clear()

    def _clear(self) -> None:
        self._rest = np.empty(0, np.float32)
        self._first = 0  # the stream's number of the first window held
        self._windows: list[NDArray[np.float32]] = []
        self._speech: list[float] = []
        self._onset: int | None = None  # index of the first voiced window held, within speech
        self._voice = 0  # index of the last voiced window held

    def push(self, samples: NDArray[np.float32]) -> Iterator[Utterance]:
        """Take the next samples and yield the utterances that end in them.

        Args:
            samples: Mono float32 at 16 kHz, shape `(frames,)`. They are kept: pass no view of
                memory that will change.
        """
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) // WINDOW * WINDOW
        # A copy, lest some windows of a long array keep all of it alive.
        self._rest = samples[whole:].copy()
        for at in range(0, whole, WINDOW):
            yield from self._take(samples[at : at + WINDOW])

    def flush(self) -> Iterator[Utterance]:
        """Yield the utterance that is still open and begin a new stream."""
        if len(self._rest):
            last = np.zeros(WINDOW, np.float32)
            last[: len(self._rest)] = self._rest
            yield from self._take(last)
        if self._onset is not None:
            yield from self._cut(len(self._windows))
        self._clear()

    def _take(self, window: NDArray[np.float32]) -> Iterator[Utterance]:
        probability = self._detect(window)
        self._windows.append(window.copy())
        self._speech.append(probability)
        now = len(self._windows) - 1
        if self._onset is None:
            if probability < self._begin:
                self._drop(now + 1 - self._padding)
                return
            self._onset = self._voice = now
        elif probability >= self._go_on:
            self._voice = now
        elif now - self._voice >= self._pause:
            yield from self._cut(self._voice + 1 + self._padding)
            return
        if len(self._windows) >= self._longest:
            yield from self._cut(self._quietest())

    def _cut(self, count: int) -> Iterator[Utterance]:
        """Yield the first `count` windows as an utterance; the others begin the next one."""
        count = min(count, len(self._windows))
        if self._onset is not None and self._onset < count:
            voice = sum(p >= self._begin for p in self._speech[:count])
            if voice >= self._min_voice:
                yield Utterance(
                    np.concatenate(self._windows[:count]),
                    self._first * WINDOW / SAMPLE_RATE,
                    (self._first + self._onset) * WINDOW / SAMPLE_RATE,
                    (self._first + self._voiced(count)[-1] + 1) * WINDOW / SAMPLE_RATE,
                )
        self._drop(count)
        voiced = self._voiced(len(self._windows))
        if voiced:
            self._onset, self._voice = voiced[0], voiced[-1]
        else:
            self._onset = None
            self._drop(len(self._windows) - self._padding)

    def _voiced(self, count: int) -> list[int]:
        """Return which of the first `count` windows have voice."""
        return [i for i, p in enumerate(self._speech[:count]) if p >= self._go_on]

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._windows[:count]
            del self._speech[:count]
            self._first += count

    def _quietest(self) -> int:
        """Return how many windows lie before the best place to cut, in the later half."""
        loudness = np.array([float(np.dot(w, w)) for w in self._windows])
        decibels = 10 * np.log10(loudness / WINDOW + 1e-10)
        decibels -= decibels.min()
        # Both between 0 and 1: a breath is loud and no speech, a plosive's gap is quiet speech.
        cost = decibels / max(float(decibels.max()), 1.0) + np.array(self._speech)
        around = np.pad(cost, QUIET_SPAN // 2, mode="edge")
        smooth = np.convolve(around, np.ones(QUIET_SPAN) / QUIET_SPAN, mode="valid")
        half = len(smooth) // 2
        return half + int(np.argmin(smooth[half:])) + 1


def _windows(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / WINDOW)
