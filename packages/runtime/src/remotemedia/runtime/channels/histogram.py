"""Histograms of durations in the ledger: four buckets for each doubling, from a microsecond on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BUCKETS", "count", "quantile_us"]

#: Words that a histogram takes.
BUCKETS = 96
_FIRST_OCTAVE = 10  # durations below 2**10 ns share the first bucket
_BEFORE_FIRST = (_FIRST_OCTAVE + 1) * 4 + 4


def count(words: memoryview, at: int, ns: int) -> None:
    """Count a duration in the histogram that begins at word `at`."""
    octave = ns.bit_length()
    if octave > _FIRST_OCTAVE:  # the two bits after the first one tell the quarter
        bucket = octave * 4 + (ns >> (octave - 3)) - _BEFORE_FIRST
        at += bucket if bucket < BUCKETS else BUCKETS - 1
    words[at] += 1


def quantile_us(buckets: Sequence[int], q: float) -> float:
    """Return the upper edge in microseconds of the bucket that holds the quantile; 0 if empty."""
    total = sum(buckets)
    if not total:
        return 0.0
    seen = 0
    for index, number in enumerate(buckets):
        seen += number
        if seen >= q * total:
            octave, quarter = divmod(index, 4)
            return float(2 ** (octave + _FIRST_OCTAVE) * (5 + quarter) / 4 / 1000)
    return 0.0
