"""Intake: audio of any format becomes mono float32 at 16 kHz, as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from remotemedia.core.data import DataType
from remotemedia.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from remotemedia.core.data import AudioMetadata, RuntimeData

__all__ = ["SAMPLE_RATE", "Intake", "duration"]

#: The rate that Whisper and Silero VAD hear, in Hz.
SAMPLE_RATE = 16_000
#: Seconds converted at once: a recording of hours in one message needs no copy of itself.
SLICE_SECS = 1.0
#: Float samples beyond this are integers that were not scaled: gibberish would be heard.
IMPOSSIBLE_PEAK = 64.0
#: Zero of an integer format and its full scale.
_INTEGERS = {"i16": (0.0, 2.0**15), "i32": (0.0, 2.0**31), "u8": (128.0, 128.0)}


def duration(data: RuntimeData) -> float:
    """Return the length of audio in seconds.

    Raises:
        DataError: The data is not audio.
    """
    if data.type is not DataType.AUDIO:
        raise DataError(
            f"whisper hears audio, not {data.type.value}; send RuntimeData.audio(samples, "
            "sample_rate)"
        )
    meta: AudioMetadata = data.metadata
    return len(data.as_numpy()) / meta.sample_rate


class Intake:
    """Mixes to one channel and resamples, with the state that lies between two messages."""

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._resampler: soxr.ResampleStream | None = None

    def push(self, data: RuntimeData) -> Iterator[NDArray[np.float32]]:
        """Convert one message.

        Args:
            data: Audio of any sample rate, channel count and format. Its rate may differ from
                that of the message before.

        Raises:
            DataError: Float samples lie far outside of -1…1.

        Yields:
            Mono float32 at 16 kHz, shape `(frames,)`: never a view of the message's memory. Up to
            some milliseconds stay in the resampler until more comes or `flush` is called.
        """
        meta: AudioMetadata = data.metadata
        if meta.sample_rate != self._rate:
            yield self.flush()
            self._rate = meta.sample_rate
        if self._rate != SAMPLE_RATE and self._resampler is None:
            self._resampler = soxr.ResampleStream(self._rate, SAMPLE_RATE, 1, dtype="float32")
        samples = data.as_numpy()
        step = max(1, int(self._rate * SLICE_SECS))
        for at in range(0, len(samples), step):
            mono = _mono(samples[at : at + step], meta.format)
            yield mono if self._resampler is None else self._resampler.resample_chunk(mono)

    def flush(self) -> NDArray[np.float32]:
        """Return what the resampler still held back; what follows is a new stream."""
        resampler, self._resampler = self._resampler, None
        empty = np.empty(0, np.float32)
        if resampler is None:
            return empty
        tail: NDArray[np.float32] = resampler.resample_chunk(empty, last=True)
        return tail


def _mono(samples: NDArray[Any], fmt: str) -> NDArray[np.float32]:
    """Return a mono float32 copy of samples; values that are no numbers become silence."""
    mixed = samples.mean(axis=1, dtype=np.float64) if samples.ndim == 2 else samples
    if fmt in _INTEGERS:
        zero, scale = _INTEGERS[fmt]
        return ((mixed.astype(np.float64) - zero) / scale).astype(np.float32)
    mono = mixed.astype(np.float32)
    if not np.isfinite(mono).all():
        np.nan_to_num(mono, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    peak = float(np.abs(mono).max(initial=0.0))
    if peak > IMPOSSIBLE_PEAK:
        raise DataError(
            f"{fmt} audio lies between -1 and 1, but a sample is {peak:g}; send integers as int16, "
            "or divide them by 32768"
        )
    return mono
