"""Nodes with ports that are called as the environment says."""

import os

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port


@register_node("strange", inputs=[Port(os.environ["IN"])], outputs=[Port(os.environ["OUT"])])
class Strange(MultiprocessNode):
    """Returns what it gets."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data
