"""PiperTtsNode: speech by Piper.

piper-tts is GPL-3.0: it is an optional extra, and this module alone imports it, in the process of
the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts.config import PiperTtsConfig
from remotemedia.nodes.tts.piper_voices import find_voice
from remotemedia.nodes.tts.speaking import SpeakingNode, disable_telemetry, missing_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PiperTtsNode"]


class PiperTtsNode(SpeakingNode):
    """Speaks text with a Piper voice, at the voice's sample rate."""

    config: PiperTtsConfig = PiperTtsConfig()

    _voice: Any  # Any: the engine is optional and GPL, nothing here may need it to be checked

    def initialize(self) -> None:
        """Load the engine and the voice.

        Raises:
            ConfigError: The engine is not installed, or the voice can't be had or loaded.
        """
        where, config = self.node_id or "piper_tts", self.config
        self.report_progress(0.05, "importing piper")
        disable_telemetry()
        try:
            from piper import PiperVoice, SynthesisConfig
            from piper.download_voices import download_voice
        except ImportError as error:
            raise missing_engine(where, "piper-tts", "piper", error) from error
        self.report_progress(0.4, f"finding the voice {config.voice}")
        model = find_voice(config.voice, download_voice, where)
        self.report_progress(0.6, f"loading {config.voice}")
        try:
            self._voice = PiperVoice.load(model)
        except Exception as error:
            # The errors of onnxruntime share no base but Exception.
            raise ConfigError(
                where, "voice", f"{str(model)!r} could not be loaded as a Piper voice ({error})"
            ) from error
        engine = self._voice.config
        if config.speaker is not None and config.speaker >= engine.num_speakers:
            raise ConfigError(
                where,
                "speaker",
                f"the voice {config.voice!r} has speakers 0 to {engine.num_speakers - 1}, "
                f"not {config.speaker}",
            )
        self.sample_rate = int(engine.sample_rate)
        self._synthesis = SynthesisConfig(
            speaker_id=config.speaker,
            length_scale=engine.length_scale / config.rate,
            volume=config.volume,
        )
        self.report_progress(0.8, "warming up")
        self.synthesize("Ready.")
        self.report_progress(1.0, "ready")

    def synthesize(self, sentence: str) -> NDArray[np.float32]:
        """Return one sentence as mono float32, shape `(frames,)`."""
        # The engine finds sentences of its own in some, as in quoted speech.
        chunks = [c.audio_float_array for c in self._voice.synthesize(sentence, self._synthesis)]
        return np.concatenate(chunks) if chunks else np.empty(0, np.float32)

    def cleanup(self) -> None:
        """Release the voice."""
        self.__dict__.pop("_voice", None)
