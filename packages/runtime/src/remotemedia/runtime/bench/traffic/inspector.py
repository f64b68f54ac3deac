"""Inspector: looks at every parcel that a node receives, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.errors import RemoteMediaError
from remotemedia.runtime.bench.traffic.parcel import Label, checksum, label_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.core.data import RuntimeData

__all__ = ["BadTraffic", "Count", "Inspector", "Report"]


class BadTraffic(RemoteMediaError):
    """Messages were lost, doubled, reordered, torn or mixed up.

    Attributes:
        findings: What was found.
    """

    def __init__(self, *findings: str) -> None:
        self.findings = findings
        super().__init__("\n".join(findings))


class Count(msgspec.Struct):
    """What came from one sender, or by one route.

    Attributes:
        received: Parcels.
        next: The number that would come next.
        gaps: Numbers that never came.
    """

    received: int = 0
    next: int = 0
    gaps: int = 0

    def take(self, number: int) -> None:
        """Count a parcel that has this number."""
        self.gaps += number - self.next
        self.received += 1
        self.next = number + 1


class Report(msgspec.Struct):
    """What a node has seen and done, all in all.

    Attributes:
        sent: Parcels that it sent.
        made: Those of them that were its own.
        senders: What came on each incoming edge, by sender.
        routes: What came by each route, by the names of the nodes on it.
    """

    sent: int = 0
    made: int = 0
    senders: dict[str, Count] = {}
    routes: dict[str, Count] = {}


class Inspector:
    """Checks what arrives at a node.

    Args:
        node: The node.
        expected: For each of its inputs, who sends there, and whether gaps are allowed.

    Attributes:
        report: What was counted so far.
    """

    def __init__(self, node: str, expected: Mapping[str, Mapping[str, bool]]) -> None:
        self._node = node
        self._expected = {port: dict(senders) for port, senders in expected.items()}
        self.report = Report()
        for senders in self._expected.values():
            self.report.senders.update({sender: Count() for sender in senders})

    def look_at(self, data: RuntimeData) -> Label:
        """Check a parcel that has just been received, and count it.

        Raises:
            BadTraffic: It is not what had to come.
        """
        try:
            label = label_of(data)
        except msgspec.ValidationError as error:
            raise BadTraffic(f"{self._node}.{data.port}: no parcel: {error}") from error
        sender = label.route[-1]
        senders = self._expected.get(data.port or "", {})
        if sender not in senders:
            raise self._bad(data, label, f"mixed up: nothing of {sender} belongs here")
        hops = self.report.senders[sender]
        self._check_order(data, label, hops, label.hop, may_miss=senders[sender])
        self.check_content(data, label)
        hops.take(label.hop)
        numbers = self.report.routes.setdefault(">".join(label.route), Count())
        self._check_order(data, label, numbers, label.number, may_miss=True)  # `audit` counts
        numbers.take(label.number)
        return label

    def check_content(self, data: RuntimeData, label: Label) -> None:
        """Check that a parcel holds what its origin put into it; also later, as long as it lives.

        Raises:
            BadTraffic: It does not.
        """
        if data.size != label.size or checksum(label.origin, label.number, data) != label.checksum:
            raise self._bad(
                data,
                label,
                f"torn: {data.size} bytes of {data.type.value} that are not what was sent",
            )

    def _check_order(
        self, data: RuntimeData, label: Label, count: Count, number: int, *, may_miss: bool
    ) -> None:
        if number == count.next - 1:
            raise self._bad(data, label, "doubled")
        if number < count.next:
            raise self._bad(data, label, f"reordered: {count.next - 1} was here before")
        if number > count.next and not may_miss:
            missing = f"{count.next} to {number - 1}"
            raise self._bad(data, label, f"lost: {missing} of {label.route[-1]}")

    def _bad(self, data: RuntimeData, label: Label, what: str) -> BadTraffic:
        route = ">".join(label.route)
        return BadTraffic(
            f"{self._node}.{data.port}: {what} (parcel {label.number} of {label.size} bytes by "
            f"{route}, hop {label.hop})"
        )
