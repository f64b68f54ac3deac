"""A node in a file of its own, with a library that the application has not."""

from __future__ import annotations

import msgspec
import packaging

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, register_node


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """What it adds.

    Attributes:
        word: A word.
    """

    word: str = "with"


@register_node("local_old", config=Config, requirements=["packaging==23.0"])
class LocalOld(MultiprocessNode):
    """Says which library it got."""

    def process(self, data: RuntimeData) -> RuntimeData:
        """Return a text."""
        return RuntimeData.text(f"{data.payload} {self.config.word} {packaging.__version__}")
