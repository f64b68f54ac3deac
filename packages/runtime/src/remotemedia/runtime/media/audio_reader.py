"""Reading audio files in blocks."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from remotemedia.runtime.media.files import MediaError, check_readable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["AudioReader"]

_logger = logging.getLogger(__name__)
_FORMATS = "use WAV, FLAC, OGG or MP3"
_UNKNOWN_SIZE = 0x7FFF_0000


class AudioReader:
    """An audio file that is read from its beginning to its end.

    Args:
        path: Of any format, sample rate and channel count that libsndfile reads.

    Attributes:
        sample_rate: In Hz.
        channels: Number of channels.

    Raises:
        MediaError: It is not there, is no audio, or holds none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_readable(path)
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            reason = _reason(error)
            raise MediaError(path, f"can't be read as audio ({reason}); {_FORMATS}") from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        try:
            self._first = self._read(1024)
        except MediaError:
            self._file.close()
            raise
        if not len(self._first):
            self._file.close()
            raise MediaError(path, "holds no audio")
        self._warn_if_cut_off()

    def read(self, frames: int) -> NDArray[np.float32]:
        """Return the next frames as float32 from -1 to 1; fewer at the end, none after it.

        Returns:
            `(frames,)` for one channel, `(frames, channels)` for more.

        Raises:
            MediaError: The file is damaged here.
        """
        if not len(self._first):
            return self._read(frames)
        taken, self._first = self._first[:frames], self._first[frames:]
        if len(taken) == frames:
            return taken
        return np.concatenate((taken, self._read(frames - len(taken))))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _warn_if_cut_off(self) -> None:
        """Tell of a WAV file that ends before its header says so; libsndfile only notes it."""
        noted = re.search(
            r"^data\s*: (\d+) \(should be (\d+)\)", self._file.extra_info, re.MULTILINE
        )
        if noted is None:
            return
        said, there = map(int, noted.groups())
        # A program that writes into a pipe can't know the size, and says the largest one.
        if there < said < _UNKNOWN_SIZE:
            _logger.warning(
                "%s is cut off: its header promises %d bytes of audio, and %d are there",
                self.path,
                said,
                there,
            )

    def _read(self, frames: int) -> NDArray[np.float32]:
        try:
            block: NDArray[np.float32] = self._file.read(frames, dtype="float32")
        except (soundfile.LibsndfileError, RuntimeError) as error:
            at = self._file.tell() / self.sample_rate
            raise MediaError(self.path, f"is damaged at {at:.2f} s: {_reason(error)}") from error
        return block


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".") or "unknown error of libsndfile"
