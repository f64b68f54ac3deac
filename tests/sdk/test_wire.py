"""The wire format: what is written is read back, and what is not a message is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remotemedia.core.data import AUDIO_FORMATS, AudioMetadata, DataType, RuntimeData
from remotemedia.core.errors import DataError, WireError
from remotemedia.core.wire import ALIGNMENT, Message, decode, end_of_stream

VECTORS = Path(__file__).parent / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.bin"))
DTYPES = (
    "?",
    "i1",
    "<i2",
    "<i4",
    "<i8",
    "u1",
    "<u2",
    ">u4",
    "<u8",
    "<f2",
    "<f4",
    ">f8",
    "<c8",
    "<c16",
)

fast = settings(max_examples=200, deadline=None)


def written(data: RuntimeData, sequence: int = 5, sent: int = 6) -> np.ndarray[Any, Any]:
    message = Message(data)
    # Shared memory is not zeroed: whatever was there before must not matter.
    target = np.full(message.size, 0xAA, np.uint8)
    message.write(target, sequence, sent)
    return target


def vector(name: str) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    found = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return np.frombuffer((VECTORS / f"{name}.bin").read_bytes(), np.uint8), found


# ---- what is written is read back

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
scalars = st.none() | st.booleans() | numbers | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
extras = st.dictionaries(st.text(), values | st.binary(), max_size=4)
seconds = st.none() | st.floats(allow_nan=False)


@st.composite
def arrays(
    draw: st.DrawFn, dtypes: tuple[str, ...] = DTYPES, dims: int = 4
) -> np.ndarray[Any, Any]:
    shape = draw(st.lists(st.integers(0, 5), max_size=dims).map(tuple))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    raw = draw(st.binary(min_size=1, max_size=16))
    size = int(np.prod(shape)) * dtype.itemsize
    flat = np.frombuffer((raw * (size // len(raw) + 1))[:size], dtype)
    array = (flat.astype("u1") % 2).astype("?") if dtype.kind == "b" else flat
    array = array.reshape(shape)
    return array.T if draw(st.booleans()) else array


@st.composite
def audio(draw: st.DrawFn) -> RuntimeData:
    dtype = AUDIO_FORMATS[draw(st.sampled_from([*AUDIO_FORMATS]))]
    channels = draw(st.integers(1, 8))
    frames = draw(st.integers(0, 50))
    shape = draw(st.sampled_from([(frames,), (frames, 1)])) if channels == 1 else (frames, channels)
    samples = (np.arange(frames * channels) % 120).astype(dtype).reshape(shape)
    rate = draw(st.integers(1, 2**31))
    return RuntimeData.audio(
        samples, rate, start=draw(seconds), transcript=draw(st.none() | st.text())
    )


@st.composite
def video(draw: st.DrawFn) -> RuntimeData:
    fmt = draw(st.sampled_from(["rgb24", "bgr24", "rgba", "gray8"]))
    planes = {"rgba": (4,), "gray8": ()}.get(fmt, (3,))
    frames = draw(st.sampled_from([(), (3,)]))
    size = (draw(st.integers(0, 5)), draw(st.integers(0, 5)))
    return RuntimeData.video(np.full((*frames, *size, *planes), 9, np.uint8), format=fmt)


texts = st.builds(RuntimeData.text, st.text(), language=st.none() | st.text(), start=seconds)
names = st.text(min_size=1)
tensors = st.builds(RuntimeData.tensor, arrays() | st.dictionaries(names, arrays(), max_size=5))
jsons = st.builds(RuntimeData.json, values)
blobs = st.builds(RuntimeData.bytes, st.binary(max_size=300), content_type=st.none() | st.text())
anything = audio() | video() | texts | tensors | jsons | blobs


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@fast
@given(anything, extras, st.text(), st.integers(-(2**63), 2**63 - 1))
def test_everything_comes_back_as_it_was(
    data: RuntimeData, extra: dict[str, Any], session: str, timestamp: int
) -> None:
    data.metadata.extra, data.session_id, data.timestamp = extra, session, timestamp
    sequence, sent, got, is_filler = decode(written(data, 3, 4))
    assert not is_filler
    assert got is not None
    assert (sequence, sent, got.sequence) == (3, 4, 3)
    assert (got.type, got.session_id, got.timestamp) == (data.type, session, timestamp)
    assert got.metadata == data.metadata
    assert same(data.payload, got.payload)


@fast
@given(anything)
def test_payloads_and_the_arrays_in_them_are_aligned(data: RuntimeData) -> None:
    base = np.zeros(Message(data).size + ALIGNMENT, np.uint8)
    start = -base.ctypes.data % ALIGNMENT
    target = base[start : start + Message(data).size]
    Message(data).write(target, 0, 0)
    got = decode(target).data
    assert got is not None
    payload = got.payload
    for array in payload.values() if isinstance(payload, dict) else [payload]:
        if isinstance(array, np.ndarray):
            assert array.ctypes.data % ALIGNMENT == 0


def test_arrays_are_views_of_the_slice() -> None:
    target = written(RuntimeData.tensor({"a": np.zeros(3), "b": np.ones(3)}))
    target.flags.writeable = False
    got = decode(target).data
    assert got is not None
    for array in got.payload.values():
        assert np.shares_memory(array, target)
        assert not array.flags.writeable


def test_each_message_says_what_its_metadata_says_now() -> None:
    data = RuntimeData.audio(np.zeros(4, np.float32), 16_000)

    def sent() -> AudioMetadata:
        got = decode(written(data)).data
        assert got is not None
        assert isinstance(got.metadata, AudioMetadata)
        return got.metadata

    assert sent() == sent() == data.metadata
    data.metadata.sample_rate = 8_000
    assert sent().sample_rate == 8_000
    data.metadata.extra["tags"] = ["a"]
    assert sent().extra == {"tags": ["a"]}
    data.metadata.extra["tags"].append("b")
    assert sent().extra == {"tags": ["a", "b"]}
    data.metadata.extra.clear()
    assert sent().extra == {}


def test_what_a_receiver_adds_to_metadata_stays_with_its_message() -> None:
    target = written(RuntimeData.tensor(np.zeros(3)))
    first, second = decode(target).data, decode(target).data
    assert first is not None
    assert second is not None
    first.metadata.extra["seen"] = True
    third = decode(target).data
    assert third is not None
    assert second.metadata.extra == third.metadata.extra == {}


@pytest.mark.parametrize("name", ["session_id", "payload", "dtype"])
def test_what_is_sent_once_more_is_described_as_it_is_now(name: str) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = RuntimeData.tensor(array)
    written(data)
    if name == "session_id":
        data.session_id = "other"
    else:
        data.payload = array.T if name == "payload" else array.astype(np.int16)
    got = decode(written(data)).data
    assert got is not None
    assert got.session_id == data.session_id
    assert same(got.payload, data.payload)


@pytest.mark.parametrize("offset", [0, 64, 512, 1 << 16])
def test_a_payload_lies_where_it_has_to_or_behind_its_header(offset: int) -> None:
    data = RuntimeData.tensor(np.arange(5, dtype=np.uint8), note="x" * 700)
    message = Message(data, offset)
    assert message.payload_offset == max(offset, 832)  # prefix and header take 64 + 755 bytes
    target = np.full(message.size, 0xFF, np.uint8)
    message.write(target, 0, 0)
    got = decode(target).data
    assert got is not None
    assert same(got.payload, data.payload)
    assert got.metadata.extra == {"note": "x" * 700}
    end = 64 + int.from_bytes(target[8:12].tobytes(), "little")
    assert not target[end : message.payload_offset].any()


def test_no_more_of_a_slice_is_read_than_its_length() -> None:
    target = written(RuntimeData.tensor(np.zeros(9, np.uint8)))
    assert decode(target, len(target)).data is not None
    with pytest.raises(WireError, match="don't fit"):
        decode(target, len(target) - 1)


def test_the_end_of_the_stream_has_no_data() -> None:
    assert decode(np.frombuffer(end_of_stream(7, 8), np.uint8)) == (7, 8, None, False)


def test_a_longer_slice_than_needed_is_read() -> None:
    target = np.concatenate([written(RuntimeData.text("x")), np.full(100, 0xFF, np.uint8)])
    got = decode(target).data
    assert got is not None
    assert got.payload == "x"


# ---- what can't be written


@pytest.mark.parametrize(
    "data",
    [
        RuntimeData.json(object()),
        RuntimeData.json({"a": {1, 2j}}),
        RuntimeData.json(2**64),
        RuntimeData.text("\ud800"),
        RuntimeData.tensor(np.zeros(2), what=object()),
        RuntimeData(DataType.TEXT, "x", timestamp=1.5),  # type: ignore[arg-type]
        RuntimeData(DataType.TEXT, "x", timestamp=2**63),
        RuntimeData(DataType.TEXT, "x", session_id=5),  # type: ignore[arg-type]
        RuntimeData.text("x", language=5),  # type: ignore[arg-type]
        RuntimeData.text("x", start="soon"),  # type: ignore[arg-type]
    ],
)
def test_what_no_reader_could_read_is_not_written(data: RuntimeData) -> None:
    with pytest.raises(DataError):
        written(data)


def test_a_value_that_contains_itself_is_an_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataError):
        Message(RuntimeData.json(endless))


def test_bytes_may_be_any_contiguous_buffer() -> None:
    numbers_ = np.arange(4, dtype="<u4")
    got = decode(written(RuntimeData.bytes(memoryview(numbers_)))).data
    assert got is not None
    assert got.payload == numbers_.tobytes()


def test_a_buffer_with_gaps_is_an_error_of_the_data() -> None:
    with pytest.raises(DataError):
        Message(RuntimeData.bytes(memoryview(np.zeros(8, np.uint8))[::2]))


# ---- what is no message


@fast
@given(st.binary(max_size=400))
@example(b"")
@example(bytes(64))
@example(b"RMED" + bytes(60))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(WireError):
        decode(np.frombuffer(garbage, np.uint8))


@fast
@given(anything, st.data())
def test_a_damaged_message_is_refused_or_read_but_nothing_else(
    data: RuntimeData, choose: st.DataObject
) -> None:
    target = written(data)
    for _ in range(choose.draw(st.integers(1, 3))):
        target[choose.draw(st.integers(0, len(target) - 1))] ^= 1 << choose.draw(st.integers(0, 7))
    with contextlib.suppress(WireError):
        decode(target)


@fast
@given(anything, st.data())
def test_a_truncated_message_is_refused(data: RuntimeData, choose: st.DataObject) -> None:
    target = written(data)
    with pytest.raises(WireError):
        decode(target[: choose.draw(st.integers(0, len(target) - 1))])


@fast
@given(st.binary(max_size=300))
def test_a_header_of_garbage_is_refused_or_read_but_nothing_else(header: bytes) -> None:
    good = written(RuntimeData.text("")).tobytes()
    offset = (64 + len(header) + 63) & -64
    prefix = (
        good[:8] + len(header).to_bytes(4, "little") + offset.to_bytes(4, "little") + good[16:64]
    )
    body = (prefix + header).ljust(offset, b"\0")
    with contextlib.suppress(WireError):
        decode(np.frombuffer(body, np.uint8))


HUGE = (
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
)


@pytest.mark.parametrize("claim", HUGE, ids=["array", "map", "str", "bin"])
def test_a_huge_claim_takes_no_memory(claim: bytes) -> None:
    message = bytearray(written(RuntimeData.json("12345")).tobytes())
    message[-len(claim) - 1 :] = claim + b"\0"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WireError):
        decode(np.frombuffer(message, np.uint8))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB


# ---- test vectors, for readers in other languages too


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("refused")])
def test_vectors_are_read(name: str) -> None:
    slice_, expected = vector(name)
    sequence, sent, data, is_filler = decode(slice_)
    assert (sequence, sent) == (expected["sequence"], expected["sent"])
    assert is_filler == ("filler" in expected)
    if "end" in expected or "filler" in expected:
        assert data is None
        return
    assert data is not None
    assert data.type.value == expected["type"]
    assert (data.timestamp, data.session_id) == (expected["timestamp"], expected["session"])
    fields = data.metadata.__struct_fields__
    assert {field: getattr(data.metadata, field) for field in fields} == expected["metadata"]
    assert _described(data.payload) == expected["payload"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("refused")])
def test_vectors_that_are_no_messages_are_refused(name: str) -> None:
    slice_, _ = vector(name)
    with pytest.raises(WireError):
        decode(slice_)


def test_the_vectors_are_what_is_written() -> None:
    spec = importlib.util.spec_from_file_location("generate", VECTORS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    vectors = generate.vectors()
    assert sorted(vectors) == NAMES
    for name, (slice_, _) in vectors.items():
        assert slice_ == (VECTORS / f"{name}.bin").read_bytes(), name


def _described(payload: Any) -> Any:
    if isinstance(payload, np.ndarray):
        return {
            "dtype": payload.dtype.str,
            "shape": list(payload.shape),
            "elements": payload.ravel().tolist(),
        }
    if isinstance(payload, dict) and all(isinstance(v, np.ndarray) for v in payload.values()):
        return {name: _described(array) for name, array in payload.items()}
    return payload.hex() if isinstance(payload, bytes) else payload
