"""KokoroTtsNode: speech by Kokoro-82M.

kokoro-onnx is MIT, but its phonemizer and espeak-ng are GPL-3.0: it is an optional extra, and this
module alone imports it, in the process of the node.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts.config import KokoroTtsConfig
from remotemedia.nodes.tts.kokoro_model import find_model
from remotemedia.nodes.tts.kokoro_voices import find_voice
from remotemedia.nodes.tts.speaking import SpeakingNode, disable_telemetry, missing_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LANGUAGES", "KokoroTtsNode"]

#: Language of a voice by the first letter of its name, as espeak-ng calls it. From the model's
#: list of voices, https://huggingface.co/hexgrad/Kokoro-82M/blob/main/VOICES.md
LANGUAGES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}


class KokoroTtsNode(SpeakingNode):
    """Speaks text with a Kokoro voice, at 24 kHz."""

    config: KokoroTtsConfig = KokoroTtsConfig()
    sample_rate = 24_000

    _engine: Any  # Any: the engine is optional, nothing here may need it to be checked

    def initialize(self) -> None:
        """Load the engine, the model and the voice.

        Raises:
            ConfigError: The engine is not installed, or model, voice or language can't be had.
        """
        where, config = self.node_id or "kokoro_tts", self.config
        self.report_progress(0.05, "importing kokoro-onnx")
        disable_telemetry()
        try:
            from kokoro_onnx import Kokoro
        except ImportError as error:
            raise missing_engine(where, "kokoro-onnx", "kokoro", error) from error
        self.report_progress(0.3, f"finding the voice {config.voice}")
        self._style = find_voice(config.voice, config.voices, where)
        self.report_progress(0.4, "finding the weights of Kokoro-82M")
        model = find_model(config.model, where)
        self.report_progress(0.6, "loading Kokoro-82M")
        try:
            with tempfile.TemporaryDirectory(prefix="remotemedia-kokoro-") as folder:
                # The engine wants an archive of voices; it gets the style itself with every call.
                voices = Path(folder, "voices.npz")
                np.savez(voices, voice=self._style)
                self._engine = Kokoro(str(model), str(voices))
                self._engine.voices.close()
        except Exception as error:
            # The errors of onnxruntime share no base but Exception.
            raise ConfigError(
                where, "model", f"{str(model)!r} could not be loaded as Kokoro-82M ({error})"
            ) from error
        self._language = config.language or LANGUAGES.get(config.voice[0], "en-us")
        self.report_progress(0.8, "warming up")
        try:
            self._engine.tokenizer.phonemize("one", self._language)
        except RuntimeError as error:
            raise ConfigError(
                where,
                "language",
                f"espeak-ng knows no language {self._language!r} ({error}); use one as "
                f"{', '.join(sorted(LANGUAGES.values()))}",
            ) from error
        self.synthesize("Ready.")
        self.report_progress(1.0, "ready")

    def synthesize(self, sentence: str) -> NDArray[np.float32]:
        """Return one sentence as mono float32, shape `(frames,)`."""
        phonemes = self._engine.tokenizer.phonemize(sentence, self._language)
        if not any(p.isalnum() for p in phonemes):
            return np.empty(0, np.float32)
        samples, _ = self._engine.create(
            phonemes, self._style, self.config.rate, self._language, is_phonemes=True
        )
        return np.asarray(samples, np.float32)

    def cleanup(self) -> None:
        """Release the model."""
        self.__dict__.pop("_engine", None)
