"""A node that does what it should."""

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode


class Echo(MultiprocessNode):
    """Returns what it gets."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data
