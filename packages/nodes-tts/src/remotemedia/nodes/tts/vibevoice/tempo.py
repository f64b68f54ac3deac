"""Tempo: speech made faster or slower at the same pitch, while it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tempo"]

# Pieces of 30 ms, each half over the one before, hold two periods of the lowest voices.
_HOP_SECS = 0.015
_SEARCH_SECS = 0.010


class Tempo:
    """Changes the speed of one turn of speech.

    Pieces of the input are laid over each other at another distance than they had (WSOLA): each is
    taken from where, within 10 ms of its place, it continues best what is there already.

    Args:
        rate: 2 is twice as fast.
        sample_rate: In Hz.
    """

    def __init__(self, rate: float, sample_rate: int) -> None:
        self._rate = rate
        self._hop = round(_HOP_SECS * sample_rate)
        self._search = round(_SEARCH_SECS * sample_rate)
        self._rise = np.sin(np.linspace(0, np.pi / 2, self._hop, endpoint=False)) ** 2
        self._input = np.empty(0, np.float32)
        self._begin = 0  # where `_input` begins in the turn
        self._taken = 0  # samples of the turn that came in
        self._given = 0  # samples that went out
        self._fading: NDArray[np.float32] | None = None  # what follows the last piece

    def add(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples, shape `(frames,)`, and return those that are ready."""
        if self._rate == 1:
            return samples
        self._taken += len(samples)
        self._input = np.concatenate((self._input, samples))
        pieces = []
        while self._place() + self._search + 2 * self._hop <= self._taken:
            pieces.append(self._next_piece())
        return np.concatenate(pieces) if pieces else np.empty(0, np.float32)

    def rest(self) -> NDArray[np.float32]:
        """Return what is left at the end of the turn."""
        if self._rate == 1:
            return np.empty(0, np.float32)
        wanted = round(self._taken / self._rate) - self._given
        missing = np.zeros(2 * (self._search + 3 * self._hop), np.float32)
        return self.add(missing)[: max(wanted, 0)]

    def _place(self) -> int:
        return round(self._given * self._rate)

    def _next_piece(self) -> NDArray[np.float32]:
        hop, fading = self._hop, self._fading
        at = self._place() - self._begin
        if fading is None:
            piece = self._input[at : at + hop]
        else:
            first = max(at - self._search, 0)
            room = self._input[first : at + self._search + hop]
            at = first + int(np.argmax(np.correlate(room, fading)))
            piece = fading * (1 - self._rise) + self._input[at : at + hop] * self._rise
        self._fading = self._input[at + hop : at + 2 * hop].copy()
        self._given += hop
        done = max(self._place() - self._begin - self._search, 0)
        self._input, self._begin = self._input[done:], self._begin + done
        return piece.astype(np.float32, copy=False)
