"""A node in a file of its own whose ports depend on a config that only running the file tells."""

from __future__ import annotations

from typing import Literal

import msgspec
import packaging  # noqa: F401 - what it asks for

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port


class Config(msgspec.Struct):
    """What it does.

    Attributes:
        mode: Which way.
    """

    mode: Literal["talk", "listen"] = "talk"


@register_node(
    "chooses",
    config=Config,
    inputs=[
        Port("text", "text", when=("mode", ("talk",))),
        Port("audio", "audio", when=("mode", ("listen",))),
    ],
    outputs=[
        Port("sounds", "audio", when=("mode", ("talk",))),
        Port("words", "text", when=("mode", ("listen",))),
    ],
    requirements=["packaging==23.0"],
)
class Chooses(MultiprocessNode):
    """Says nothing."""

    def process(self, data: RuntimeData) -> None:
        """Take it."""
