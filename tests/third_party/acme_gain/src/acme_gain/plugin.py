"""What the runtime asks; imports no numpy and not the node."""

from __future__ import annotations

from acme_gain.config import GainConfig
from remotemedia.core.plugin import NodeSpec, Port, hookimpl


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node types of this package."""
    return [
        NodeSpec(
            "acme_gain",
            "acme_gain.node:GainNode",
            inputs=(Port("audio", "audio"),),
            outputs=(Port("audio", "audio"),),
            config=GainConfig,
            summary="Makes audio louder.",
        )
    ]
