"""Carriers that each do one thing that must never happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.plugin import Port, register_node
from remotemedia.runtime.bench.traffic.nodes import Carrier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotemedia.core.data import RuntimeData

WHEN = 20
PORTS: Any = {
    "inputs": [Port("in0"), Port("app", required=False)],
    "outputs": [Port("out"), Port("report", "json")],
}


@register_node("loses", **PORTS)
class Loses(Carrier):
    def process(self, data: RuntimeData) -> RuntimeData | None:
        parcel = super().process(data)
        return None if self.sender.sent == WHEN else parcel


@register_node("doubles", **PORTS)
class Doubles(Carrier):
    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        parcel = super().process(data)
        yield parcel
        if self.sender.sent == WHEN:
            yield parcel


@register_node("swaps", **PORTS)
class Swaps(Carrier):
    def process(self, data: RuntimeData) -> list[RuntimeData]:
        parcel = super().process(data)
        if self.sender.sent == WHEN:
            self.held = parcel
            return []
        return [parcel, self.held] if self.sender.sent == WHEN + 1 else [parcel]


@register_node("tears", **PORTS)
class Tears(Carrier):
    """Changes one byte of the twentieth parcel that has any."""

    seen = 0

    def process(self, data: RuntimeData) -> RuntimeData:
        parcel = super().process(data)
        if parcel.size and isinstance(parcel.payload, np.ndarray):
            self.seen += 1
            if self.seen == WHEN:
                parcel.payload = parcel.payload.copy()
                parcel.payload[-1] ^= 1
        return parcel


@register_node("mixesup", **PORTS)
class MixesUp(Carrier):
    """Sends a parcel that looks as if it came from somebody else."""

    def process(self, data: RuntimeData) -> RuntimeData:
        parcel = super().process(data)
        if self.sender.sent == WHEN:
            parcel.metadata.extra = {**parcel.metadata.extra, "route": ["line0"]}
        return parcel


@register_node("losesthelast", **PORTS)
class LosesTheLast(Carrier):
    """Holds back what nobody can miss before the end."""

    def process(self, data: RuntimeData) -> RuntimeData | None:
        parcel = super().process(data)
        return None if self.sender.sent == 100 else parcel
