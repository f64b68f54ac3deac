"""The wire format: RuntimeData to and from one slice of shared memory.

A message is a prefix of 64 bytes, a msgpack header, padding to a multiple of 64, and the payload.
`docs/wire-format.md` describes it byte by byte. Nothing is ever pickled, and nothing that a slice
says is believed before it was checked against the slice's length.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from remotemedia.core.data import (
    DataType,
    RuntimeData,
)
from remotemedia.core.errors import DataError, WireError
from remotemedia.core.wire_header import (
    ArrayHeader,
    check_header,
    encode_header,
    known_headers,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remotemedia.core.wire_header import ArrayPlace, KnownHeader

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


_encoder = msgspec.msgpack.Encoder()
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
        described: list[ArrayHeader] = []
        self.parts: list[tuple[NDArray[Any] | Body, int]]
        if isinstance(payload, np.ndarray):
            described = [ArrayHeader("", payload.dtype.str, payload.shape, 0)]
            self.parts = [(payload, 0)]
            size = payload.nbytes
        elif data.type is DataType.TENSOR:
            size = 0
            self.parts = []
            for name, array in payload.items():
                offset = aligned(size)
                described.append(ArrayHeader(name, array.dtype.str, array.shape, offset))
                self.parts.append((array, offset))
                size = offset + array.nbytes
        else:
            body = _body(data)
            self.parts = [(body, 0)]
            size = len(body)
        try:
            header = encode_header(data, described)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(f"metadata can't be encoded: {error}") from error
        if header not in known_headers:
            try:
                check_header(header)
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
    known = known_headers.get(header) or check_header(header)
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


def _array(view: memoryview, place: ArrayPlace, begin: int) -> NDArray[Any]:
    """Return an array over memory. What np.ndarray makes of read-only memory can be unlocked."""
    _, dtype, shape, offset, elements = place
    flat = np.frombuffer(view, dtype, elements, begin + offset)
    return flat if len(shape) == 1 else flat.reshape(shape)


def _payload(known: KnownHeader, view: memoryview, offset: int, size: int) -> Any:  # noqa: ANN401
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
