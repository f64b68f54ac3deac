"""Reply: what the model answers, as it is made."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from remotemedia.nodes.lfm2.words import KnownWords, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import numpy as np
    from numpy.typing import NDArray

    from remotemedia.nodes.lfm2.engine import Engine

__all__ = ["Part", "Reply"]

#: Tokens that mean something else than words and sounds; the same in all checkpoints.
IM_END, AUDIO_START, TEXT_END = 7, 128, 130
AUDIO_END = 2048


class Part(NamedTuple):
    """What is new in a reply.

    Attributes:
        samples: 80 ms of sound, mono float32 at 24 kHz, shape `(1920,)`; None where it is that all
            words are known now.
    """

    samples: NDArray[np.float32] | None


class Reply:
    """One answer of the model.

    Args:
        engine: The model.
        chat: The conversation so far, which awaits an answer.
        most: How many tokens it may have.
        aloud: Make sounds of it.
        known: Its words, where the model is told what to say.

    Attributes:
        words: Its words so far.
        words_end: They are all that there will be.
        is_cut: It came to `most` before its end.
    """

    def __init__(
        self,
        engine: Engine,
        chat: Any,  # noqa: ANN401 - the engine's
        most: int,
        *,
        aloud: bool,
        known: str | None = None,
    ) -> None:
        self._engine, self._chat, self._most, self._aloud = engine, chat, most, aloud
        self._said: list[Any] = []  # Any: the engine's tokens
        self.words = Words(engine.text) if known is None else KnownWords(known)
        self.words_end = known is not None
        self.is_cut = False

    def parts(self, unwanted: Callable[[], bool]) -> Generator[Part, None, None]:
        """Yield what is new, as it is made; between two tokens, end if that is not wanted."""
        engine = self._engine
        with (
            contextlib.closing(engine.generate(self._chat, self._most)) as tokens,
            engine.speaking(),
        ):
            while not unwanted():
                token = next(tokens, None)
                if token is None:
                    break
                self._said.append(token)
                if token.numel() == 1:
                    number = int(token)
                    if number in (IM_END, AUDIO_START, TEXT_END):
                        if not self.words_end:
                            self.words_end = True
                            yield Part(None)
                    elif not self.words_end:
                        self.words.add(number)
                elif int(token[0]) != AUDIO_END:
                    if self._aloud:
                        yield Part(engine.sound(token))
                elif self.words_end:
                    return
            self.is_cut = len(self._said) >= self._most

    def remember(self) -> Any:  # noqa: ANN401 - the engine's
        """Return the conversation with it."""
        self._engine.remember(self._chat, self._said)
        return self._chat
