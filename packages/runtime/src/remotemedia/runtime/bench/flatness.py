"""Flatness: whether something that is measured again and again grows."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WARM_UP", "Flatness", "judge"]

#: The share of all samples that comes before everything has been used once.
WARM_UP = 0.25
#: In less time, heaps are still on their way to what they need.
_SAMPLES_AT_LEAST, _SECONDS_AT_LEAST = 20, 90.0
_GROWTH_AT_MOST = 0.05
_ERRORS = 5


class Flatness(msgspec.Struct, frozen=True):
    """How a series of samples went on after the warm-up.

    Attributes:
        level: The median.
        growth: The fitted slope (Theil-Sen: the median of the slopes between any two samples)
            times the time that was judged.
        allowed: How much growth can be noise; `judge` says how much that is.
        flat: Whether it was no more; None if there are too few samples, or seconds, to tell.
    """

    level: float
    growth: float
    allowed: float
    flat: bool | None


def judge(times: Sequence[float], values: Sequence[float], floor: float) -> Flatness:
    """Judge a series.

    Args:
        times: When samples were taken.
        values: The samples.
        floor: Growth that is allowed in any case; else 5 % of the level are, and five times the
            standard error that the slope of a flat series of such noise has.
    """
    start = int(len(times) * WARM_UP)
    times, values = times[start:], values[start:]
    if len(times) < _SAMPLES_AT_LEAST or times[-1] - times[0] < _SECONDS_AT_LEAST:
        return Flatness(statistics.median(values) if values else 0.0, 0.0, floor, None)
    slopes = [
        (values[later] - values[earlier]) / (times[later] - times[earlier])
        for earlier in range(len(times))
        for later in range(earlier + 1, len(times))
    ]
    level, slope = statistics.median(values), statistics.median(slopes)
    growth = slope * (times[-1] - times[0])
    noise = statistics.stdev(
        value - slope * time for time, value in zip(times, values, strict=True)
    )
    # Of n samples at equal distances: the error of a slope is noise · √(12 / n) / duration.
    error = noise * math.sqrt(12 / len(times))
    allowed = max(floor, _GROWTH_AT_MOST * level, _ERRORS * error)
    return Flatness(level, growth, allowed, growth <= allowed)
