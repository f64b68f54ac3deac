"""Recognizer: the Whisper model, loaded, and one utterance at a time through it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import ctranslate2
import faster_whisper
import numpy as np

from remotemedia.core.errors import ConfigError, near
from remotemedia.nodes.whisper.intake import SAMPLE_RATE
from remotemedia.nodes.whisper.weights import find_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from remotemedia.nodes.whisper.config import WhisperConfig

__all__ = ["Recognizer", "Transcript"]

# Each progress bar of faster-whisper, even a disabled one, would keep a thread that polls.
faster_whisper.transcribe.tqdm.monitor_interval = 0

#: Decoding is tried again at the next temperature where it got stuck in a repetition.
TEMPERATURES = (0.0, 0.4)
#: Whisper may write this many tokens a second, far above any speech, and no more: a decoder that
#: repeats itself would otherwise take seconds to reach its own limit.
TOKENS_PER_SEC = 25
TOKENS_AT_LEAST = 32
TOKENS_AT_MOST = 400
#: Whisper may stop after the first sentence of several (without timestamps it does so more often,
#: and can't tell). Where more voice than this is left, it hears the rest in a second pass; less
#: may be a timestamp that is off, and a second pass would double words.
UNHEARD_SECS = 1.5
#: Quieter utterances are made this loud: Whisper drops words from those below 0.03, at the start
#: most of all. Louder ones stay as they are.
PEAK = 0.5


class Transcript(NamedTuple):
    """What was heard.

    Attributes:
        text: Without surrounding spaces; may be empty.
        language: Language code.
        avg_logprob: Mean log probability of the tokens: near 0 is sure, below -1 is guessed.
    """

    text: str
    language: str
    avg_logprob: float


class Recognizer:
    """A loaded Whisper model.

    Args:
        config: The node's configuration.
        where: The node's id, for errors.
        report: Takes a fraction and a message while it loads.

    Raises:
        ConfigError: The model, device, arithmetic, language or task can't be had.
    """

    def __init__(
        self, config: WhisperConfig, where: str, report: Callable[[float, str], None]
    ) -> None:
        self._config = config
        device, compute_type = _arithmetic(config, where)
        report(0.2, f"finding the weights of {config.model}")
        directory = find_model(
            config.model, faster_whisper.available_models(), _downloader(report), where
        )
        report(0.5, f"loading {config.model} on {device}")
        try:
            self._model = faster_whisper.WhisperModel(
                str(directory),
                device=device,
                compute_type=compute_type,
                cpu_threads=config.cpu_threads or len(os.sched_getaffinity(0)),
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                where,
                "model",
                f"{str(directory)!r} could not be loaded on {device} ({error}); check that it "
                "holds a CTranslate2 conversion of Whisper",
            ) from error
        self._check_language(where)
        report(0.8, "warming up")
        # The first call takes 0.2 s longer than all others: not in the first utterance's time.
        self._hear(np.zeros(SAMPLE_RATE, np.float32), "en")

    def _check_language(self, where: str) -> None:
        config, languages = self._config, self._model.supported_languages
        if config.language is not None and config.language not in languages:
            if languages == ["en"]:
                raise ConfigError(
                    where,
                    "language",
                    f"the model {config.model!r} knows English only, not {config.language!r}; "
                    "use a multilingual one such as 'base', or leave 'language' out",
                )
            raise ConfigError(
                where,
                "language",
                f"the model {config.model!r} knows no language {config.language!r}; give a code "
                f"as 'en' or 'de', or leave it out ({near(config.language, languages)})",
            )
        if config.task == "translate" and languages == ["en"]:
            raise ConfigError(
                where,
                "task",
                f"the model {config.model!r} knows English only and can't translate; use a "
                "multilingual one such as 'base'",
            )

    def transcribe(self, samples: NDArray[np.float32], voice_end: float) -> Transcript:
        """Transcribe one utterance.

        Args:
            samples: Mono float32 at 16 kHz, at most 30 s.
            voice_end: Where in it the voice ends, in seconds.
        """
        samples = _leveled(samples)
        heard: list[Any] = []  # Any: faster-whisper's segments
        language, at = self._config.language, 0.0
        while True:
            segments, language = self._hear(samples[int(at * SAMPLE_RATE) :], language)
            heard += segments
            stopped = at + segments[-1].end if segments else voice_end
            if voice_end - stopped < UNHEARD_SECS or stopped - at < UNHEARD_SECS:
                break
            at = stopped
        tokens = sum(len(segment.tokens) for segment in heard)
        logprob = sum(segment.avg_logprob * len(segment.tokens) for segment in heard)
        return Transcript(
            text="".join(segment.text for segment in heard).strip(),
            language=language,
            avg_logprob=logprob / tokens if tokens else 0.0,
        )

    def _hear(self, samples: NDArray[np.float32], language: str | None) -> tuple[list[Any], str]:
        seconds = len(samples) / SAMPLE_RATE
        segments, info = self._model.transcribe(
            samples,
            language=language,
            task=self._config.task,
            beam_size=self._config.beam_size,
            temperature=TEMPERATURES,
            condition_on_previous_text=False,
            max_new_tokens=min(TOKENS_AT_MOST, max(TOKENS_AT_LEAST, int(seconds * TOKENS_PER_SEC))),
        )
        return list(segments), info.language


def _leveled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples without a constant offset, and not quieter than `PEAK`."""
    centered: NDArray[np.float32] = samples - np.float32(samples.mean(dtype=np.float64))
    peak = float(np.abs(centered).max(initial=0.0))
    if not 0 < peak < PEAK:
        return centered
    leveled: NDArray[np.float32] = centered * np.float32(PEAK / peak)
    return leveled


def _arithmetic(config: WhisperConfig, where: str) -> tuple[str, str]:
    """Return the device and the compute type."""
    cuda = config.device != "cpu" and ctranslate2.get_cuda_device_count() > 0
    if config.device == "cuda" and not cuda:
        raise ConfigError(
            where,
            "device",
            "'cuda' was asked for, but no CUDA device is visible; use device='cpu' or 'auto', or "
            "check the driver and CUDA_VISIBLE_DEVICES",
        )
    device = "cuda" if cuda else "cpu"
    if config.compute_type == "auto":
        return device, "auto" if cuda else "int8"
    supported = ctranslate2.get_supported_compute_types(device)
    if config.compute_type not in supported:
        raise ConfigError(
            where,
            "compute_type",
            f"{config.compute_type!r} does not work on this {device}; use 'auto' or one of "
            f"{', '.join(sorted(supported))}",
        )
    return device, config.compute_type


def _downloader(report: Callable[[float, str], None]) -> Callable[[str], str]:
    def download(model: str) -> str:
        try:
            return str(faster_whisper.download_model(model, local_files_only=True))
        except (OSError, ValueError):  # not in the hub's cache yet
            report(0.3, f"downloading {model}")
            return str(faster_whisper.download_model(model))

    return download
