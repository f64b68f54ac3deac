"""What the runtime asks for the node types of this package."""

from __future__ import annotations

from remotemedia.core.plugin import NodeSpec, Port, hookimpl


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node types of this package."""
    text = [Port("text", "text")]
    return [NodeSpec("reply", "acme_reply.node:ReplyNode", text, text, summary="Answers a text.")]
