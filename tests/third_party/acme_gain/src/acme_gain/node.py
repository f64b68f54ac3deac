"""The node itself; only its own process imports it."""

from __future__ import annotations

import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode


class GainNode(MultiprocessNode):
    """Multiplies mono float32 samples with a factor, in place."""

    def process(self, data: RuntimeData) -> RuntimeData:
        """Return louder audio."""
        samples = data.as_numpy()
        louder = self.loan_audio(len(samples), data.metadata.sample_rate)
        np.multiply(samples, self.config.factor, out=louder.as_numpy())
        return louder
