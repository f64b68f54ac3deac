"""Parcels: messages of random size and kind that say what they are, so that anyone can check it."""

from __future__ import annotations

import random
import string
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from remotemedia.core.data import BytesMetadata, DataType, RuntimeData, TensorMetadata, TextMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Label", "Sender", "checksum", "label_of"]

_SPARE = 1 << 20  # payloads begin anywhere in so many bytes, so that no two are alike
_SPECIAL_SIZES = (0, 1, 63, 64, 65, 4095, 4096, 4097)
_TEXT_AT_MOST = 1 << 16
_PATTERN = np.frombuffer(string.printable.encode(), np.uint8)


class Label(msgspec.Struct, frozen=True):
    """What a parcel says of itself; travels in the metadata.

    Attributes:
        origin: Who made it.
        number: Which of its origin's parcels it is, from 0.
        size: Bytes of its payload.
        checksum: CRC-32 of the payload, begun with origin and number.
        route: The nodes that it has passed, its origin first and its last sender last.
        hop: Which of its last sender's parcels it is, from 0.
    """

    origin: str
    number: int
    size: int
    checksum: int
    route: tuple[str, ...]
    hop: int


class Sender:
    """Labels what a node sends; an origin's parcels are made here too.

    Args:
        name: The node.
        seed: What its parcels depend on, besides the name.
        max_size: Bytes of the largest parcel; 0 if it only passes on those of others.
        loan: Gives writable memory for a tensor of so many bytes; None where there are no loans.

    Attributes:
        sent: How many parcels have left.
        made: How many of those were its own.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        max_size: int = 0,
        loan: Callable[[int], RuntimeData] | None = None,
    ) -> None:
        self._name, self._max_size, self._loan = name, max_size, loan
        self._random = random.Random(f"{seed}/{name}")  # noqa: S311 - no secret
        bits = self._random.getrandbits(32)
        self._source = np.random.default_rng(bits).integers(
            0, 256, max_size + _SPARE if max_size else 0, np.uint8
        )
        self.sent = self.made = 0

    def make(self) -> RuntimeData:
        """Return a new parcel of random size and kind."""
        size, number = self._size(), self.made
        start = self._random.randrange(_SPARE)
        source = self._source[start : start + size]
        data = self._random.choice(self._kinds(size))(source)
        label = Label(
            self._name, number, data.size, checksum(self._name, number, data), (self._name,), 0
        )
        self.made += 1
        return self._labelled(data, label)

    def pass_on(self, data: RuntimeData, label: Label) -> RuntimeData:
        """Return a parcel that was received as one that is sent: the same payload, further on."""
        copy = RuntimeData(data.type, data.payload, metadata=type(data.metadata)())
        return self._labelled(
            copy, msgspec.structs.replace(label, route=(*label.route, self._name))
        )

    def _labelled(self, data: RuntimeData, label: Label) -> RuntimeData:
        label = msgspec.structs.replace(label, hop=self.sent)
        data.metadata.extra = msgspec.to_builtins(label)
        self.sent += 1
        return data

    def _size(self) -> int:
        chance = self._random.random()
        if chance < 0.1:
            return min(self._random.choice((*_SPECIAL_SIZES, self._max_size)), self._max_size)
        return int((self._max_size + 1) ** self._random.random()) - 1 if self._max_size else 0

    def _kinds(self, size: int) -> list[Callable[[Any], RuntimeData]]:
        kinds: list[Callable[[Any], RuntimeData]] = [_array, _arrays, _bytes]
        if self._loan is not None:
            kinds.append(self._in_place)
        if size <= _TEXT_AT_MOST:
            kinds.append(_text)
        return kinds

    def _in_place(self, source: Any) -> RuntimeData:  # noqa: ANN401 - an array
        assert self._loan is not None  # noqa: S101 - for the type checker
        loan = self._loan(len(source))
        loan.as_numpy()[:] = source
        return loan


def _array(source: Any) -> RuntimeData:  # noqa: ANN401 - an array
    return RuntimeData(DataType.TENSOR, source, metadata=TensorMetadata())


def _arrays(source: Any) -> RuntimeData:  # noqa: ANN401
    parts = np.array_split(source, 3)
    named = {f"part{number}": part for number, part in enumerate(parts)}
    return RuntimeData(DataType.TENSOR, named, metadata=TensorMetadata())


def _bytes(source: Any) -> RuntimeData:  # noqa: ANN401
    return RuntimeData(DataType.BYTES, source.tobytes(), metadata=BytesMetadata())


def _text(source: Any) -> RuntimeData:  # noqa: ANN401
    text = _PATTERN[source % len(_PATTERN)].tobytes().decode("ascii")
    return RuntimeData(DataType.TEXT, text, metadata=TextMetadata())


def label_of(data: RuntimeData) -> Label:
    """Return what a parcel says of itself.

    Raises:
        msgspec.ValidationError: It is no parcel.
    """
    return msgspec.convert(data.metadata.extra, Label)


def checksum(origin: str, number: int, data: RuntimeData) -> int:
    """Return the checksum that this parcel must have."""
    value = zlib.crc32(f"{origin}/{number}".encode())
    for part in _parts(data):
        value = zlib.crc32(part, value)
    return value


def _parts(data: RuntimeData) -> Iterator[Any]:
    payload = data.payload
    if isinstance(payload, str):
        yield payload.encode()
    elif isinstance(payload, dict):
        for name in sorted(payload):
            yield name.encode()
            yield payload[name]
    else:
        yield payload
