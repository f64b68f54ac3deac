"""Voices: recordings of the people in whose voice is spoken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from remotemedia.core.errors import ConfigError, near

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "find_voice", "load_voice"]

#: Of the model, in Hz.
SAMPLE_RATE = 24_000
#: Two synthetic voices come along: some seconds of Kokoro's `af_sarah` and `am_michael`.
PACKAGED = Path(__file__).parent / "voices"
#: The model has to hear enough of a voice, and each second of it takes context from every turn.
SHORTEST_SECS, LONGEST_SECS = 1.0, 60.0
#: A recording that is never louder is of nobody.
QUIETEST = 1e-3
_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
#: VibeVoice's own recordings are named as `en-Alice_woman.wav`.
_COLLECTED = re.compile(r"[a-z]{2}-([^_]+)(?:_.*)?")


def find_voice(voice: str, folder: str | None, where: str, key: str) -> Path:
    """Return the recording of a voice.

    Args:
        voice: A path, or a name.
        folder: Where recordings are that names mean.
        where: The node's id, for errors.
        key: The config key that says so, for errors.

    Raises:
        ConfigError: There is none.
    """
    if "/" in voice or voice.lower().endswith(_SUFFIXES):
        path = Path(voice).expanduser()
        if not path.is_file():
            raise ConfigError(
                where, key, f"{str(path)!r} is no file; give a recording of the voice"
            )
        return path
    places = [PACKAGED]
    if folder is not None:
        own = Path(folder).expanduser()
        if not own.is_dir():
            raise ConfigError(where, "voices", f"{str(own)!r} is no folder")
        places.insert(0, own)
    known: dict[str, Path] = {}
    for place in places:
        for name, path in _named(sorted(place.iterdir())):
            known.setdefault(name, path)
    found = known.get(voice.casefold())
    if found is None:
        inside = "" if folder is None else f" in {folder!r} and among those that come along"
        raise ConfigError(
            where,
            key,
            f"no voice {voice!r}{inside}; {near(voice, known)}. Give the path of a recording of "
            f"some seconds, or put it as '{voice}.wav' into a folder that 'voices' names",
        )
    return found


def _named(paths: Iterable[Path]) -> Iterable[tuple[str, Path]]:
    for path in paths:
        if path.suffix.lower() in _SUFFIXES:
            yield path.stem.casefold(), path
            collected = _COLLECTED.fullmatch(path.stem)
            if collected:
                yield collected[1].casefold(), path


def load_voice(path: Path, where: str, key: str) -> NDArray[np.float32]:
    """Return a recording as mono float32 at 24 kHz, shape `(frames,)`.

    Raises:
        ConfigError: It can't be read, or the model would hear no voice in it.
    """
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            where, key, f"{str(path)!r} can't be read as audio ({error}); give a WAV or FLAC file"
        ) from error
    secs = len(samples) / rate
    if not SHORTEST_SECS <= secs <= LONGEST_SECS:
        raise ConfigError(
            where,
            key,
            f"the recording {str(path)!r} is {secs:.1f} s long; a voice takes "
            f"{SHORTEST_SECS:g} to {LONGEST_SECS:g} s, best 5 to 20 of clean speech",
        )
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all() or np.abs(mono).max() < QUIETEST:
        raise ConfigError(where, key, f"the recording {str(path)!r} is silent; record the voice")
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, SAMPLE_RATE)
    return resampled
