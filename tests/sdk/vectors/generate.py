"""Writes the test vectors of the wire format beside itself: `python generate.py`.

For each message NAME.bin holds the slice, and NAME.json what a reader has to find in it: numbers
as they are, bytes as hex, and of each array its dtype, shape and elements in C order. A JSON file
whose only key is `refused` says why a reader has to refuse the slice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.wire import Message, end_of_stream, filler

HERE = Path(__file__).resolve().parent
SEQUENCE, SENT, TIMESTAMP, SESSION = 41, 1_000_000_007, 999_999_999, "session_1"


def messages() -> dict[str, RuntimeData]:
    """One of each kind of data, with values that tell byte orders and layouts apart."""
    made = {
        "audio_mono": RuntimeData.audio(np.array([0.0, 0.5, -1.0], "<f4"), 16000),
        "audio_stereo": RuntimeData.audio(
            np.array([[1, -2], [300, -400]], "<i2"), 44100, start=1.5, transcript="hällo"
        ),
        "video": RuntimeData.video(
            np.arange(24, dtype="u1").reshape(2, 4, 3), format="bgr24", frame_rate=25.0
        ),
        "text": RuntimeData.text("héllo 世界", language="fr", start=0.25, end=1.75),
        "text_empty": RuntimeData.text(""),
        "tensor": RuntimeData.tensor(np.arange(6, dtype="<i8").reshape(2, 3)),
        "tensor_named": RuntimeData.tensor(
            {
                "weights": np.array([[1.5, 2.5]], "<f8"),
                "mask": np.array([True, False]),
                "none": np.zeros((0, 4), "<u2"),
                "big_endian": np.array([258], ">u4"),
            },
            step=7,
        ),
        "json": RuntimeData.json({"a": [1, -2.5, None, True, "x"], "b": {}}),
        "bytes": RuntimeData.bytes(b"\x00\x01\xfe\xff", content_type="image/png"),
    }
    made["text"].metadata.extra = {"speaker": "ann", "scores": [1, 2.5], "id": None}
    for data in made.values():
        data.session_id, data.timestamp = SESSION, TIMESTAMP
    return made


def slice_of(data: RuntimeData) -> bytes:
    """Return the message as it lies in shared memory."""
    message = Message(data)
    target = np.zeros(message.size, np.uint8)
    message.write(target, SEQUENCE, SENT)
    return target.tobytes()


def described(array: np.ndarray[Any, Any]) -> dict[str, object]:
    """Return an array as JSON."""
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "elements": array.ravel().tolist(),
    }


def content(data: RuntimeData) -> dict[str, object]:
    """Return as JSON what a reader has to find."""
    payload = data.payload
    if isinstance(payload, np.ndarray):
        value: object = described(payload)
    elif data.type.value == "tensor":
        value = {name: described(array) for name, array in payload.items()}
    else:
        value = payload.hex() if isinstance(payload, bytes) else payload
    fields = data.metadata.__struct_fields__
    return {
        "sequence": SEQUENCE,
        "sent": SENT,
        "timestamp": TIMESTAMP,
        "session": SESSION,
        "type": data.type.value,
        "metadata": {name: getattr(data.metadata, name) for name in fields},
        "payload": value,
    }


def refused() -> dict[str, tuple[bytes, str]]:
    """Slices that a reader has to refuse."""
    good = slice_of(messages()["audio_mono"])
    header = int.from_bytes(good[8:12], "little")
    offset = int.from_bytes(good[12:16], "little")
    return {
        "refused_short": (good[:63], "shorter than a prefix"),
        "refused_magic": (b"JUNK" + good[4:], "the magic is not RMED"),
        "refused_version": (good[:4] + b"\x63" + good[5:], "version 99"),
        "refused_kind": (good[:5] + b"\x07" + good[6:], "kind 7"),
        "refused_truncated": (good[:-1], "the payload ends behind the slice"),
        "refused_header_size": (
            good[:8] + (offset + 1).to_bytes(4, "little") + good[12:],
            "the header overlaps the payload",
        ),
        "refused_unaligned": (
            good[:12] + (offset + 1).to_bytes(4, "little") + good[16:] + b"\0",
            "the payload is not aligned",
        ),
        "refused_payload_size": (
            good[:16] + (1 << 63).to_bytes(8, "little") + good[24:],
            "the payload is larger than the slice",
        ),
        "refused_dtype": (good.replace(b"<f4", b"|O8"), "the dtype is not one that can be shared"),
        "refused_outside": (
            good.replace(b"\x91\x03", b"\x91\x7f"),
            "the array ends behind the payload",
        ),
        "refused_header": (
            good[:64] + b"\xc1" * header + good[64 + header :],
            "the header is not msgpack",
        ),
    }


def vectors() -> dict[str, tuple[bytes, dict[str, object]]]:
    """Return all vectors: the slice, and what is to be found in it."""
    all_of_them = {name: (slice_of(data), content(data)) for name, data in messages().items()}
    end: dict[str, object] = {"end": True, "sequence": SEQUENCE, "sent": SENT}
    all_of_them["end"] = (end_of_stream(SEQUENCE, SENT), end)
    nothing: dict[str, object] = {"filler": True, "sequence": 3, "sent": SENT}
    all_of_them["filler"] = (filler(3, SENT).ljust(4096, b"\xff"), nothing)
    for name, (data, reason) in refused().items():
        all_of_them[name] = (data, {"refused": reason})
    return all_of_them


def main() -> None:
    """Write the files."""
    for name, (data, found) in vectors().items():
        (HERE / f"{name}.bin").write_bytes(data)
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
