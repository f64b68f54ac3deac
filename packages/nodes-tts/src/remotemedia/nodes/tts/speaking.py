"""SpeakingNode: what all nodes share that turn text into audio."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from remotemedia.core.data import DataType, RuntimeData
from remotemedia.core.errors import ConfigError, DataError
from remotemedia.core.node import MultiprocessNode
from remotemedia.nodes.tts.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from remotemedia.nodes.tts.config import TtsConfig

__all__ = ["SpeakingNode", "disable_telemetry", "missing_engine"]


class SpeakingNode(MultiprocessNode):
    """Speaks text: each sentence leaves as audio before the next one is synthesized.

    Takes text of any length; a text without any letter or digit gives nothing. Gives mono float32
    audio, whose metadata has the sentence as its `transcript`, and `voice` and `rate` in `extra`.
    """

    config: TtsConfig
    sample_rate: int

    @abstractmethod
    def synthesize(self, sentence: str) -> NDArray[np.float32]:
        """Return one sentence as mono float32 in -1…1, shape `(frames,)`; empty if unspeakable."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Take text and yield the audio of each sentence.

        Raises:
            DataError: The data is not text.
        """
        if data.type is not DataType.TEXT:
            raise DataError(
                f"{self.node_id or 'tts'} speaks text, not {data.type.value}; send "
                "RuntimeData.text('…')"
            )
        silence = np.zeros(round(self.config.pause_secs * self.sample_rate), np.float32)
        for sentence in sentences(data.payload):
            samples = self.synthesize(sentence)
            if len(samples):
                audio = RuntimeData.audio(
                    np.concatenate((samples, silence)), self.sample_rate, transcript=sentence
                )
                audio.metadata.extra = {"voice": self.config.voice, "rate": self.config.rate}
                yield audio


def disable_telemetry() -> None:
    """Keep onnxruntime from reporting to its maker; call it before the first import of it.

    Its 1.32 does so on Linux too, through a database in the user's cache folder that it opens
    when it is imported. A user who wants that sets `ORT_DISABLE_TELEMETRY=0`.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def missing_engine(where: str, engine: str, extra: str, error: ImportError) -> ConfigError:
    """Return the error for an engine that can't be imported.

    Args:
        where: The node's id.
        engine: The distribution that holds the engine.
        extra: The extra of remotemedia-nodes-tts that installs it.
        error: What its import raised.
    """
    return ConfigError(
        where,
        "",
        f"the engine {engine} can't be imported ({error}); "
        f"pip install 'remotemedia-nodes-tts[{extra}]' in the environment of this node",
    )
