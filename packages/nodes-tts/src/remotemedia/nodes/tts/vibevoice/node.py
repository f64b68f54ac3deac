"""VibeVoiceNode: speech by VibeVoice, in a recorded voice, leaving while it is made."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.data import DataType, RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.core.node import MultiprocessNode
from remotemedia.nodes.tts.config import VibeVoiceConfig
from remotemedia.nodes.tts.speaking import missing_engine
from remotemedia.nodes.tts.vibevoice.heard import Heard
from remotemedia.nodes.tts.vibevoice.script import script
from remotemedia.nodes.tts.vibevoice.tempo import Tempo
from remotemedia.nodes.tts.vibevoice.voices import SAMPLE_RATE, find_voice, load_voice

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

__all__ = ["VibeVoiceNode"]

_log = logging.getLogger(__name__)


class VibeVoiceNode(MultiprocessNode):
    """Speaks text in a recorded voice, and speech with its transcript again in that voice.

    Gives mono float32 audio at 24 kHz in messages of 133 ms and more, each as soon as it is made.
    The first of a turn has the turn's text as its `transcript`, the others an empty one; `extra`
    has `voice`, `rate` and the number of the `turn`. Anything on the input `reset` ends the turn
    that is being spoken; what still arrives of it as audio is not spoken.
    """

    config: VibeVoiceConfig = VibeVoiceConfig()

    _engine: Any  # Any: the engine is optional, nothing here may need it to be checked

    def initialize(self) -> None:
        """Load the recordings of the voices, the engine and the model.

        Raises:
            ConfigError: The engine is not installed, or a voice, the model or the device can't
                be had.
        """
        where, config = self.node_id or "vibe_voice", self.config
        self._heard, self._turn = Heard(where), 0
        self.report_progress(0.02, "importing vibevoice")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            from remotemedia.nodes.tts.vibevoice.engine import Engine
        except ImportError as error:
            raise missing_engine(where, "vibevoice", "vibevoice", error) from error
        self.report_progress(0.15, "reading the recordings of the voices")
        self._voices: dict[str | None, NDArray[np.float32]] = {}
        for speaker, voice in ((None, config.voice), *config.speakers.items()):
            key = "voice" if speaker is None else f"speakers.{speaker}"
            path = find_voice(voice, config.voices, where, key)
            self._voices[speaker] = load_voice(path, where, key)
        self._engine = Engine(config, where, self.report_progress)
        self.report_progress(0.9, "warming up")
        with closing(self._speech([(0, "Ready.")], [self._voices[None]])) as first:
            next(first, None)
        self.report_progress(1.0, "ready")

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Take text, or audio with its transcript, and yield speech.

        Raises:
            DataError: It is something else, or nobody knows the words of the audio.
            ResourceLimitError: The turn is longer than `max_turn_secs`.
        """
        if data.port == "reset":
            self._heard.drop()
        elif data.type is DataType.TEXT:
            yield from self._speak(data.payload)
        elif data.type is DataType.AUDIO:
            yield from self._speak(self._heard.add(data))
        else:
            raise DataError(
                f"{self.node_id or 'vibe_voice'} speaks text, and audio that has a transcript, not "
                f"{data.type.value}"
            )

    def finish(self) -> Iterator[RuntimeData]:
        """Speak the words of a turn that was not ended."""
        return self._speak(self._heard.rest())

    def _speak(self, text: str) -> Iterator[RuntimeData]:
        lines = script(text, self.config.speakers)
        if not lines:
            return
        self._turn += 1
        cast = list(dict.fromkeys(line.speaker for line in lines))
        tempo = Tempo(self.config.rate, SAMPLE_RATE)
        words = "\n".join(line.words for line in lines)
        transcript = words
        frames = self._speech(
            [(cast.index(line.speaker), line.words) for line in lines],
            [self._voices[speaker] for speaker in cast],
        )
        with closing(frames):
            for frame in frames:
                samples = tempo.add(frame)
                if len(samples):
                    yield self._audio(samples, transcript)
                    transcript = ""
                if self._is_dropped():
                    return
        pause = np.zeros(round(self.config.pause_secs * SAMPLE_RATE), np.float32)
        rest = np.concatenate((tempo.rest(), pause))
        if len(rest):
            yield self._audio(rest, transcript)
            transcript = ""
        if transcript:
            _log.warning("the model made no sound of %r", words)

    def _speech(
        self, lines: list[tuple[int, str]], voices: list[NDArray[np.float32]]
    ) -> Generator[NDArray[np.float32]]:
        speech: Generator[NDArray[np.float32]] = self._engine.speak(lines, voices, self._is_dropped)
        return speech

    def _is_dropped(self) -> bool:
        return self.stopping or self.waiting("reset") > 0

    def _audio(self, samples: NDArray[np.float32], transcript: str) -> RuntimeData:
        audio = RuntimeData.audio(samples, SAMPLE_RATE, transcript=transcript)
        config = self.config
        audio.metadata.extra = {"voice": config.voice, "rate": config.rate, "turn": self._turn}
        return audio

    def cleanup(self) -> None:
        """Release the model."""
        self.__dict__.pop("_engine", None)
