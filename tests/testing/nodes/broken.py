"""A node that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.core.node import MultiprocessNode

if TYPE_CHECKING:
    from remotemedia.core.data import RuntimeData


class Broken(MultiprocessNode):
    """Fails at every item."""

    def process(self, data: RuntimeData) -> None:
        raise RuntimeError("on purpose")
