"""Lfm2AudioNode: speech or text in, speech and text out."""

from __future__ import annotations

import contextlib
import copy
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.data import DataType, RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.core.node import MultiprocessNode
from remotemedia.nodes.lfm2.config import Lfm2AudioConfig
from remotemedia.nodes.lfm2.engine import FRAME, SAMPLE_RATE, Engine
from remotemedia.nodes.lfm2.recording import mono
from remotemedia.nodes.lfm2.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Lfm2AudioNode"]

_log = logging.getLogger(__name__)


class Lfm2AudioNode(MultiprocessNode):
    """Answers speech or text in speech and text, and remembers the conversation.

    Each message is a turn, and is answered before the next is looked at. Audio leaves while the
    model still speaks: mono float32 at 24 kHz, 1,920 samples a message. Its `transcript` is the
    words that are new in it, `extra["turn"]` the turn's number. `extra["partial"]` is there as long
    as words go on in the next message; the first message without it completes them. The text output
    has all words of a turn, as soon as they are known.

    Anything on the input `reset` ends the turn in work between two tokens, and has the conversation
    begin anew.
    """

    config: Lfm2AudioConfig = Lfm2AudioConfig()

    _engine: Engine

    def initialize(self) -> None:
        """Load the engine and the model.

        Raises:
            ConfigError: The engine is not installed, or the model or device can't be had.
        """
        self._turn = 0
        self._resets_seen = 0  # that wait, and are heeded already
        self._engine = Engine(self.config, self.node_id or "lfm2_audio", self.report_progress)
        self._chat = self._engine.chat()
        self.report_progress(1.0, "ready")

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Take a turn and yield the answer, as it is made.

        Raises:
            DataError: The data is no turn, or too long; or the device has too little memory. The
                conversation is as it was before.
        """
        if data.port == "reset":
            if self._resets_seen:
                self._resets_seen -= 1
            else:
                self._forget()
            return
        if self.waiting("reset") > self._resets_seen:
            self._heed_resets()  # sent before this turn was
        chat = self._listen(data)
        if chat is None:
            return
        self._turn += 1
        try:
            yield from self._answer(self._reply(chat, data))
        except (RuntimeError, MemoryError) as error:
            if not self._engine.is_out_of_memory(error):
                raise
            raise DataError(
                f"the memory of {self._engine.device} does not suffice for this turn; send a "
                "'reset', or lower 'max_turn_secs' and 'max_reply_tokens'"
            ) from error

    def cleanup(self) -> None:
        """Release the model."""
        for name in ("_engine", "_chat"):
            self.__dict__.pop(name, None)

    # ---- a turn

    def _listen(self, data: RuntimeData) -> Any:  # noqa: ANN401 - the engine's conversation
        """Return the conversation with the turn in it, or None where nothing was said."""
        config, engine = self.config, self._engine
        # The engine replaces what a conversation holds and changes nothing in place.
        chat = copy.copy(self._chat)
        chat.new_turn("user")
        if data.type is DataType.AUDIO:
            engine.hear(chat, mono(data, config.max_turn_secs))
        elif data.payload.strip():
            # What somebody says must not end their turn and begin another one.
            chat.add_text(data.payload.replace("<|", "< |"))
        else:
            return None
        chat.end_turn()
        chat.new_turn("assistant")
        tokens = int(chat.modality_flag.shape[1]) + config.max_reply_tokens
        if tokens > engine.most_tokens:
            raise DataError(
                f"the conversation and a reply can come to {tokens:,} tokens, and the model takes "
                f"{engine.most_tokens:,}; send a 'reset', shorter turns, or lower "
                "'max_reply_tokens'"
            )
        return chat

    def _reply(self, chat: Any, data: RuntimeData) -> Reply:  # noqa: ANN401
        mode = self.config.mode
        return Reply(
            self._engine,
            chat,
            self.config.max_reply_tokens,
            aloud=mode != "transcription",
            known=data.payload.strip() if mode == "speech" else None,
        )

    def _answer(self, reply: Reply) -> Iterator[RuntimeData]:
        is_told = reply.words_end  # the text has left, or need not: it came from elsewhere
        has_words_to_come = False
        with contextlib.closing(reply.parts(self._is_unwanted)) as parts:
            for part in parts:
                if part.samples is None:
                    is_told = True
                    yield from self._told(reply)
                else:
                    has_words_to_come = not reply.words_end
                    yield self._audio(part.samples, reply)
        if self._is_unwanted():
            if not self.stopping:
                _log.info("turn %d was called off", self._turn)
                self._heed_resets()
            return
        if reply.is_cut:
            _log.warning(
                "turn %d was cut at %d tokens; raise 'max_reply_tokens' to allow more",
                self._turn,
                self.config.max_reply_tokens,
            )
        if not is_told:
            yield from self._told(reply)
        if has_words_to_come:  # the last sound left before it was known that it is the last
            reply.words_end = True
            yield self._audio(np.zeros(FRAME, np.float32), reply)
        if self.config.mode == "conversation":
            self._chat = reply.remember()

    def _told(self, reply: Reply) -> Iterator[RuntimeData]:
        if reply.words.text:
            text = RuntimeData.text(reply.words.text, port="text")
            text.metadata.extra = {"turn": self._turn}
            yield text

    def _audio(self, samples: NDArray[np.float32], reply: Reply) -> RuntimeData:
        """Return samples with the words that are new since the last ones."""
        words = reply.words.piece(last=reply.words_end)
        audio = RuntimeData.audio(samples, SAMPLE_RATE, transcript=words, port="audio")
        audio.metadata.extra = {"turn": self._turn}
        if not reply.words_end:
            audio.metadata.extra["partial"] = True
        return audio

    # ---- what ends one

    def _is_unwanted(self) -> bool:
        return self.stopping or self.waiting("reset") > self._resets_seen

    def _heed_resets(self) -> None:
        """Forget, as what waits on `reset` asks for; it has no more to say when it is taken."""
        self._forget()
        self._resets_seen = self.waiting("reset")

    def _forget(self) -> None:
        self._chat = self._engine.chat()
