"""RuntimeData: one item that travels between nodes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np

from remotemedia.core.errors import DataError
from remotemedia.core.metadata import (
    AUDIO_FORMATS,
    METADATA,
    PAYLOAD_CHECKS,
    AudioMetadata,
    BytesMetadata,
    DataType,
    JsonMetadata,
    Metadata,
    TensorMetadata,
    TextMetadata,
    VideoMetadata,
    audio_format,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "AUDIO_FORMATS",
    "AudioMetadata",
    "BytesMetadata",
    "DataType",
    "JsonMetadata",
    "Metadata",
    "Payload",
    "RuntimeData",
    "TensorMetadata",
    "TextMetadata",
    "VideoMetadata",
]


# Any: a JSON-like value has no useful static type.
Payload: TypeAlias = Any
Buffer: TypeAlias = bytes | bytearray | memoryview


class RuntimeData:
    """One item of data: a payload, what it is, and where and when it came from.

    Args:
        type: What the payload is.
        payload: An ndarray for AUDIO and VIDEO, an ndarray or a dict of named ndarrays for
            TENSOR, `str` for TEXT, a JSON-like value for JSON, `bytes` for BYTES.
        session_id: The session that it belongs to; the runtime fills it in where it is empty.
        timestamp: Monotonic nanoseconds (`time.monotonic_ns`); now, where it is None.
        metadata: The metadata struct of the type; AUDIO and VIDEO need one.
        port: On data that is returned from `process`: the output port it leaves by. On data that
            was received: the input port it came on.

    Attributes:
        sequence: On received data: its number in its channel, counted from 0; else None.

    Raises:
        DataError: Payload, type and metadata do not fit each other.
    """

    __slots__ = (
        "__weakref__",
        "_loan",
        "metadata",
        "payload",
        "port",
        "sequence",
        "session_id",
        "timestamp",
        "type",
    )

    def __init__(
        self,
        type: DataType,  # noqa: A002 - the contract's name
        payload: Payload,
        session_id: str = "",
        timestamp: int | None = None,
        metadata: Metadata | None = None,
        port: str | None = None,
    ) -> None:
        self.type: DataType = type
        self.payload: Payload = payload
        self.session_id: str = session_id
        self.timestamp: int = time.monotonic_ns() if timestamp is None else timestamp
        self.metadata: Any = metadata  # Any: each type has its own struct
        self.port: str | None = port
        self._loan: Any = None  # Any: the loan belongs to the channel that lent it
        self.sequence: int | None = None
        self.check()

    def check(self) -> None:
        """Check that payload, type and metadata fit; called again when an application sends it.

        Raises:
            DataError: They don't; the message says what is wrong and what would be right.
        """
        check = PAYLOAD_CHECKS.get(self.type)
        if check is None:
            raise DataError(f"type must be a DataType, not {self.type!r}")
        if self.metadata is None:
            if self.type in (DataType.AUDIO, DataType.VIDEO):
                name = METADATA[self.type].__name__
                raise DataError(f"{self.type.value} data needs metadata={name}(…)")
            self.metadata = METADATA[self.type]()
        elif self.metadata.__class__ is not METADATA[self.type]:
            raise DataError(
                f"{self.type.value} data needs metadata={METADATA[self.type].__name__}(…), "
                f"not {self.metadata.__class__.__name__}"
            )
        check(self.payload, self.metadata)

    @classmethod
    def _unchecked(
        cls, data_type: DataType, payload: Payload, metadata: Metadata, port: str | None
    ) -> RuntimeData:
        """Make data of which it is known that payload, type and metadata fit each other."""
        data = cls.__new__(cls)
        data.type, data.payload, data.session_id = data_type, payload, ""
        data.timestamp, data.metadata, data.port = time.monotonic_ns(), metadata, port
        data._loan = data.sequence = None  # noqa: SLF001 - its own
        return data

    # ---- constructors

    @classmethod
    def audio(
        cls,
        samples: ArrayLike,
        sample_rate: int,
        channels: int = 1,
        *,
        start: float | None = None,
        transcript: str | None = None,
        port: str | None = None,
    ) -> RuntimeData:
        """Make audio.

        Args:
            samples: `(frames,)`, or `(frames, channels)`; a flat array with `channels` > 1 is
                taken as interleaved. Arrays keep their dtype (float32, float64, int16, int32 or
                uint8); anything else becomes float32.
            sample_rate: In Hz.
            channels: Number of channels; taken from the shape of a two-dimensional array.
            start: Position in the stream in seconds.
            transcript: The words spoken in it.
            port: The output port that it leaves by.
        """
        try:
            array = samples if isinstance(samples, np.ndarray) else np.asarray(samples, np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"audio samples must be numbers: {error}") from error
        if array.ndim == 2:
            channels = array.shape[1]
        elif channels > 1:
            if array.ndim != 1 or array.size % channels:
                raise DataError(
                    f"audio samples of shape {array.shape} can't be split into {channels} channels"
                )
            array = array.reshape(-1, channels)
        metadata = AudioMetadata(
            sample_rate=sample_rate,
            channels=channels,
            format=audio_format(array),
            start=start,
            transcript=transcript,
        )
        return cls(DataType.AUDIO, array, metadata=metadata, port=port)

    @classmethod
    def video(
        cls,
        pixels: NDArray[np.uint8],
        *,
        format: str = "rgb24",  # noqa: A002 - the field's word
        frame_rate: float | None = None,
        port: str | None = None,
    ) -> RuntimeData:
        """Make a video frame of shape `(height, width, 3)`, or several with a leading axis."""
        at = -2 if format == "gray8" else -3
        if not isinstance(pixels, np.ndarray) or pixels.ndim < -at:
            raise DataError(f"video needs an array of shape (height, width, …), got {pixels!r:.80}")
        metadata = VideoMetadata(
            height=pixels.shape[at],
            width=pixels.shape[at + 1],
            format=format,
            frame_rate=frame_rate,
        )
        return cls(DataType.VIDEO, pixels, metadata=metadata, port=port)

    @classmethod
    def text(
        cls,
        text: str,
        *,
        language: str | None = None,
        start: float | None = None,
        end: float | None = None,
        port: str | None = None,
    ) -> RuntimeData:
        """Make text; `start` and `end` are seconds in the audio that it was heard in."""
        metadata = TextMetadata(language=language, start=start, end=end)
        return cls(DataType.TEXT, text, metadata=metadata, port=port)

    @classmethod
    def tensor(
        cls,
        arrays: NDArray[Any] | Mapping[str, NDArray[Any]],
        *,
        port: str | None = None,
        **extra: Any,  # noqa: ANN401 - open-ended metadata
    ) -> RuntimeData:
        """Make a tensor of one array, or of several named ones that travel as one message."""
        # The first question costs a tenth of the second.
        is_one = isinstance(arrays, np.ndarray)
        payload = dict(arrays) if not is_one and isinstance(arrays, Mapping) else arrays
        return cls(DataType.TENSOR, payload, metadata=TensorMetadata(extra=extra), port=port)

    @classmethod
    def json(cls, value: Payload, *, port: str | None = None) -> RuntimeData:
        """Make a JSON-like value: None, bool, int, float, str, list and dict with str keys."""
        return cls(DataType.JSON, value, port=port)

    @classmethod
    def bytes(
        cls, data: Buffer, *, content_type: str | None = None, port: str | None = None
    ) -> RuntimeData:
        """Make opaque bytes."""
        return cls(
            DataType.BYTES, data, metadata=BytesMetadata(content_type=content_type), port=port
        )

    @classmethod
    def of(cls, value: Payload) -> RuntimeData:
        """Return `value` if it is RuntimeData, else wrap it: str, bytes, arrays, JSON-like."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.text(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return cls.bytes(value)
        if isinstance(value, np.ndarray):
            return cls.tensor(value)
        if value is None or isinstance(value, (bool, int, float, list, tuple, dict)):
            return cls.json(value)
        raise DataError(
            f"{value.__class__.__name__} can't be sent: use RuntimeData, str, bytes, a numpy array "
            "or a JSON-like value"
        )

    # ---- views

    def as_numpy(self, name: str | None = None) -> NDArray[Any]:
        """Return the payload as an array, without a copy.

        What a node receives is read-only and stays valid for as long as the array is alive.

        Args:
            name: Which array, where the payload is a dict of several.

        Raises:
            DataError: The payload is not an array, or has no array of that name.
        """
        payload = self.payload
        if isinstance(payload, np.ndarray):
            return payload
        if self.type is DataType.TENSOR:
            named: dict[str, NDArray[Any]] = payload
            if name is None and len(named) == 1:
                return next(iter(named.values()))
            if name in named:
                return named[name]
            raise DataError(f"no array {name!r} in this tensor; it has {sorted(payload)}")
        if self.type is DataType.BYTES:
            return np.frombuffer(payload, np.uint8)
        raise DataError(f"{self.type.value} data is no array; read .payload")

    @property
    def size(self) -> int:
        """Size of the payload in bytes; of a JSON-like value, of its msgpack encoding."""
        payload = self.payload
        if isinstance(payload, np.ndarray):
            return payload.nbytes
        if self.type is DataType.TENSOR:
            return sum(array.nbytes for array in payload.values())
        if self.type is DataType.TEXT:
            return len(payload.encode())
        if self.type is DataType.BYTES:
            return payload.nbytes if isinstance(payload, memoryview) else len(payload)
        return len(msgspec.msgpack.encode(payload))

    def __repr__(self) -> str:
        payload = self.payload
        if isinstance(payload, np.ndarray):
            what = f"{payload.dtype}{list(payload.shape)}"
        elif self.type is DataType.TENSOR:
            what = ", ".join(f"{k}: {a.dtype}{list(a.shape)}" for k, a in payload.items())
        else:
            what = f"{payload!r:.60}"
        port = f", port={self.port!r}" if self.port else ""
        return f"RuntimeData({self.type.value}: {what}{port})"
