"""Heard: the words of speech that arrives in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.core.errors import DataError
from remotemedia.nodes.tts.sentences import complete

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData

__all__ = ["Heard"]

#: Key in the `extra` metadata of audio that leaves while its words are made: true where the
#: transcript is a piece that the next message goes on with, spaces included.
_PARTIAL = "partial"
#: Key of the number of the turn: where it changes before its words have ended, it was called off.
_TURN = "turn"


class Heard:
    """Collects the transcripts of audio messages, and gives them sentence by sentence.

    Args:
        where: The node's id, for errors.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._words, self._turn = "", None
        self._is_dropped = False

    def add(self, audio: RuntimeData) -> str:
        """Take a message, and return the words that may be spoken now; often none.

        Raises:
            DataError: Nobody has said which words it holds.
        """
        metadata = audio.metadata
        if metadata.transcript is None:
            raise DataError(
                f"{self._where} speaks the words of audio again, and this audio has no transcript "
                "in its metadata; put a node between that hears the words, as 'whisper', and "
                "connect its text to this node's 'text'"
            )
        turn = metadata.extra.get(_TURN)
        if turn is None or turn != self._turn:
            self._is_dropped = False
        if turn != self._turn:
            self._words, self._turn = "", turn
        if self._is_dropped:
            return ""
        self._words += metadata.transcript
        if not metadata.extra.get(_PARTIAL, False):
            return self.rest()
        ended, self._words = complete(self._words)
        return ended

    def drop(self) -> None:
        """Forget the words of the turn in work, and those that still come of it."""
        self._words, self._is_dropped = "", True

    def rest(self) -> str:
        """Return the words that have not been given yet."""
        words, self._words = self._words, ""
        return words
