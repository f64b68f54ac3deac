"""Audit: what all nodes have counted, and what the channels have, must be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.bench.traffic.inspector import Count, Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remotemedia.runtime.bench.traffic.layout import Edge, Layout
    from remotemedia.runtime.channels.ledger import ChannelStats

__all__ = ["Totals", "audit"]


class Totals(msgspec.Struct):
    """What went over all edges.

    Attributes:
        messages: Parcels that were received and checked.
        nbytes: Bytes of shared memory that they took.
        dropped: Parcels that edges dropped by their policy.
        refused: Parcels that nodes gave up because an edge of policy `error` had no room.
    """

    messages: int = 0
    nbytes: int = 0
    dropped: int = 0
    refused: int = 0


def audit(
    layout: Layout,
    reports: Mapping[str, Report],
    refused: Mapping[str, int],
    channels: Mapping[str, ChannelStats],
) -> tuple[Totals, list[str]]:
    """Compare, when everything has been processed.

    Args:
        layout: Who sends to whom.
        reports: What each node, and the application, has counted.
        refused: How many parcels nodes had to give up.
        channels: The statistics of each channel.

    Returns:
        What went over the edges, and everything that does not fit.
    """
    totals, findings = Totals(refused=sum(refused.values())), list[str]()
    for edge in layout.edges:
        stats = channels[edge.channel]
        source, target = reports[edge.source], reports[edge.target]
        count = target.senders.get(edge.source, Count())
        findings += [
            f"channel {edge.channel} ({edge.policy}): {finding}"
            for finding in _edge(edge, source.sent, refused.get(edge.source, 0), count, stats)
        ]
        totals.messages += count.received
        totals.nbytes += stats.bytes_transferred
        totals.dropped += stats.dropped
    for name, report in reports.items():
        for route in layout.lossless_routes(name):
            made = reports[route[0]].made
            count = report.routes.get(">".join(route), Count())
            if (count.received, count.gaps) != (made, 0):
                findings.append(
                    f"{'>'.join((*route, name))}: {made} were sent and nothing may be lost, but "
                    f"{count.received} came, with {count.gaps} gaps"
                )
    return totals, findings


def _edge(edge: Edge, sent: int, refused: int, count: Count, stats: ChannelStats) -> list[str]:
    findings = []
    gaps = count.gaps + sent - count.next  # what is missing at the end is seen by nobody else
    lost = stats.dropped + refused
    if gaps != lost:
        findings.append(
            f"{gaps} of {sent} never came, but {stats.dropped} are counted as dropped and "
            f"{refused} were refused"
        )
    if count.received != stats.message_count:
        findings.append(f"{count.received} came, but {stats.message_count} are counted")
    if stats.dropped and not edge.policy.startswith("drop"):
        findings.append(f"{stats.dropped} are counted as dropped, which its policy forbids")
    if stats.current_occupancy:
        findings.append(f"{stats.current_occupancy} wait in it, after the end")
    return findings
