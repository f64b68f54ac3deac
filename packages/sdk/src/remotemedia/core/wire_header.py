"""Headers of the wire format: what a message says of its payload, checked before it is believed."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from remotemedia.core.data import (
    AudioMetadata,
    BytesMetadata,
    DataType,
    JsonMetadata,
    Metadata,
    RuntimeData,
    TensorMetadata,
    TextMetadata,
    VideoMetadata,
)
from remotemedia.core.errors import DataError, WireError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ArrayHeader",
    "ArrayPlace",
    "KnownHeader",
    "check_header",
    "encode_header",
    "known_headers",
]

_MAX_DIMENSIONS = 32
_MAX_REMEMBERED = 64


class ArrayHeader(msgspec.Struct, array_like=True):
    """Where an array lies: name (empty for the only one), dtype, shape, offset in the payload."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Header(msgspec.Struct, omit_defaults=True, tag_field="type"):
    session: str = ""
    arrays: list[ArrayHeader] = []


class _Audio(_Header, tag="audio", omit_defaults=True, kw_only=True):
    metadata: AudioMetadata


class _Video(_Header, tag="video", omit_defaults=True, kw_only=True):
    metadata: VideoMetadata


class _Text(_Header, tag="text", omit_defaults=True, kw_only=True):
    metadata: TextMetadata


class _Tensor(_Header, tag="tensor", omit_defaults=True, kw_only=True):
    metadata: TensorMetadata


class _Json(_Header, tag="json", omit_defaults=True, kw_only=True):
    metadata: JsonMetadata


class _Bytes(_Header, tag="bytes", omit_defaults=True, kw_only=True):
    metadata: BytesMetadata


_HEADERS: dict[DataType, type[Any]] = {
    DataType.AUDIO: _Audio,
    DataType.VIDEO: _Video,
    DataType.TEXT: _Text,
    DataType.TENSOR: _Tensor,
    DataType.JSON: _Json,
    DataType.BYTES: _Bytes,
}
_TYPES = {header: data_type for data_type, header in _HEADERS.items()}
_AnyHeader = _Audio | _Video | _Text | _Tensor | _Json | _Bytes

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_AnyHeader)


class KnownHeader(NamedTuple):
    """A header that was checked, with what it says that a payload has to be."""

    type: DataType
    session: str
    arrays: list[ArrayPlace]
    size: int
    metadata: Metadata


class ArrayPlace(NamedTuple):
    """An array that was checked; `elements` is how many it has."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    elements: int


# A stream's messages differ in their payloads and hardly ever in their headers: those that were
# just checked are not checked again.
known_headers: dict[bytes, KnownHeader] = {}


def encode_header(data: RuntimeData, arrays: list[ArrayHeader]) -> bytes:
    """Return the header of a message, unchecked.

    Args:
        data: What is sent.
        arrays: Where its arrays lie in the payload.

    Raises:
        TypeError, ValueError, OverflowError, RecursionError: Its metadata can't be encoded.
    """
    return _encoder.encode(_HEADERS[data.type](data.session_id, arrays, metadata=data.metadata))


def check_header(encoded: bytes) -> KnownHeader:
    """Check a header, with the arrays that it describes; remember it if it can come again."""
    try:
        header = _decoder.decode(encoded)
        data_type = _TYPES[header.__class__]
        arrays = [_place(array) for array in header.arrays]
        size = max((p.offset + p.elements * p.dtype.itemsize for p in arrays), default=0)
        blank: Any = _BLANK.get(data_type)
        if data_type in (DataType.AUDIO, DataType.VIDEO, DataType.TENSOR):
            blank = {place.name: _shape_only(place.shape, place.dtype) for place in arrays}
            if len(blank) != len(arrays):
                raise WireError("two arrays of one message have the same name")
            if [*blank] == [""]:
                blank = blank[""]
        elif arrays:
            raise WireError(f"{data_type.value} data that has arrays")
        RuntimeData(data_type, blank, metadata=header.metadata)
    except (msgspec.MsgspecError, DataError, RecursionError, ValueError, OverflowError) as error:
        raise WireError(f"malformed message: {error}") from error
    known = KnownHeader(data_type, header.session, arrays, size, header.metadata)
    if not header.metadata.extra:  # else each message needs its own
        if len(known_headers) >= _MAX_REMEMBERED:
            known_headers.clear()
        known_headers[encoded] = known
    return known


def _place(array: ArrayHeader) -> ArrayPlace:
    dtype, shape, offset = _dtype(array.dtype), array.shape, array.offset
    if len(shape) > _MAX_DIMENSIONS or offset < 0 or any(n < 0 for n in shape):
        raise WireError(f"impossible array of shape {shape!r:.80} at {offset}")
    return ArrayPlace(array.name, dtype, shape, offset, prod(shape))


_BLANK: dict[DataType, Any] = {DataType.TEXT: "", DataType.BYTES: b"", DataType.JSON: None}


def _shape_only(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.ndarray(shape, dtype, bytes(dtype.itemsize), 0, (0,) * len(shape))


def _dtype(name: str) -> np.dtype[Any]:
    if not 2 <= len(name) <= 4 or name[0] not in "<>|" or name[1] not in "biufc":
        raise WireError(f"dtype {name!r:.20} can't be shared")
    try:
        return np.dtype(name)
    except TypeError as error:
        raise WireError(f"unknown dtype {name!r}") from error
