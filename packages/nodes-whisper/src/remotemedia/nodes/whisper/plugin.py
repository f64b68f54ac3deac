"""The plugin module: what discovery reads; it imports no numpy and no engine."""

from __future__ import annotations

from remotemedia.core.plugin import NodeSpec, hookimpl
from remotemedia.core.ports import Port
from remotemedia.nodes.whisper.config import WhisperConfig

__all__ = ["remotemedia_nodes"]


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node type `whisper`."""
    return [
        NodeSpec(
            name="whisper",
            target="remotemedia.nodes.whisper.node:WhisperNode",
            inputs=(Port("audio", "audio", doc="Speech of any sample rate and channel count."),),
            outputs=(Port("text", "text", doc="One text per utterance, with start and end."),),
            config=WhisperConfig,
            summary="Recognize speech with Whisper, utterance by utterance.",
        )
    ]
