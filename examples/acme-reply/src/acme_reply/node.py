"""The node; only its own process imports this."""

from __future__ import annotations

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode


class ReplyNode(MultiprocessNode):
    """Says back what it heard, or that it can't answer a question."""

    def process(self, data: RuntimeData) -> RuntimeData | None:
        """Answer one text."""
        heard = data.payload.strip()
        if not heard:
            return None
        if heard.endswith("?"):
            return RuntimeData.text(f"I can only repeat, not answer. You asked: {heard}")
        return RuntimeData.text(f"You said: {heard}")
