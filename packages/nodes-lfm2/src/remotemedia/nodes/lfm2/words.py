"""Words: tokens become text, piece by piece, without a character that is not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KnownWords", "Words"]

#: What decoders give for the first bytes of a character whose last ones are not there yet.
_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Words:
    """The text of one reply, as it grows.

    Args:
        decode: Gives the text of tokens, without special ones.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._taken = 0

    def add(self, token: int) -> None:
        """Take the next token."""
        self._tokens.append(token)

    @property
    def text(self) -> str:
        """All of it, without surrounding spaces."""
        return self._decode(self._tokens).strip()

    def piece(self, *, last: bool = False) -> str:
        """Return what is new since the last piece; the pieces together are the whole.

        Args:
            last: Give also what is not a whole character.
        """
        text = self._decode(self._tokens)
        end = len(text) if last else len(text.rstrip(_BROKEN))
        if end <= self._taken:
            return ""
        new, self._taken = text[self._taken : end], end
        return new


class KnownWords(Words):
    """The text of a reply that is told what to say.

    Args:
        text: What that is.
    """

    def __init__(self, text: str) -> None:
        super().__init__(lambda _: text)
