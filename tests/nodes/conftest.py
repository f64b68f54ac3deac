"""What the tests of the speech nodes share: recordings, and how far a transcript is off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import soundfile
import soxr

from remotemedia.core.data import RuntimeData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Rate = Callable[[str, str], float]
    Chunks = Callable[[NDArray[np.generic], int, int], Iterator[RuntimeData]]

EXAMPLES = Path(__file__).parents[2] / "examples"
WORDS = {
    "austen-0870": "and mister john dashwood had then leisure to consider how much there might be "
    "prudently in his power to do for them",
    "austen-0930": "he might even have been made amiable himself",
}


class Clip(NamedTuple):
    """A recording: mono float32 at 16 kHz, and the words that are spoken in it."""

    samples: NDArray[np.float32]
    words: str

    def at(self, sample_rate: int) -> NDArray[np.float32]:
        return soxr.resample(self.samples, 16_000, sample_rate)


def _clip(name: str) -> Clip:
    samples, rate = soundfile.read(EXAMPLES / f"{name}.wav", dtype="float32")
    assert rate == 16_000
    return Clip(samples, WORDS[name])


@pytest.fixture(params=list(WORDS))
def clip(request: pytest.FixtureRequest) -> Clip:
    """Each of the recordings."""
    return _clip(request.param)


@pytest.fixture
def long_clip() -> Clip:
    """The recording of 7 s."""
    return _clip("austen-0870")


@pytest.fixture
def short_clip() -> Clip:
    """The recording of 3 s."""
    return _clip("austen-0930")


def _spoken(text: str) -> list[str]:
    words = re.sub(r"[^a-z' ]", "", text.lower().replace("-", " ")).split()
    return ["mister" if word == "mr" else word for word in words]


@pytest.fixture
def word_error_rate() -> Rate:
    """Return how many words must be changed, added or removed, over the number of right ones."""

    def rate(right: str, heard: str) -> float:
        wanted, found = _spoken(right), _spoken(heard)
        row = list(range(len(found) + 1))
        for i, a in enumerate(wanted, 1):
            row, above = [i], row
            for j, b in enumerate(found, 1):
                row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
        return row[-1] / len(wanted)

    return rate


@pytest.fixture
def chunks() -> Chunks:
    """Cut audio into the messages that a microphone would send."""

    def cut(samples: NDArray[np.generic], sample_rate: int, ms: int) -> Iterator[RuntimeData]:
        step = sample_rate * ms // 1000
        for at in range(0, len(samples), step):
            yield RuntimeData.audio(samples[at : at + step], sample_rate)

    return cut
