"""Garbage: data that has the right type and that no node hopes for."""

from __future__ import annotations

import numpy as np

from remotemedia.core.data import RuntimeData

__all__ = ["garbage"]


def garbage(data_type: str) -> dict[str, RuntimeData]:
    """Return strange items of a data type, by what is strange about them.

    All of them can be sent: a node has to answer each, or to raise an error.

    Args:
        data_type: As in `Port`; `any` gives those of all types.
    """
    if data_type == "any":
        return {f"{name}: {what}": item for name in _MAKE for what, item in _MAKE[name]().items()}
    return _MAKE[data_type]()


def _audio() -> dict[str, RuntimeData]:
    nan = np.full(1600, np.nan, np.float32)
    loud = np.full(1600, 1e30, np.float32)
    return {
        "no samples": RuntimeData.audio(np.empty(0, np.float32), 16_000),
        "no samples in two channels": RuntimeData.audio(np.empty((0, 2), np.float32), 16_000),
        "one sample": RuntimeData.audio(np.ones(1, np.float32), 16_000),
        "samples that are no numbers": RuntimeData.audio(nan, 16_000),
        "infinite samples": RuntimeData.audio(nan * 0 + np.inf, 16_000),
        "samples of 1e30": RuntimeData.audio(loud, 16_000),
        "one sample per second": RuntimeData.audio(np.zeros(10, np.float32), 1),
        "a rate of 768 kHz": RuntimeData.audio(np.zeros(768, np.float32), 768_000),
        "eight channels of int16": RuntimeData.audio(np.full((160, 8), -32768, np.int16), 8_000),
        "unsigned bytes": RuntimeData.audio(np.zeros(160, np.uint8), 8_000),
        "double precision": RuntimeData.audio(np.zeros(160), 11_025),
    }


def _video() -> dict[str, RuntimeData]:
    return {
        "no pixels": RuntimeData.video(np.empty((0, 0, 3), np.uint8)),
        "one pixel": RuntimeData.video(np.zeros((1, 1, 3), np.uint8)),
        "one row": RuntimeData.video(np.zeros((1, 4096, 3), np.uint8)),
        "gray": RuntimeData.video(np.zeros((8, 8), np.uint8), format="gray8"),
        "with transparency": RuntimeData.video(np.zeros((8, 8, 4), np.uint8), format="rgba"),
        "no frames": RuntimeData.video(np.empty((0, 8, 8, 3), np.uint8)),
    }


def _text() -> dict[str, RuntimeData]:
    return {
        "nothing": RuntimeData.text(""),
        "white space": RuntimeData.text(" \t\r\n\u2003\ufeff"),
        "control characters": RuntimeData.text("\x00\x07\x1b[31m\x7f"),
        "punctuation": RuntimeData.text("?!… — ,;"),
        "one long word": RuntimeData.text("a" * 200),
        "emoji and marks": RuntimeData.text(
            "👩\u200d👩\u200d👧 e\u0301\u0301\u0301 \u202eright to left"
        ),
        "markup": RuntimeData.text("<speak>&amp;{{ template }} %s %n ${HOME}</speak>"),
    }


def _tensor() -> dict[str, RuntimeData]:
    return {
        "no elements": RuntimeData.tensor(np.empty((0, 3), np.float32)),
        "no dimensions": RuntimeData.tensor(np.array(1.0, np.float32)),
        "many dimensions": RuntimeData.tensor(np.zeros((1,) * 12, np.float32)),
        "elements that are no numbers": RuntimeData.tensor(np.full(4, np.nan, np.float32)),
        "booleans": RuntimeData.tensor(np.zeros(4, bool)),
        "complex numbers": RuntimeData.tensor(np.zeros(4, np.complex128)),
        "extreme integers": RuntimeData.tensor(np.full(4, -(2**63), np.int64)),
        "other byte order": RuntimeData.tensor(np.zeros(4, ">f4")),
        "named arrays": RuntimeData.tensor({"a": np.zeros(2, np.float32), "b": np.zeros((0,))}),
        "no arrays": RuntimeData.tensor({}),
    }


def _json() -> dict[str, RuntimeData]:
    nested: object = 1
    for _ in range(50):
        nested = [nested]
    return {
        "null": RuntimeData.json(None),
        "a number": RuntimeData.json(-1e308),
        "an empty object": RuntimeData.json({}),
        "an empty key": RuntimeData.json({"": {"": []}}),
        "a deep list": RuntimeData.json(nested),
        "wrong types": RuntimeData.json({"text": 1, "numbers": "many", "none": [False]}),
    }


def _bytes() -> dict[str, RuntimeData]:
    return {
        "nothing": RuntimeData.bytes(b""),
        "zeros": RuntimeData.bytes(bytes(64)),
        "no UTF-8": RuntimeData.bytes(b"\xff\xfe\xc3("),
        "half an image": RuntimeData.bytes(b"\x89PNG\r\n\x1a\n", content_type="image/png"),
    }


_MAKE = {
    "audio": _audio,
    "video": _video,
    "text": _text,
    "tensor": _tensor,
    "json": _json,
    "bytes": _bytes,
}
