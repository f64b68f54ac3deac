"""Writing audio files as a stream, whatever format the audio comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from remotemedia.core.data import RuntimeData
from remotemedia.runtime.media.files import AUDIO_FORMATS, Draft, MediaError

if TYPE_CHECKING:
    from pathlib import Path

    import soxr
    from numpy.typing import NDArray

__all__ = ["AudioWriter"]

#: MPEG-1, MPEG-2 and MPEG-2.5 know these sample rates, in Hz (ISO 11172-3, ISO 13818-3).
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MOST_CHANNELS = {"MP3": 2, "FLAC": 8}
_SCALES = {"u8": 128.0, "i16": 2.0**15, "i32": 2.0**31}
# libsndfile's Vorbis encoder keeps what is written at once on the stack.
_FRAMES_AT_ONCE = 1 << 15


class AudioWriter:
    """An audio file that is complete, under its own name, after `publish`.

    The first audio decides sample rate and channel count; later audio of another kind is resampled
    and mixed to fit.

    Args:
        path: Its extension decides the format.

    Attributes:
        sample_rate: Of the file, in Hz; None before the first audio.
        channels: Of the file.
        frames: How many were written.

    Raises:
        MediaError: There can't be such a file.
    """

    def __init__(self, path: Path) -> None:
        self._format = AUDIO_FORMATS[path.suffix.lower()]
        self._draft = Draft(path)
        self._file: Any = None  # soundfile has no types
        self._resampler: soxr.ResampleStream | None = None
        self._resampled_rate = 0
        self.sample_rate: int | None = None
        self.channels = 1
        self.frames = 0

    @property
    def path(self) -> Path:
        """Its own name."""
        return self._draft.name

    @property
    def seconds(self) -> float:
        """Length of what was written."""
        return self.frames / self.sample_rate if self.sample_rate else 0.0

    def write(self, data: RuntimeData) -> None:
        """Add audio.

        Raises:
            MediaError: It can't be written.
        """
        samples, meta = data.as_numpy(), data.metadata
        if self._file is None:
            self._open(meta.sample_rate, meta.channels)
        if meta.sample_rate != self._resampled_rate:
            self._flush_resampler()
            self._resampled_rate = meta.sample_rate
            if meta.sample_rate != self.sample_rate:
                self._resampler = self._new_resampler(meta.sample_rate)
        fits = meta.channels == self.channels and self._resampler is None
        if not fits or samples.dtype == np.uint8:
            samples = _mixed(_as_float(samples, meta.format), self.channels)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        self._put(samples)

    def publish(self, sample_rate: int = 16_000) -> None:
        """Complete the file and give it its name.

        Args:
            sample_rate: Of the file, if nothing was written to it.

        Raises:
            MediaError: That is not possible.
        """
        if self._file is None:
            self._open(sample_rate, 1)
            if self._format in ("FLAC", "MP3"):  # without any frame these are no valid files
                self._put(np.zeros(1, np.float32))
                self.frames = 0
        self._flush_resampler()
        try:
            self._file.close()
        except soundfile.LibsndfileError as error:
            raise self._problem(error) from error
        self._draft.publish()

    def discard(self) -> None:
        """Remove what is not complete."""
        if self._file is not None:
            self._file.close()
        self._draft.discard()

    def _open(self, sample_rate: int, channels: int) -> None:
        if self._format == "MP3" and sample_rate not in _MP3_RATES:
            sample_rate = next((rate for rate in _MP3_RATES if rate >= sample_rate), 48_000)
        self.sample_rate = sample_rate
        self.channels = min(channels, _MOST_CHANNELS.get(self._format, channels))
        self._resampled_rate = sample_rate
        try:
            self._file = soundfile.SoundFile(
                self._draft.path, "w", sample_rate, self.channels, format=self._format
            )
        except soundfile.LibsndfileError as error:
            raise self._problem(error) from error

    def _new_resampler(self, sample_rate: int) -> soxr.ResampleStream:
        import soxr

        return soxr.ResampleStream(sample_rate, self.sample_rate, self.channels, dtype="float32")

    def _flush_resampler(self) -> None:
        if self._resampler is not None:
            shape = (0,) if self.channels == 1 else (0, self.channels)
            rest = self._resampler.resample_chunk(np.zeros(shape, np.float32), last=True)
            self._resampler = None
            self._put(rest)

    def _put(self, samples: NDArray[Any]) -> None:
        try:
            for at in range(0, len(samples), _FRAMES_AT_ONCE):
                self._file.write(samples[at : at + _FRAMES_AT_ONCE])
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise self._problem(error) from error
        self.frames += len(samples)

    def _problem(self, error: Exception) -> MediaError:
        reason = str(getattr(error, "error_string", error)).rstrip(".") or "is the disk full?"
        kind = f"{self.sample_rate} Hz, {self.channels} channel(s)"
        return MediaError(self.path, f"can't be written as {self._format}, {kind}: {reason}")


def _as_float(samples: NDArray[Any], fmt: str) -> NDArray[np.float32]:
    scale = _SCALES.get(fmt)
    if scale is None:
        return samples.astype(np.float32, copy=False)
    return (samples.astype(np.float32) - (128.0 if fmt == "u8" else 0.0)) / np.float32(scale)


def _mixed(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return the samples with this many channels: one for all, or the mean of all."""
    have = 1 if samples.ndim == 1 else samples.shape[1]
    if have == channels:
        return samples
    mono = samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)
    return mono if channels == 1 else np.repeat(mono[:, np.newaxis], channels, axis=1)
