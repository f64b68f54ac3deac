"""What benchmarks send: bytes of which one in each page is written, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COPIED", "IN_PLACE", "PAGE", "SIZES", "Mode", "blank", "parse_size", "read", "touch"]

PAGE = 4096
Mode = Literal["copied", "in place"]
COPIED: Mode = "copied"
IN_PLACE: Mode = "in place"
#: Sizes that are measured, in bytes, by the names that the command line has for them.
SIZES = {
    "64B": 64,
    "1KB": 1024,
    "64KB": 64 * 1024,
    "1MB": 1024 * 1024,
    "10MB": 10 * 1024 * 1024,
}


def parse_size(text: str) -> int:
    """Return the bytes that `64KB`, `10 MB` or `4096` mean.

    Raises:
        ValueError: It reads differently.
    """
    wanted = text.replace(" ", "").upper()
    for unit, factor in (("KB", 1024), ("MB", 1024**2), ("B", 1)):
        if wanted.endswith(unit):
            return int(wanted.removesuffix(unit)) * factor
    return int(wanted)


def blank(size: int) -> NDArray[np.uint8]:
    """Return memory of this many bytes, each page of which has been touched."""
    return np.ones(size, np.uint8)


def touch(array: NDArray[np.uint8]) -> None:
    """Write one value in each page: the least that a producer does to its output."""
    array[::PAGE] = 1


def read(array: NDArray[np.uint8]) -> int:
    """Read one value in each page: the least that a consumer does to its input."""
    return int(array[0] if array.shape[0] <= PAGE else np.bitwise_or.reduce(array[::PAGE]))
