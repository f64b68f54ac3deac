"""The plugin module: what discovery reads; it imports no numpy and no engine."""

from __future__ import annotations

from remotemedia.core.plugin import NodeSpec, hookimpl
from remotemedia.core.ports import Port
from remotemedia.nodes.lfm2.config import Lfm2AudioConfig

__all__ = ["remotemedia_nodes"]


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node type `lfm2_audio`."""
    return [
        NodeSpec(
            name="lfm2_audio",
            target="remotemedia.nodes.lfm2.node:Lfm2AudioNode",
            inputs=(
                Port(
                    "audio",
                    "audio",
                    required=False,
                    main=True,
                    doc="A turn: what was said.",
                    when=("mode", ("conversation", "transcription")),
                ),
                Port(
                    "text",
                    "text",
                    required=False,
                    main=True,
                    doc="A turn in writing.",
                    when=("mode", ("conversation", "speech")),
                ),
                Port(
                    "reset",
                    required=False,
                    doc="Anything: drops the turn in work and forgets the conversation.",
                ),
            ),
            outputs=(
                Port(
                    "audio",
                    "audio",
                    main=True,
                    message_bytes=7_680,
                    doc="80 ms at 24 kHz each, while it speaks.",
                    when=("mode", ("conversation", "speech")),
                ),
                Port(
                    "text",
                    "text",
                    doc="All words of a turn, as soon as they are known.",
                    when=("mode", ("conversation", "transcription")),
                ),
            ),
            config=Lfm2AudioConfig,
            summary="Answer speech or text in speech and text with LFM2-Audio.",
        )
    ]
