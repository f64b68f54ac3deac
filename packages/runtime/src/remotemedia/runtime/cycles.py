"""Cycles of a graph: which nodes feed each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotemedia.runtime.graph import Edge

__all__ = ["cycles", "reachability"]


def reachability(edges: Sequence[Edge]) -> dict[str, set[str]]:
    """Return for each node those that its data can reach, itself included."""
    following: dict[str, set[str]] = {}
    for edge in edges:
        following.setdefault(edge.source.node, set()).add(edge.target.node)
        following.setdefault(edge.target.node, set())
    reach: dict[str, set[str]] = {}
    for start in following:
        seen, todo = {start}, [start]
        while todo:
            for node in following[todo.pop()] - seen:
                seen.add(node)
                todo.append(node)
        reach[start] = seen
    return reach


def cycles(edges: Sequence[Edge]) -> list[list[str]]:
    """Return one cycle for each group of nodes that reach each other."""
    reach = reachability(edges)
    loops = {edge.source.node for edge in edges if edge.source.node == edge.target.node}
    found: list[list[str]] = []
    done: set[str] = set()
    for node in reach:
        group = [n for n in reach if n in reach[node] and node in reach[n]]
        if node not in done and (len(group) > 1 or node in loops):
            found.append([*group, group[0]])
        done.update(group)
    return found
