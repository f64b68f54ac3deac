"""A module that can't be imported."""

from remotemedia.core.multiprocessing import MultiprocessNode

raise ImportError("the model's library is not there")


class Never(MultiprocessNode):
    """Is never defined."""

    def process(self, data: object) -> None:
        """Do nothing."""
