"""The wire format: RuntimeData to and from one slice of shared memory.

A message is a prefix of 64 bytes, a msgpack header, padding to a multiple of 64, and the payload.
`docs/wire-format.md` describes it byte by byte. Nothing is ever pickled, and nothing that a slice
says is believed before it was checked against the slice's length.
"""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
    "ALIGNMENT",
    "PREFIX_SIZE",
    "WIRE_VERSION",
    "Message",
    "Received",
    "aligned",
    "decode",
    "end_of_stream",
    "filler",
]

#: Raised whenever a reader of the older format could misread the newer one.
WIRE_VERSION = 2
#: Payloads, and each array in them, begin at a multiple of this many bytes.
ALIGNMENT = 64
PREFIX_SIZE = 64
MAGIC = b"RMED"
DATA, END, FILLER = 0, 1, 2

# In this order: magic, version and kind (the beginning), flags, header size, payload offset,
# payload size, sequence, sent (ns), timestamp (ns).
_PREFIX = struct.Struct("<6sHIIQQQq16x")
_DATA_BEGIN, _END_BEGIN, _FILLER_BEGIN = (
    MAGIC + bytes((WIRE_VERSION, kind)) for kind in (DATA, END, FILLER)
)
_MAX_DIMENSIONS = 32
_MAX_REMEMBERED = 64


class _Array(msgspec.Struct, array_like=True):
    """Where an array lies: name (empty for the only one), dtype, shape, offset in the payload."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Header(msgspec.Struct, omit_defaults=True, tag_field="type"):
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
_AnyHeader = _Audio | _Video | _Text | _Tensor | _Json | _Bytes

_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(_AnyHeader)
_value_decoder = msgspec.msgpack.Decoder()


def aligned(size: int) -> int:
    """Return where the next payload or array may begin."""
    return (size + ALIGNMENT - 1) & -ALIGNMENT


Body: TypeAlias = bytes | bytearray | memoryview


class Message:
    """A RuntimeData laid out for the wire: what goes where, and how long the slice has to be.

    Args:
        data: What to send.

    Attributes:
        size: Length of the slice that the message needs, in bytes.
        payload_offset: Where in it the payload begins.
        parts: What the payload consists of, each with its place in the payload: arrays, or bytes.

    Raises:
        DataError: The data can't be expressed in the wire format.
    """

    __slots__ = ("_header", "_payload_size", "_timestamp", "parts", "payload_offset", "size")

    def __init__(self, data: RuntimeData) -> None:
        payload = data.payload
        described: list[_Array] = []
        self.parts: list[tuple[NDArray[Any] | Body, int]]
        if isinstance(payload, np.ndarray):
            described = [_Array("", payload.dtype.str, payload.shape, 0)]
            self.parts = [(payload, 0)]
            size = payload.nbytes
        elif data.type is DataType.TENSOR:
            size = 0
            self.parts = []
            for name, array in payload.items():
                offset = aligned(size)
                described.append(_Array(name, array.dtype.str, array.shape, offset))
                self.parts.append((array, offset))
                size = offset + array.nbytes
        else:
            body = _body(data)
            self.parts = [(body, 0)]
            size = len(body)
        try:
            header = _encoder.encode(
                _HEADERS[data.type](data.session_id, described, metadata=data.metadata)
            )
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(f"metadata can't be encoded: {error}") from error
        if header not in _known:
            try:
                _check_header(header)
            except WireError as error:  # here is where the mistake can be found
                raise DataError(f"no receiver could read this: {error}") from error
        timestamp = data.timestamp
        if not (isinstance(timestamp, int) and -(2**63) <= timestamp < 2**63):
            raise DataError(f"timestamp must be nanoseconds (int64), not {timestamp!r:.40}")
        self._header, self._timestamp, self._payload_size = header, timestamp, size
        at = (PREFIX_SIZE + len(header) + ALIGNMENT - 1) & -ALIGNMENT
        self.payload_offset: int = at
        self.size: int = at + size

    def head(self, sequence: int, sent_ns: int) -> bytes:
        """Return prefix and header, which begin the slice.

        Args:
            sequence: Number of the message in its channel, from 0.
            sent_ns: Now, in monotonic nanoseconds.
        """
        header = self._header
        return (
            _PREFIX.pack(
                _DATA_BEGIN,
                0,
                len(header),
                self.payload_offset,
                self._payload_size,
                sequence,
                sent_ns,
                self._timestamp,
            )
            + header
        )

    def write(self, target: NDArray[np.uint8], sequence: int, sent_ns: int) -> None:
        """Write the whole message into `target`, which has `size` bytes."""
        head = self.head(sequence, sent_ns)
        view = memoryview(target)
        view[: len(head)] = head
        for part, offset in self.parts:
            at = self.payload_offset + offset
            if isinstance(part, np.ndarray):
                np.copyto(np.ndarray(part.shape, part.dtype, target, at), part)
            else:
                view[at : at + len(part)] = part

    def moved_to(self, payload_offset: int) -> bool:
        """Put the payload at a place that was fixed earlier; False if the header is too long."""
        if PREFIX_SIZE + len(self._header) > payload_offset:
            return False
        self.size += payload_offset - self.payload_offset
        self.payload_offset = payload_offset
        return True


def _body(data: RuntimeData) -> Body:
    if data.type is DataType.TEXT:
        try:
            return data.payload.encode()  # type: ignore[no-any-return]
        except UnicodeEncodeError as error:
            raise DataError(f"text can't be encoded as UTF-8: {error}") from error
    if data.type is DataType.BYTES:
        try:
            return memoryview(data.payload).cast("B")
        except TypeError as error:
            raise DataError(f"bytes data needs one contiguous piece of memory: {error}") from error
    try:
        return _encoder.encode(data.payload)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"not a JSON-like value: {error}") from error


def end_of_stream(sequence: int, sent_ns: int) -> bytes:
    """Return the message that says that nothing more will come."""
    return _PREFIX.pack(_END_BEGIN, 0, 0, PREFIX_SIZE, 0, sequence, sent_ns, 0)


def filler(more: int, sent_ns: int) -> bytes:
    """Return the beginning of a message that readers discard, whatever follows it.

    Args:
        more: How many of its kind follow at once.
        sent_ns: Now, in monotonic nanoseconds.
    """
    return _PREFIX.pack(_FILLER_BEGIN, 0, 0, PREFIX_SIZE, 0, more, sent_ns, 0)


class Received(NamedTuple):
    """A message that was read.

    Attributes:
        sequence: Its number in its channel, from 0; of a filler, how many more follow at once.
        sent_ns: When it was sent, in monotonic nanoseconds.
        data: What it carries; None for the end of the stream, and for a filler.
        is_filler: Whether it is to be discarded.
    """

    sequence: int
    sent_ns: int
    data: RuntimeData | None
    is_filler: bool = False


class _Known(NamedTuple):
    """A header that was checked, with what it says that a payload has to be."""

    type: DataType
    session: str
    arrays: list[_Place]
    size: int
    metadata: Metadata


class _Place(NamedTuple):
    """An array that was checked; `elements` is how many it has."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    elements: int


# A stream's messages differ in their payloads and hardly ever in their headers: those that were
# just checked are not checked again.
_known: dict[bytes, _Known] = {}


def decode(slice_: NDArray[np.uint8] | memoryview) -> Received:
    """Read a message; its arrays are views of `slice_`, as writable or not as that is.

    Raises:
        WireError: The slice is not a message of this version, or contradicts itself.
    """
    view = memoryview(slice_)
    length = view.nbytes
    if length < PREFIX_SIZE:
        raise WireError(f"a message has at least {PREFIX_SIZE} bytes, this slice has {length}")
    begin, _, header_size, offset, size, sequence, sent_ns, timestamp = _PREFIX.unpack_from(view)
    if begin != _DATA_BEGIN:
        _check_begin(begin)
        return Received(sequence, sent_ns, None, begin == _FILLER_BEGIN)
    if PREFIX_SIZE + header_size > offset or offset % ALIGNMENT or offset + size > length:
        raise WireError(
            f"header of {header_size} and payload of {size} bytes at {offset} don't fit {length}"
        )
    header = bytes(view[PREFIX_SIZE : PREFIX_SIZE + header_size])
    known = _known.get(header) or _check_header(header)
    if known.size > size:
        raise WireError(f"arrays of {known.size} bytes in a payload of {size}")
    try:
        payload = _payload(known, view, offset, size)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"malformed payload: {error}") from error
    data = RuntimeData.__new__(RuntimeData)  # what __init__ checks has been checked
    data.type, data.payload = known.type, payload
    data.metadata = known.metadata.__copy__()  # type: ignore[attr-defined]  # copy() costs twice
    data.session_id, data.timestamp = known.session, timestamp
    data.port = data._loan = None  # noqa: SLF001 - the same package
    data._sequence = sequence  # noqa: SLF001
    return Received(sequence, sent_ns, data)


def _check_begin(begin: bytes) -> None:
    """Make sure that a message which is no data is one of this version that says no more."""
    magic, version, kind = begin[:4], begin[4], begin[5]
    if magic != MAGIC:
        raise WireError(f"not a RemoteMedia message: it begins with {magic!r}")
    if version != WIRE_VERSION:
        raise WireError(f"wire format {version} was sent, this side reads {WIRE_VERSION}")
    if kind not in (END, FILLER):
        raise WireError(f"unknown kind of message {kind}")


def _check_header(encoded: bytes) -> _Known:
    """Check a header, with the arrays that it describes; remember it if it can come again."""
    try:
        header = _header_decoder.decode(encoded)
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
    known = _Known(data_type, header.session, arrays, size, header.metadata)
    if not header.metadata.extra:  # else each message needs its own
        if len(_known) >= _MAX_REMEMBERED:
            _known.clear()
        _known[encoded] = known
    return known


def _place(array: _Array) -> _Place:
    dtype, shape, offset = _dtype(array.dtype), array.shape, array.offset
    if len(shape) > _MAX_DIMENSIONS or offset < 0 or any(n < 0 for n in shape):
        raise WireError(f"impossible array of shape {shape!r:.80} at {offset}")
    return _Place(array.name, dtype, shape, offset, prod(shape))


_BLANK: dict[DataType, Any] = {DataType.TEXT: "", DataType.BYTES: b"", DataType.JSON: None}


def _shape_only(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.ndarray(shape, dtype, bytes(dtype.itemsize), 0, (0,) * len(shape))


def _array(view: memoryview, place: _Place, begin: int) -> NDArray[Any]:
    """Return an array over memory. What np.ndarray makes of read-only memory can be unlocked."""
    _, dtype, shape, offset, elements = place
    flat = np.frombuffer(view, dtype, elements, begin + offset)
    return flat if len(shape) == 1 else flat.reshape(shape)


def _payload(known: _Known, view: memoryview, offset: int, size: int) -> Any:  # noqa: ANN401
    arrays = known.arrays
    if len(arrays) == 1 and not arrays[0].name:
        return _array(view, arrays[0], offset)
    if arrays or known.type is DataType.TENSOR:
        return {place.name: _array(view, place, offset) for place in arrays}
    body = view[offset : offset + size]
    if known.type is DataType.TEXT:
        return str(body, "utf-8")
    if known.type is DataType.JSON:
        return _value_decoder.decode(body)
    return bytes(body)


def _dtype(name: str) -> np.dtype[Any]:
    if not 2 <= len(name) <= 4 or name[0] not in "<>|" or name[1] not in "biufc":
        raise WireError(f"dtype {name!r:.20} can't be shared")
    try:
        return np.dtype(name)
    except TypeError as error:
        raise WireError(f"unknown dtype {name!r}") from error
