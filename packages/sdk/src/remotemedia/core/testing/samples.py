"""Samples: data of every type for tests, the same for the same arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.data import AUDIO_FORMATS, AudioMetadata, DataType, RuntimeData
from remotemedia.core.errors import DataError, near

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

__all__ = ["chunks", "long_text", "sample", "silence", "speech", "tensor", "texts", "video"]

# Centre and width of the resonances of a vocal tract in Hz, for a few vowels: rounded from
# Peterson and Barney, "Control methods used in a study of the vowels" (1952), men.
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (300, 870, 2240))
_RESONANCE_WIDTH_HZ = 120.0
_LAST_HARMONIC_HZ = 4000.0
_SYLLABLE_SECS = 0.2


def speech(
    seconds: float = 2.0,
    sample_rate: int = 16_000,
    *,
    channels: int = 1,
    format: str = "f32",  # noqa: A002 - the field's word
    seed: int = 0,
    level: float = 0.3,
    noise: float = 0.002,
) -> RuntimeData:
    """Make audio with the shape of speech: voiced syllables in phrases, pauses, and noise.

    No words are spoken; a voice activity detector finds the phrases.

    Args:
        seconds: Length.
        sample_rate: In Hz. The same seed says the same at every rate.
        channels: Channels, which differ in their noise.
        format: Sample format, as in `AudioMetadata`.
        seed: Another one says something else.
        level: Peak of the voice; 1 is full scale.
        noise: Standard deviation of the noise that lies under it all.
    """
    draw = np.random.default_rng(seed)
    frames = round(seconds * sample_rate)
    at = np.arange(frames) / sample_rate
    voice = np.zeros(frames)
    begin = 0.1
    while begin < seconds:
        syllables, pause = int(draw.integers(2, 7)), float(draw.uniform(0.2, 0.6))
        pitch = float(draw.uniform(90.0, 220.0))
        for _ in range(syllables):
            vowel = _VOWELS[int(draw.integers(len(_VOWELS)))]
            inside = (at >= begin) & (at < begin + _SYLLABLE_SECS)
            voice[inside] += _syllable(at[inside] - begin, pitch, vowel)
            begin += _SYLLABLE_SECS
            pitch *= float(draw.uniform(0.93, 1.04))
        begin += pause
    voice *= level / max(np.abs(voice).max(initial=0.0), 1e-9)
    samples = np.repeat(voice[:, np.newaxis], channels, axis=1)
    samples += draw.standard_normal(samples.shape) * noise
    return _audio(samples, sample_rate, format)


def _syllable(at: NDArray[np.float64], pitch: float, vowel: tuple[int, ...]) -> NDArray[np.float64]:
    """A vowel that swells and fades: harmonics of the pitch, as strong as the resonances."""
    wave = np.zeros(len(at))
    for number in range(1, int(_LAST_HARMONIC_HZ / pitch)):
        hz = number * pitch
        strength = sum(1 / (1 + ((hz - centre) / _RESONANCE_WIDTH_HZ) ** 2) for centre in vowel)
        wave += strength / number**0.5 * np.sin(2 * np.pi * hz * at)
    fade: NDArray[np.float64] = np.sin(np.pi * np.clip(at / _SYLLABLE_SECS, 0, 1))
    return wave * fade


def silence(
    seconds: float = 1.0,
    sample_rate: int = 16_000,
    *,
    channels: int = 1,
    format: str = "f32",  # noqa: A002 - the field's word
) -> RuntimeData:
    """Make audio in which there is nothing at all."""
    samples = np.zeros((round(seconds * sample_rate), channels))
    return _audio(samples, sample_rate, format)


def _audio(samples: NDArray[np.float64], sample_rate: int, fmt: str) -> RuntimeData:
    dtype = AUDIO_FORMATS.get(fmt)
    if dtype is None:
        raise DataError(f"audio format {fmt!r} is unknown; {near(fmt, AUDIO_FORMATS)}")
    if dtype.kind != "f":
        scale = 2.0 ** (8 * dtype.itemsize - 1)
        low = 0.0 if dtype.kind == "u" else -scale
        samples = np.clip(np.round(samples * (scale - 1) + low + scale), low, low + 2 * scale - 1)
    channels = samples.shape[1]
    shaped = np.ascontiguousarray(samples[:, 0] if channels == 1 else samples).astype(dtype)
    metadata = AudioMetadata(sample_rate=sample_rate, channels=channels, format=fmt)
    return RuntimeData(DataType.AUDIO, shaped, metadata=metadata)


def chunks(audio: RuntimeData, ms: float = 20.0) -> Iterator[RuntimeData]:
    """Cut audio into the messages that a microphone would send, with their place as `start`.

    Args:
        audio: Of any rate, channels and format.
        ms: Length of each in milliseconds; the last one may be shorter.
    """
    samples, rate = audio.as_numpy(), audio.metadata.sample_rate
    step = max(1, round(rate * ms / 1000))
    for at in range(0, len(samples), step):
        yield RuntimeData.audio(samples[at : at + step], rate, start=at / rate)


def tensor(
    shape: Sequence[int] = (4, 8), dtype: DTypeLike = np.float32, *, seed: int = 0
) -> RuntimeData:
    """Make an array: numbers around 0 (floats, complex), small whole ones, or booleans."""
    kind = np.dtype(dtype)
    draw = np.random.default_rng(seed)
    if kind.kind in "biu":
        whole = draw.integers(0, 2 if kind.kind == "b" else 100, shape)
        return RuntimeData.tensor(whole.astype(kind))
    array: NDArray[Any] = draw.standard_normal(shape)
    if kind.kind == "c":
        array = array + 1j * draw.standard_normal(shape)
    return RuntimeData.tensor(array.astype(kind))


def video(
    height: int = 48,
    width: int = 64,
    *,
    format: str = "rgb24",  # noqa: A002 - the field's word
    frame: int = 0,
) -> RuntimeData:
    """Make a frame of a pattern that moves from frame to frame."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [(columns * 4 + frame * 3) % 256, (rows * 4 + frame * 5) % 256, (rows + columns) % 256]
    if format == "gray8":
        return RuntimeData.video(planes[0].astype(np.uint8), format=format)
    if format == "rgba":
        planes.append(np.full((height, width), 255))
    return RuntimeData.video(np.stack(planes, axis=-1).astype(np.uint8), format=format)


def texts() -> list[str]:
    """Return sentences in languages and scripts that differ in what software gets wrong."""
    return [
        "He might go. Where is he?",
        "Prices rose 3.5 % to $1,200.00 on 2 Jan., didn't they?",
        "Über Größe läßt sich streiten; naïve Façade.",
        "今日はいい天気ですね。散歩に行きましょう。",
        "مرحبا بالعالم، كيف حالك؟",
        "Привет, мир! Ёлка.",
        "नमस्ते दुनिया।",
        "👩\u200d👩\u200d👧 e\u0301 — “quoted” …",
    ]


def long_text(characters: int = 10_000) -> str:
    """Return that many characters of English sentences."""
    sentence = "The morning train left the station, and nobody knew where it was going. "
    return (sentence * (characters // len(sentence) + 1))[:characters]


def sample(data_type: str) -> RuntimeData:
    """Return an ordinary item of a data type (as in `Port`; `any` is taken as text)."""
    if data_type == "audio":
        return speech(1.0)
    if data_type == "video":
        return video()
    if data_type == "tensor":
        return tensor()
    if data_type == "json":
        return RuntimeData.json({"text": "hello", "numbers": [1, 2.5], "none": None})
    if data_type == "bytes":
        return RuntimeData.bytes(bytes(range(256)))
    return RuntimeData.text(texts()[0])
