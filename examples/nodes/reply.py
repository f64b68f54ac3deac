"""A node of your own in one file: answers what it hears."""

from __future__ import annotations

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port


@register_node("reply", inputs=[Port("text", "text")], outputs=[Port("text", "text")])
class ReplyNode(MultiprocessNode):
    """Says back what it heard, or that it has no answer to a question."""

    def process(self, data: RuntimeData) -> RuntimeData | None:
        """Answer one text."""
        heard = data.payload.strip()
        if not heard:
            return None
        if heard.endswith("?"):
            return RuntimeData.text(f"I can only repeat, not answer. You asked: {heard}")
        return RuntimeData.text(f"You said: {heard}")
