"""The node itself; only its own process imports it."""

from __future__ import annotations

import platform
import sys

import numpy as np
import packaging

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode


class Node(MultiprocessNode):
    """Adds what it runs with to what it is told."""

    def process(self, data: RuntimeData) -> RuntimeData:
        """Return the list that came in, with one more entry."""
        mine = {
            "greeting": self.config.greeting,
            "packaging": packaging.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "prefix": sys.prefix,
            "path": sys.path,
            "imported": sorted(sys.modules),
        }
        return RuntimeData.json([*data.payload, mine])
