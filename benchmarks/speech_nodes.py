"""The nodes of the speech pipeline, with the times at which they compute written on what they give.

Times are seconds of the machine's monotonic clock, which all processes share. An item carries those
of everything that it was made from, in `metadata.extra["computed"]` as `[begin, end]` pairs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from acme_reply.node import ReplyNode

from remotemedia.core.multiprocessing import register_node
from remotemedia.core.ports import Port
from remotemedia.nodes.tts.config import PiperTtsConfig
from remotemedia.nodes.tts.piper import PiperTtsNode
from remotemedia.nodes.whisper.config import WhisperConfig
from remotemedia.nodes.whisper.node import WhisperNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotemedia.core.data import RuntimeData

__all__ = ["Span", "TimedPiper", "TimedReply", "TimedWhisper", "spans"]

Span = tuple[float, float]

_AUDIO, _TEXT = (Port("audio", "audio"),), (Port("text", "text"),)
# More than the chunks of the longest recording: what came long before the end is not asked for.
_KEPT = 2000


def spans(data: RuntimeData) -> list[Span]:
    """Return when something was computed for this item."""
    return [(begin, end) for begin, end in data.metadata.extra.get("computed", ())]


def _timed(results: Iterator[RuntimeData], computed: list[Span]) -> Iterator[RuntimeData]:
    """Pass results on; `computed` grows by the time that each took."""
    begin = time.monotonic()
    for item in results:
        computed.append((begin, time.monotonic()))
        item.metadata.extra = {**item.metadata.extra, "computed": computed[-_KEPT:]}
        yield item
        begin = time.monotonic()
    computed.append((begin, time.monotonic()))


@register_node("timed_whisper", inputs=_AUDIO, outputs=_TEXT, config=WhisperConfig)
class TimedWhisper(WhisperNode):
    """Hears."""

    def initialize(self) -> None:
        """Load the model."""
        super().initialize()
        self._computed: list[Span] = []

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Take a chunk."""
        return _timed(super().process(data), self._computed)

    def finish(self) -> Iterator[RuntimeData]:
        """Give what is held back."""
        return _timed(super().finish(), self._computed)


@register_node("timed_reply", inputs=_TEXT, outputs=_TEXT)
class TimedReply(ReplyNode):
    """Answers."""

    def process(self, data: RuntimeData) -> RuntimeData | None:
        """Answer one text."""
        begin = time.monotonic()
        answer = super().process(data)
        if answer is not None:
            computed = [*spans(data), (begin, time.monotonic())]
            answer.metadata.extra = {"computed": computed}
        return answer


@register_node("timed_piper", inputs=_TEXT, outputs=_AUDIO, config=PiperTtsConfig)
class TimedPiper(PiperTtsNode):
    """Speaks."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        """Speak one text."""
        return _timed(super().process(data), spans(data))
