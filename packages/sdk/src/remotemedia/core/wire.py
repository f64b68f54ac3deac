"""The wire format: RuntimeData to and from one slice of shared memory.

A message is a prefix of 64 bytes, a msgpack header, padding to a multiple of 64, and the payload.
`docs/wire-format.md` describes it byte by byte. Nothing is ever pickled, and nothing that a slice
says is believed before it was checked against the slice's length.
"""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Any, Union

import msgspec
import numpy as np

from remotemedia.core.data import (
    AudioMetadata,
    BytesMetadata,
    DataType,
    JsonMetadata,
    RuntimeData,
    TensorMetadata,
    TextMetadata,
    VideoMetadata,
)
from remotemedia.core.errors import DataError, WireError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "END", "PREFIX_SIZE", "WIRE_VERSION", "Message", "decode", "end_of_stream"]

#: Raised whenever a reader of the older format could misread the newer one.
WIRE_VERSION = 1
#: Payloads, and each array in them, begin at a multiple of this many bytes.
ALIGNMENT = 64
PREFIX_SIZE = 64
MAGIC = b"RMED"
DATA, END = 0, 1

# magic, version, kind, flags, header size, payload offset, payload size, sequence, sent (ns)
_PREFIX = struct.Struct("<4sBBHIIQQQ")
_STAMP = struct.Struct("<QQ")
_STAMP_AT = 24
_MAX_DIMENSIONS = 32


class _Array(msgspec.Struct, array_like=True):
    """Where an array lies: name (empty for the only one), dtype, shape, offset in the payload."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Header(msgspec.Struct, omit_defaults=True, tag_field="type"):
    timestamp: int = 0
    session: str = ""
    arrays: list[_Array] = []


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
_AnyHeader = Union[_Audio, _Video, _Text, _Tensor, _Json, _Bytes]

_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(_AnyHeader)
_value_decoder = msgspec.msgpack.Decoder()
_dtypes: dict[str, np.dtype[Any]] = {}


def _aligned(size: int) -> int:
    return (size + ALIGNMENT - 1) & -ALIGNMENT


class Message:
    """A RuntimeData laid out for the wire: what goes where, and how long the slice has to be.

    Args:
        data: What to send.
        room: Bytes to keep free for the header to grow in, for data whose metadata may change
            between `Message` and `write`.

    Raises:
        DataError: The data can't be expressed in the wire format.
    """

    __slots__ = ("_arrays", "_body", "_prefix", "payload_offset", "payload_size")

    def __init__(self, data: RuntimeData, room: int = 0) -> None:
        self._arrays: list[tuple[NDArray[Any], int]] = []
        self._body: bytes | bytearray | memoryview = b""
        described: list[_Array] = []
        payload, offset = data.payload, 0
        if isinstance(payload, np.ndarray):
            described.append(_Array("", payload.dtype.str, payload.shape, 0))
            self._arrays.append((payload, 0))
            offset = payload.nbytes
        elif data.type is DataType.TENSOR:
            for name, array in payload.items():
                offset = _aligned(offset)
                described.append(_Array(name or "", array.dtype.str, array.shape, offset))
                self._arrays.append((array, offset))
                offset += array.nbytes
        else:
            self._body = _body(data)
            offset = len(self._body)
        self.payload_size = offset
        try:
            header = _encoder.encode(
                _HEADERS[data.type](data.timestamp, data.session_id, described, metadata=data.metadata)
            )
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(f"metadata can't be encoded: {error}") from error
        self.payload_offset = _aligned(PREFIX_SIZE + len(header) + room)
        self._prefix = self._head(header, self.payload_offset)

    def _head(self, header: bytes, payload_offset: int) -> bytes:
        prefix = _PREFIX.pack(
            MAGIC, WIRE_VERSION, DATA, 0, len(header), payload_offset, self.payload_size, 0, 0
        )
        return b"".join((prefix, bytes(PREFIX_SIZE - _PREFIX.size), header))

    @property
    def size(self) -> int:
        """Length of the slice that the message needs, in bytes."""
        return self.payload_offset + self.payload_size

    def write(self, target: NDArray[np.uint8], sequence: int, sent_ns: int) -> None:
        """Write prefix, header and payload into `target`, which has `size` bytes."""
        self.write_head(target, sequence, sent_ns)
        if self._body:
            at = self.payload_offset
            memoryview(target)[at : at + len(self._body)] = self._body
        for array, offset in self._arrays:
            np.copyto(
                np.ndarray(array.shape, array.dtype, target, self.payload_offset + offset), array
            )

    def write_head(self, target: NDArray[np.uint8], sequence: int, sent_ns: int) -> None:
        """Write prefix and header only: the payload is there already."""
        view = memoryview(target)
        view[: len(self._prefix)] = self._prefix
        _STAMP.pack_into(view, _STAMP_AT, sequence, sent_ns)

    def moved_to(self, payload_offset: int) -> bool:
        """Put the payload at a place that was fixed earlier; False if the header is too long."""
        header = self._prefix[PREFIX_SIZE:]
        if PREFIX_SIZE + len(header) > payload_offset:
            return False
        self.payload_offset = payload_offset
        self._prefix = self._head(header, payload_offset)
        return True

    def payload_in(self, target: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - array or dict
        """Return the payload's arrays as writable views of `target`: one array, or a dict."""
        views = [
            np.ndarray(array.shape, array.dtype, target, self.payload_offset + offset)
            for array, offset in self._arrays
        ]
        return views


def _body(data: RuntimeData) -> bytes | bytearray | memoryview:
    if data.type is DataType.TEXT:
        try:
            return data.payload.encode()  # type: ignore[no-any-return]
        except UnicodeEncodeError as error:
            raise DataError(f"text can't be encoded as UTF-8: {error}") from error
    if data.type is DataType.BYTES:
        return memoryview(data.payload).cast("B")
    try:
        return _encoder.encode(data.payload)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"not a JSON-like value: {error}") from error


def end_of_stream(sequence: int, sent_ns: int) -> bytes:
    """Return the message that says that nothing more will come."""
    prefix = _PREFIX.pack(MAGIC, WIRE_VERSION, END, 0, 0, PREFIX_SIZE, 0, sequence, sent_ns)
    return prefix + bytes(PREFIX_SIZE - _PREFIX.size)


class Stamp(msgspec.Struct):
    """What the prefix of a message says about its journey.

    Attributes:
        kind: `DATA` or `END`.
        sequence: Number of the message in its channel, from 0.
        sent_ns: When it was sent, in monotonic nanoseconds.
    """

    kind: int
    sequence: int
    sent_ns: int


def decode(slice_: NDArray[np.uint8]) -> tuple[Stamp, RuntimeData | None]:
    """Read a message; its arrays are views of `slice_`, as writable or not as that is.

    Returns:
        What the prefix says, and the data, which is None for the end of the stream.

    Raises:
        WireError: The slice is not a message of this version, or contradicts itself.
    """
    length = slice_.shape[0]
    if length < PREFIX_SIZE:
        raise WireError(f"a message has at least {PREFIX_SIZE} bytes, this slice has {length}")
    view = memoryview(slice_)
    magic, version, kind, _flags, header_size, offset, size, sequence, sent_ns = (
        _PREFIX.unpack_from(view)
    )
    if magic != MAGIC:
        raise WireError(f"not a RemoteMedia message: it begins with {magic!r}")
    if version != WIRE_VERSION:
        raise WireError(f"wire format {version} was sent, this side reads {WIRE_VERSION}")
    stamp = Stamp(kind, sequence, sent_ns)
    if kind == END:
        return stamp, None
    if kind != DATA:
        raise WireError(f"unknown kind of message {kind}")
    if PREFIX_SIZE + header_size > offset or offset % ALIGNMENT or offset + size > length:
        raise WireError(
            f"header of {header_size} and payload of {size} bytes at {offset} don't fit {length}"
        )
    try:
        header = _header_decoder.decode(view[PREFIX_SIZE : PREFIX_SIZE + header_size])
        payload = _payload(header, slice_, view, offset, size)
        data = RuntimeData(
            _TYPES[header.__class__],
            payload,
            header.session,
            header.timestamp,
            header.metadata,
        )
    except (msgspec.MsgspecError, DataError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"malformed message: {error}") from error
    data._sequence = sequence  # noqa: SLF001 - the same package
    return stamp, data


def _payload(
    header: _AnyHeader, slice_: NDArray[np.uint8], view: memoryview, offset: int, size: int
) -> Any:  # noqa: ANN401 - whatever was sent
    if isinstance(header, (_Audio, _Video, _Tensor)):
        if len(header.arrays) == 1 and header.arrays[0].name == "":
            return _array(header.arrays[0], slice_, offset, size)
        named = {a.name: _array(a, slice_, offset, size) for a in header.arrays}
        if len(named) != len(header.arrays):
            raise WireError("two arrays of one message have the same name")
        return named
    if header.arrays:
        raise WireError("arrays in a message that has none by its type")
    body = view[offset : offset + size]
    if isinstance(header, _Text):
        return str(body, "utf-8")
    if isinstance(header, _Json):
        return _value_decoder.decode(body)
    return bytes(body)


def _array(described: _Array, slice_: NDArray[np.uint8], offset: int, size: int) -> NDArray[Any]:
    dtype = _dtypes.get(described.dtype) or _dtype(described.dtype)
    shape = described.shape
    if len(shape) > _MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise WireError(f"impossible shape {shape!r:.80}")
    if described.offset < 0 or described.offset + prod(shape) * dtype.itemsize > size:
        raise WireError(f"array of shape {shape} and dtype {dtype} lies outside of the payload")
    try:
        return np.ndarray(shape, dtype, slice_, offset + described.offset)
    except (ValueError, TypeError, OverflowError) as error:  # zero times too large
        raise WireError(f"impossible array of shape {shape!r:.80}: {error}") from error


def _dtype(name: str) -> np.dtype[Any]:
    if not 2 <= len(name) <= 4 or name[0] not in "<>|" or name[1] not in "biufc":
        raise WireError(f"dtype {name!r:.20} can't be shared")
    try:
        dtype = np.dtype(name)
    except TypeError as error:
        raise WireError(f"unknown dtype {name!r}") from error
    if len(_dtypes) < 64:
        _dtypes[name] = dtype
    return dtype
