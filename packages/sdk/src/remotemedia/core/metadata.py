"""Metadata: the types of data, what describes each, and what its payload has to look like."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from remotemedia.core.errors import DataError

__all__ = [
    "AUDIO_FORMATS",
    "METADATA",
    "PAYLOAD_CHECKS",
    "AudioMetadata",
    "BytesMetadata",
    "DataType",
    "JsonMetadata",
    "Metadata",
    "TensorMetadata",
    "TextMetadata",
    "VideoMetadata",
    "audio_format",
]


class DataType(Enum):
    """What a RuntimeData holds."""

    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"
    TENSOR = "tensor"
    JSON = "json"
    BYTES = "bytes"

    if not TYPE_CHECKING:  # members are unique; Enum's own is Python code, at each look-up
        __hash__ = object.__hash__


class Metadata(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What all metadata share.

    Attributes:
        extra: Anything else that has to travel with the data; values as in JSON, and bytes.
    """

    extra: dict[str, Any] = {}


class AudioMetadata(Metadata, omit_defaults=True):
    """Describes audio.

    Attributes:
        sample_rate: Samples per second and channel, in Hz.
        channels: Number of channels; the payload is `(frames,)` for one, else
            `(frames, channels)`.
        format: Sample format: `f32` or `f64` in -1…1, `i16` or `i32` full scale, `u8`.
        start: Position of the first sample in its stream in seconds, where that is known.
        transcript: The words that are spoken in it, where they are known.
    """

    sample_rate: int
    channels: int = 1
    format: str = "f32"
    start: float | None = None
    transcript: str | None = None


class VideoMetadata(Metadata, omit_defaults=True):
    """Describes a video frame, or several.

    Attributes:
        width: Columns of a frame.
        height: Rows of a frame.
        format: Pixel format: `rgb24`, `bgr24`, `rgba` or `gray8`.
        frame_rate: Frames per second, where that is known.
    """

    width: int
    height: int
    format: str = "rgb24"
    frame_rate: float | None = None


class TextMetadata(Metadata, omit_defaults=True):
    """Describes text.

    Attributes:
        language: Language code (ISO 639-1), where it is known.
        start: Where the spoken words begin in their audio stream, in seconds.
        end: Where they end, in seconds.
    """

    language: str | None = None
    start: float | None = None
    end: float | None = None


class TensorMetadata(Metadata, omit_defaults=True):
    """Describes one array or several named ones; shapes and dtypes travel with the arrays."""


class JsonMetadata(Metadata, omit_defaults=True):
    """Describes a JSON-like value."""


class BytesMetadata(Metadata, omit_defaults=True):
    """Describes bytes.

    Attributes:
        content_type: Media type, as `image/png`, where it is known.
    """

    content_type: str | None = None


#: Sample formats and the dtype that each has in memory.
AUDIO_FORMATS: dict[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "f64": np.dtype("<f8"),
    "i16": np.dtype("<i2"),
    "i32": np.dtype("<i4"),
    "u8": np.dtype("u1"),
}
_FORMAT_OF_DTYPE = {dtype: name for name, dtype in AUDIO_FORMATS.items()}

_PIXEL_CHANNELS = {"rgb24": 3, "bgr24": 3, "rgba": 4, "gray8": 1}

#: The struct of each type.
METADATA: dict[DataType, type[Metadata]] = {
    DataType.AUDIO: AudioMetadata,
    DataType.VIDEO: VideoMetadata,
    DataType.TEXT: TextMetadata,
    DataType.TENSOR: TensorMetadata,
    DataType.JSON: JsonMetadata,
    DataType.BYTES: BytesMetadata,
}


def audio_format(array: NDArray[Any]) -> str:
    """Return the format of these samples.

    Raises:
        DataError: There is none for their dtype.
    """
    found = _FORMAT_OF_DTYPE.get(array.dtype)
    if found is None:
        raise DataError(_bad_dtype(array))
    return found


def _bad_dtype(array: NDArray[Any]) -> str:
    return (
        f"audio samples of dtype {array.dtype} are not supported; use one of "
        f"{', '.join(str(dtype) for dtype in _FORMAT_OF_DTYPE)}, "
        "for example samples.astype(numpy.float32)"
    )


def _check_audio(array: object, meta: AudioMetadata) -> None:
    if not isinstance(array, np.ndarray):
        raise DataError(f"audio needs a numpy array of samples, not {array.__class__.__name__}")
    _check_unmasked(array)
    dtype = AUDIO_FORMATS.get(meta.format)
    if dtype is None:
        raise DataError(f"audio format {meta.format!r} is unknown; use one of {[*AUDIO_FORMATS]}")
    if array.dtype != dtype:
        if array.dtype not in _FORMAT_OF_DTYPE:
            raise DataError(_bad_dtype(array))
        raise DataError(
            f"audio samples are {array.dtype}, but format {meta.format!r} means {dtype}; use "
            f"samples.astype(numpy.{dtype}) or format={_FORMAT_OF_DTYPE[array.dtype]!r}"
        )
    if not (isinstance(meta.sample_rate, int) and meta.sample_rate > 0):
        raise DataError(f"sample_rate must be a positive number of Hz, not {meta.sample_rate!r}")
    channels = 1 if array.ndim == 1 else array.shape[1] if array.ndim == 2 else 0
    if channels == 0 or channels != meta.channels:
        raise DataError(
            f"audio of {meta.channels} channel(s) has shape (frames,) for one channel and "
            f"(frames, channels) for more, not {array.shape}"
        )


def _check_unmasked(array: NDArray[Any]) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise DataError("masked arrays can't be shared; send array.filled(…), or data and mask")


_KINDS = "biufc"  # numpy's letters for bool, int, unsigned, float and complex


def _check_video(array: object, meta: VideoMetadata) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise DataError("video needs a numpy array of uint8 pixels")
    _check_unmasked(array)
    planes = _PIXEL_CHANNELS.get(meta.format)
    if planes is None:
        raise DataError(f"video format {meta.format!r} is unknown; use one of {[*_PIXEL_CHANNELS]}")
    frame = (meta.height, meta.width) if planes == 1 else (meta.height, meta.width, planes)
    if array.shape not in (frame, (*array.shape[:1], *frame)):
        raise DataError(f"a {meta.format} frame has shape {frame}, not {array.shape}")


def _check_text(payload: object, _meta: object) -> None:
    if not isinstance(payload, str):
        raise DataError(f"text needs a str, not {payload.__class__.__name__}")


def _check_tensor(payload: object, _meta: object) -> None:
    if type(payload) is np.ndarray and payload.dtype.kind in _KINDS:
        return
    named = payload if isinstance(payload, dict) else {"": payload}
    for name, array in named.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise DataError("a tensor is a numpy array, or a dict of named numpy arrays")
        if not name and named is payload:
            raise DataError("the name of an array in a tensor must not be empty")
        _check_unmasked(array)
        if array.dtype.kind not in _KINDS:
            raise DataError(
                f"arrays of dtype {array.dtype} can't be shared; use bool, int, float or complex"
            )


def _check_json(_payload: object, _meta: object) -> None:
    pass  # checked by the encoder: walking it twice would only cost


def _check_bytes(payload: object, _meta: object) -> None:
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        raise DataError(f"bytes data needs bytes, not {payload.__class__.__name__}")


#: For each type: raises DataError where payload and metadata don't fit; called with both.
PAYLOAD_CHECKS: dict[DataType, Callable[[Any, Any], None]] = {
    DataType.AUDIO: _check_audio,
    DataType.VIDEO: _check_video,
    DataType.TEXT: _check_text,
    DataType.TENSOR: _check_tensor,
    DataType.JSON: _check_json,
    DataType.BYTES: _check_bytes,
}
