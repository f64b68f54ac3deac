"""RuntimeData: what can be made, what it says, and what is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from remotemedia.core.data import (
    AudioMetadata,
    BytesMetadata,
    DataType,
    RuntimeData,
    TextMetadata,
    VideoMetadata,
)
from remotemedia.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable


def f32(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.float32)


def u8(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.uint8)


# ---- audio


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("f4", "f32"), ("f8", "f64"), ("i2", "i16"), ("i4", "i32"), ("u1", "u8")],
)
def test_audio_keeps_the_dtype_of_its_samples(dtype: str, name: str) -> None:
    samples = np.zeros(4, dtype)
    data = RuntimeData.audio(samples, 16000)
    assert data.metadata == AudioMetadata(sample_rate=16000, channels=1, format=name)
    assert data.as_numpy() is samples


def test_a_list_of_samples_becomes_float32() -> None:
    data = RuntimeData.audio([0.0, 0.5], 8000)
    assert data.as_numpy().dtype == np.float32


def test_interleaved_samples_become_frames_without_a_copy() -> None:
    samples = np.arange(6, dtype=np.int16)
    data = RuntimeData.audio(samples, 8000, 2)
    assert data.as_numpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert np.shares_memory(data.as_numpy(), samples)


def test_channels_come_from_the_shape_of_frames() -> None:
    assert RuntimeData.audio(f32(10, 3), 8000).metadata.channels == 3


def test_audio_of_no_samples_is_audio() -> None:
    assert RuntimeData.audio(f32(0), 8000).size == 0


BAD_AUDIO: dict[str, tuple[Callable[[], RuntimeData], str]] = {
    "dtype": (lambda: RuntimeData.audio(np.zeros(3, np.int64), 8000), r"int64.*astype\(numpy"),
    "byte order": (lambda: RuntimeData.audio(np.zeros(3, ">f4"), 8000), r">f4.*astype\(numpy"),
    "text": (lambda: RuntimeData.audio("abc", 8000), "samples"),
    "ragged": (lambda: RuntimeData.audio([[1.0], [1.0, 2.0]], 8000), "samples"),
    "none": (lambda: RuntimeData.audio(None, 8000), r"shape|samples"),  # type: ignore[arg-type]
    "three axes": (lambda: RuntimeData.audio(f32(2, 2, 2), 8000), r"\(2, 2, 2\)"),
    "odd": (lambda: RuntimeData.audio(f32(5), 8000, 2), "split into 2 channels"),
    "no channels": (lambda: RuntimeData.audio(f32(5), 8000, 0), r"0 channel"),
    "zero rate": (lambda: RuntimeData.audio(f32(5), 0), "sample_rate must be"),
    "negative rate": (lambda: RuntimeData.audio(f32(5), -1), "sample_rate must be"),
    "fractional rate": (
        lambda: RuntimeData.audio(f32(5), 8000.5),  # type: ignore[arg-type]
        "sample_rate must be",
    ),
    "no metadata": (lambda: RuntimeData(DataType.AUDIO, f32(5)), r"needs metadata=AudioMetadata"),
    "other metadata": (
        lambda: RuntimeData(DataType.AUDIO, f32(5), metadata=TextMetadata()),
        "AudioMetadata.*not TextMetadata",
    ),
    "other format": (
        lambda: RuntimeData(
            DataType.AUDIO, f32(5), metadata=AudioMetadata(sample_rate=8000, format="i16")
        ),
        r"float32, but format 'i16' means int16",
    ),
    "unknown format": (
        lambda: RuntimeData(
            DataType.AUDIO, f32(5), metadata=AudioMetadata(sample_rate=8000, format="mp3")
        ),
        "'mp3' is unknown",
    ),
    "channels disagree": (
        lambda: RuntimeData(
            DataType.AUDIO, f32(5, 3), metadata=AudioMetadata(sample_rate=8000, channels=2)
        ),
        r"2 channel.*\(5, 3\)",
    ),
    "a list": (
        lambda: RuntimeData(DataType.AUDIO, [0.0], metadata=AudioMetadata(sample_rate=8000)),
        "numpy array of samples, not list",
    ),
}


@pytest.mark.parametrize("case", BAD_AUDIO)
def test_audio_that_makes_no_sense_is_refused(case: str) -> None:
    make, message = BAD_AUDIO[case]
    with pytest.raises(DataError, match=message):
        make()


# ---- the other types


def test_video_knows_its_size() -> None:
    data = RuntimeData.video(u8(4, 6, 3), frame_rate=25.0)
    assert data.metadata == VideoMetadata(width=6, height=4, format="rgb24", frame_rate=25.0)


def test_video_may_be_several_frames() -> None:
    assert RuntimeData.video(u8(7, 4, 6, 3)).metadata.height == 4


OTHERS: dict[str, tuple[Callable[[], RuntimeData], str]] = {
    "float pixels": (lambda: RuntimeData.video(f32(4, 6, 3)), "uint8"),  # type: ignore[arg-type]
    "flat pixels": (lambda: RuntimeData.video(u8(10)), "height, width"),
    "planes": (lambda: RuntimeData.video(u8(4, 6, 4)), r"shape \(4, 6, 3\), not \(4, 6, 4\)"),
    "pixel format": (lambda: RuntimeData.video(u8(4, 6, 3), format="yuv"), "'yuv' is unknown"),
    "text of bytes": (lambda: RuntimeData.text(b"x"), "needs a str"),  # type: ignore[arg-type]
    "bytes of text": (lambda: RuntimeData.bytes("x"), "needs bytes"),  # type: ignore[arg-type]
    "objects": (lambda: RuntimeData.tensor(np.array([object()])), "dtype object can't be shared"),
    "strings": (lambda: RuntimeData.tensor(np.array(["a"])), "can't be shared"),
    "records": (lambda: RuntimeData.tensor(np.zeros(2, "i4,f4")), "can't be shared"),
    "masked": (lambda: RuntimeData.tensor(np.ma.masked_equal(u8(3), 0)), r"send array\.filled"),
    "masked and named": (lambda: RuntimeData.tensor({"a": np.ma.masked_equal(u8(3), 0)}), "masked"),
    "masked pixels": (lambda: RuntimeData.video(np.ma.masked_equal(u8(4, 6, 3), 0)), "masked"),
    "masked samples": (lambda: RuntimeData.audio(np.ma.masked_equal(f32(4), 0), 8_000), "masked"),
    "tensor of text": (lambda: RuntimeData.tensor("abc"), "a tensor is"),  # type: ignore[arg-type]
    "tensor of list": (lambda: RuntimeData.tensor([1.0]), "a tensor is"),  # type: ignore[arg-type]
    "named list": (lambda: RuntimeData.tensor({"a": [1]}), "a tensor is"),  # type: ignore[dict-item]
    "number as name": (lambda: RuntimeData.tensor({1: u8(1)}), "a tensor is"),  # type: ignore[dict-item]
    "empty name": (lambda: RuntimeData.tensor({"": u8(1)}), "name"),
    "no type": (lambda: RuntimeData("audio", f32(1)), "must be a DataType"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", OTHERS)
def test_data_that_makes_no_sense_is_refused(case: str) -> None:
    make, message = OTHERS[case]
    with pytest.raises(DataError, match=message):
        make()


def test_extra_metadata_is_open_ended() -> None:
    assert RuntimeData.tensor(u8(1), step=3, note={"a": [b"x"]}).metadata.extra == {
        "step": 3,
        "note": {"a": [b"x"]},
    }


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        ("x", DataType.TEXT),
        (b"x", DataType.BYTES),
        (bytearray(b"x"), DataType.BYTES),
        (memoryview(b"x"), DataType.BYTES),
        (np.zeros(2), DataType.TENSOR),
        ({"a": 1}, DataType.JSON),
        ([1], DataType.JSON),
        (None, DataType.JSON),
        (1.5, DataType.JSON),
    ],
)
def test_plain_values_are_wrapped(value: object, data_type: DataType) -> None:
    assert RuntimeData.of(value).type is data_type


def test_data_is_not_wrapped_again() -> None:
    data = RuntimeData.text("x")
    assert RuntimeData.of(data) is data


def test_what_can_not_be_sent_is_an_error_that_says_what_can() -> None:
    with pytest.raises(DataError, match="set can't be sent: use RuntimeData, str, bytes"):
        RuntimeData.of({1})


# ---- views and sizes


def test_an_array_of_several_is_taken_by_name() -> None:
    data = RuntimeData.tensor({"a": np.eye(2), "b": np.ones(3)})
    assert data.as_numpy("b") is data.payload["b"]
    with pytest.raises(DataError, match=r"no array 'c' in this tensor; it has \['a', 'b'\]"):
        data.as_numpy("c")
    with pytest.raises(DataError, match="it has"):
        data.as_numpy()


def test_bytes_are_seen_as_an_array_without_a_copy() -> None:
    raw = bytearray(b"abc")
    assert np.shares_memory(RuntimeData.bytes(raw).as_numpy(), np.frombuffer(raw, np.uint8))


def test_text_is_no_array() -> None:
    with pytest.raises(DataError, match=r"read \.payload"):
        RuntimeData.text("x").as_numpy()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (RuntimeData.audio(f32(10, 2), 8000), 80),
        (RuntimeData.tensor({"a": np.eye(2), "b": u8(3)}), 35),
        (RuntimeData.text("ä"), 2),
        (RuntimeData.bytes(b"abc"), 3),
        (RuntimeData.bytes(memoryview(np.zeros(4, "<f8"))), 32),
        (RuntimeData.json(None), 1),
    ],
)
def test_size_is_in_bytes(data: RuntimeData, size: int) -> None:
    assert data.size == size


def test_the_timestamp_is_now_in_monotonic_nanoseconds() -> None:
    before = time.monotonic_ns()
    assert before <= RuntimeData.text("x").timestamp <= time.monotonic_ns()


def test_a_timestamp_of_zero_is_kept() -> None:
    assert RuntimeData(DataType.TEXT, "x", timestamp=0).timestamp == 0


def test_metadata_is_made_where_there_is_nothing_to_know() -> None:
    assert RuntimeData(DataType.BYTES, b"x").metadata == BytesMetadata()


def test_extra_metadata_is_not_shared_between_items() -> None:
    one, other = RuntimeData.text("x"), RuntimeData.text("y")
    one.metadata.extra["a"] = 1
    assert other.metadata.extra == {}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (RuntimeData.audio(f32(3), 8000), "RuntimeData(audio: float32[3])"),
        (RuntimeData.text("x", port="p"), "RuntimeData(text: 'x', port='p')"),
        (RuntimeData.tensor({"a": u8(1, 2)}), "RuntimeData(tensor: a: uint8[1, 2])"),
    ],
)
def test_repr_is_short(data: RuntimeData, text: str) -> None:
    assert repr(data) == text
