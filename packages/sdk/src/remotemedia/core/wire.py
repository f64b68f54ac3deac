"""The wire format: RuntimeData to and from one slice of shared memory.

A message is a prefix of 64 bytes, a msgpack header, padding to a multiple of 64, and the payload.
`docs/wire-format.md` describes it byte by byte. Nothing is ever pickled, and nothing that a slice
says is believed before it was checked against the slice's length.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from remotemedia.core.data import DataType, Metadata, RuntimeData
from remotemedia.core.errors import DataError, WireError
from remotemedia.core.wire_header import (
    ArrayHeader,
    check_header,
    encode_header,
    known_headers,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

    from remotemedia.core.wire_header import ArrayPlace

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
# Its first half: what messages of one layout share.
_SHARED = struct.Struct("<6sHIIQ")
_DATA_BEGIN, _END_BEGIN, _FILLER_BEGIN = (
    MAGIC + bytes((WIRE_VERSION, kind)) for kind in (DATA, END, FILLER)
)
_MAX_LAYOUTS = 64

_new_tuple = tuple.__new__  # a NamedTuple's own is Python code
_encoder = msgspec.msgpack.Encoder()
_value_decoder = msgspec.msgpack.Decoder()


def aligned(size: int) -> int:
    """Return where the next payload or array may begin."""
    return (size + ALIGNMENT - 1) & -ALIGNMENT


Body: TypeAlias = bytes | bytearray | memoryview


class _Layout(NamedTuple):
    """What messages of one header share.

    Attributes:
        head: What puts together all that lies before the payload.
        shared: The beginning of their prefix.
        header: Their header.
        payload_offset: Where the payload begins.
        size: Length of the slice that they need.
        metadata: What the header says of the payload.
    """

    head: struct.Struct
    shared: bytes
    header: bytes
    payload_offset: int
    size: int
    metadata: Metadata


# A stream's messages differ in what their arrays hold, and hardly ever in anything else. The keys
# are all that a layout depends on, but for the metadata, which can't be hashed.
_layouts: dict[tuple[Any, ...], _Layout] = {}


class Message:
    """A RuntimeData laid out for the wire: what goes where, and how long the slice has to be.

    Args:
        data: What to send.
        payload_offset: Where the payload lies already, if it does; else 0.

    Attributes:
        size: Length of the slice that the message needs, in bytes.
        payload_offset: Where in it the payload begins: further than was asked for, where the header
            needs the room.
        parts: What the payload consists of, each with its place in the payload: arrays, or bytes.

    Raises:
        DataError: The data can't be expressed in the wire format.
    """

    __slots__ = ("_layout", "_timestamp", "parts", "payload_offset", "size")

    def __init__(self, data: RuntimeData, payload_offset: int = 0) -> None:
        payload = data.payload
        self.parts: list[tuple[NDArray[Any] | Body, int]]
        try:
            if isinstance(payload, np.ndarray):
                self.parts = [(payload, 0)]
                key = data.type, data.session_id, payload.dtype, payload.shape, payload_offset
                layout = _layouts.get(key)
                if layout is None or layout.metadata != data.metadata:
                    described = [ArrayHeader("", payload.dtype.str, payload.shape, 0)]
                    layout = _lay_out(data, described, payload.nbytes, payload_offset)
                    if not data.metadata.extra:  # which may hold what changes
                        _remember(key, layout)
            else:
                described, self.parts, size = _take_apart(data)
                layout = _lay_out(data, described, size, payload_offset)
        except DataError:
            raise
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(f"metadata can't be encoded: {error}") from error
        timestamp = data.timestamp
        if not (isinstance(timestamp, int) and -(2**63) <= timestamp < 2**63):
            raise DataError(f"timestamp must be nanoseconds (int64), not {timestamp!r:.40}")
        self._layout, self._timestamp = layout, timestamp
        self.payload_offset: int = layout.payload_offset
        self.size: int = layout.size

    def head(self, sequence: int, sent_ns: int) -> bytes:
        """Return all that lies before the payload.

        Args:
            sequence: Number of the message in its channel, from 0.
            sent_ns: Now, in monotonic nanoseconds.
        """
        layout = self._layout
        return layout.head.pack(layout.shared, sequence, sent_ns, self._timestamp, layout.header)

    def write_head(self, target: WriteableBuffer, sequence: int, sent_ns: int) -> None:
        """Write all that lies before the payload to the beginning of `target`; see `head`."""
        layout = self._layout
        layout.head.pack_into(
            target, 0, layout.shared, sequence, sent_ns, self._timestamp, layout.header
        )

    def write(self, target: NDArray[np.uint8], sequence: int, sent_ns: int) -> None:
        """Write the whole message into `target`, which has `size` bytes."""
        self.write_head(target, sequence, sent_ns)
        view = memoryview(target)
        for part, offset in self.parts:
            at = self.payload_offset + offset
            if isinstance(part, np.ndarray):
                np.copyto(np.ndarray(part.shape, part.dtype, target, at), part)
            else:
                view[at : at + len(part)] = part


def _take_apart(
    data: RuntimeData,
) -> tuple[list[ArrayHeader], list[tuple[NDArray[Any] | Body, int]], int]:
    """Return what describes the arrays of data that is not one array, its parts, and their size."""
    if data.type is not DataType.TENSOR:
        body = _body(data)
        return [], [(body, 0)], len(body)
    described: list[ArrayHeader] = []
    parts: list[tuple[NDArray[Any] | Body, int]] = []
    size = 0
    for name, array in data.payload.items():
        offset = aligned(size)
        described.append(ArrayHeader(name, array.dtype.str, array.shape, offset))
        parts.append((array, offset))
        size = offset + array.nbytes
    return described, parts, size


def _lay_out(
    data: RuntimeData, described: list[ArrayHeader], payload_size: int, payload_offset: int
) -> _Layout:
    """Lay a message out, and check that its receiver will be able to read it."""
    header = encode_header(data, described)
    if header not in known_headers:
        try:
            check_header(header)
        except WireError as error:  # here is where the mistake can be found
            raise DataError(f"no receiver could read this: {error}") from error
    at = max(aligned(PREFIX_SIZE + len(header)), payload_offset)
    shared = _SHARED.pack(_DATA_BEGIN, 0, len(header), at, payload_size)
    head = _head(at - PREFIX_SIZE)
    return _Layout(head, shared, header, at, at + payload_size, data.metadata)


@functools.lru_cache(maxsize=_MAX_LAYOUTS)
def _head(header_bytes: int) -> struct.Struct:
    """Return what packs a prefix, and a header that is padded to this length."""
    return struct.Struct(f"<24sQQq16x{header_bytes}s")


def _remember(key: tuple[Any, ...], layout: _Layout) -> None:
    if len(_layouts) >= _MAX_LAYOUTS:
        _layouts.clear()
    # The sender may change its own.
    _layouts[key] = layout._replace(metadata=msgspec.structs.replace(layout.metadata, extra={}))


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


def decode(slice_: NDArray[np.uint8] | memoryview, length: int | None = None) -> Received:
    """Read a message; its arrays are views of `slice_`, as writable or not as that is.

    Args:
        slice_: Where it begins.
        length: How many bytes it has; None for all of `slice_`.

    Raises:
        WireError: The slice is not a message of this version, or contradicts itself.
    """
    view = memoryview(slice_)
    if length is None:
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
    data_type, session, arrays, needed, metadata = known_headers.get(header) or check_header(header)
    if needed > size:
        raise WireError(f"arrays of {needed} bytes in a payload of {size}")
    data = RuntimeData.__new__(RuntimeData)  # what __init__ checks has been checked
    if len(arrays) == 1 and not arrays[0].name:
        data.payload = _array(view, arrays[0], offset)
    elif arrays or data_type is DataType.TENSOR:
        data.payload = {place.name: _array(view, place, offset) for place in arrays}
    else:
        data.payload = _value(data_type, view[offset : offset + size])
    data.type, data.session_id = data_type, session
    data.timestamp, data.sequence = timestamp, sequence
    data.metadata = metadata = metadata.__copy__()  # type: ignore[attr-defined]  # copy() costs twice
    if not metadata.extra:  # the copy is shallow, and receivers may write to theirs
        metadata.extra = {}
    data.port = data._loan = None  # noqa: SLF001 - the same package
    return _new_tuple(Received, (sequence, sent_ns, data, False))


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


def _value(data_type: DataType, body: memoryview) -> Any:  # noqa: ANN401
    try:
        if data_type is DataType.TEXT:
            return str(body, "utf-8")
        if data_type is DataType.JSON:
            return _value_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"malformed payload: {error}") from error
    return bytes(body)
