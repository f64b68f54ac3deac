"""Recordings: audio of any format as the turn of a conversation, mono float32 at 16 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from remotemedia.core.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remotemedia.core.data import AudioMetadata, RuntimeData

__all__ = ["SAMPLE_RATE", "mono"]

#: What the model hears, in Hz.
SAMPLE_RATE = 16_000
#: The encoder needs nine frames of 10 ms.
AT_LEAST_SECS = 0.1
#: Float samples beyond this are integers that were not scaled: gibberish would be heard.
IMPOSSIBLE_PEAK = 64.0
#: Zero of an integer format and its full scale.
_INTEGERS = {"i16": (0.0, 2.0**15), "i32": (0.0, 2.0**31), "u8": (128.0, 128.0)}


def mono(data: RuntimeData, max_secs: float) -> NDArray[np.float32]:
    """Return the samples of a turn at 16 kHz, shape `(frames,)`: a copy, no view of the message.

    Args:
        data: Audio of any sample rate, channel count and format.
        max_secs: How long it may be.

    Raises:
        DataError: It is longer than that, too short to be heard, or its samples are impossible.
    """
    meta: AudioMetadata = data.metadata
    samples = data.as_numpy()
    seconds = len(samples) / meta.sample_rate
    if seconds > max_secs:
        raise DataError(
            f"a turn of {seconds:,.1f} s is over the limit of {max_secs:g} s; raise "
            "'max_turn_secs', or send shorter turns: what listens to a stream finds them (whisper "
            "does, and gives text)"
        )
    if seconds < AT_LEAST_SECS:
        raise DataError(
            f"{seconds * 1000:.0f} ms of audio are no turn: each message is answered, so it has to "
            "hold all of what was said; to listen to a stream, put a node before this one that "
            "finds what is said in it (whisper does, and gives text)"
        )
    heard = _mixed(samples, meta.format)
    if meta.sample_rate == SAMPLE_RATE:
        return heard
    resampled: NDArray[np.float32] = soxr.resample(heard, meta.sample_rate, SAMPLE_RATE)
    return resampled


def _mixed(samples: NDArray[Any], fmt: str) -> NDArray[np.float32]:
    """Return a mono float32 copy of samples; values that are no numbers become silence."""
    mixed = samples.mean(axis=1, dtype=np.float64) if samples.ndim == 2 else samples
    if fmt in _INTEGERS:
        zero, scale = _INTEGERS[fmt]
        return ((mixed.astype(np.float64) - zero) / scale).astype(np.float32)
    heard = mixed.astype(np.float32)
    if not np.isfinite(heard).all():
        np.nan_to_num(heard, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    peak = float(np.abs(heard).max(initial=0.0))
    if peak > IMPOSSIBLE_PEAK:
        raise DataError(
            f"{fmt} audio lies between -1 and 1, but a sample is {peak:g}; send integers "
            "as int16, or divide them by 32768"
        )
    return heard
