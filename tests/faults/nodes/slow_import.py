"""A module that takes its time to be imported."""

import os
import time
from pathlib import Path

from remotemedia.core.multiprocessing import MultiprocessNode

Path(os.environ["REACHED"]).touch()
time.sleep(60)


class Late(MultiprocessNode):
    """Is never defined."""

    def process(self, data: object) -> None:
        """Do nothing."""
