"""Rows of benchmarks as text: JSON lines, or columns for people."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.bench.plot import size_text
from remotemedia.runtime.bench.rows import (
    LatencyRow,
    MemoryRow,
    NodeRow,
    SoakRow,
    SpawnRow,
    ThroughputRow,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_json", "as_table"]


def as_json(rows: Sequence[msgspec.Struct]) -> str:
    """Return an object for each row, one per line."""
    return "\n".join(msgspec.json.encode(row).decode() for row in rows)


def as_table(rows: Sequence[msgspec.Struct]) -> str:
    """Return the rows as aligned columns, one table for each kind of row."""
    tables = []
    for kind in dict.fromkeys(type(row) for row in rows):
        lines = [[*_cells(row).items()] for row in rows if type(row) is kind]
        heads = [name for name, _ in lines[0]]
        cells = [heads, *([text for _, text in line] for line in lines)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
        tables.append(
            "\n".join(
                "  ".join(
                    text.ljust(width) if column == 0 else text.rjust(width)
                    for column, (text, width) in enumerate(zip(line, widths, strict=True))
                ).rstrip()
                for line in cells
            )
        )
    return "\n\n".join(tables)


@functools.singledispatch
def _cells(row: msgspec.Struct) -> dict[str, str]:
    return {name: str(value) for name, value in msgspec.structs.asdict(row).items()}


@_cells.register
def _(row: LatencyRow) -> dict[str, str]:
    return {
        "system": row.system,
        "size": size_text(row.size),
        "mode": row.mode,
        "p50 µs": _number(row.p50_us, 1),
        "p99 µs": _number(row.p99_us, 1),
        "first µs": _number(row.first_us, 0),
        "alone µs": _number(row.alone_us, 0),
        "raw p50 µs": _number(row.raw_p50_us, 1),
        "ratio": _number(row.ratio, 2),
    }


@_cells.register
def _(row: ThroughputRow) -> dict[str, str]:
    return {
        "system": row.system,
        "size": size_text(row.size),
        "mode": row.mode,
        "messages/s": _number(row.messages_per_s, 0),
        "GB/s": _number(row.gb_per_s, 2),
        "ratio to raw": _number(row.ratio, 2),
    }


@_cells.register
def _(row: SpawnRow) -> dict[str, str]:
    return {
        "what": row.what,
        "p50 ms": _number(row.p50_ms, 0),
        "worst ms": _number(row.worst_ms, 0),
        "baseline ms": _number(row.baseline_ms, 0),
        "ratio": _number(row.ratio, 2),
    }


@_cells.register
def _(row: NodeRow) -> dict[str, str]:
    return {
        "node": row.node or "(pipeline)",
        "turn ms": _number(row.turn_ms, 1),
        "waiting ms": _number(row.turn_waiting_ms, 1),
        "moving ms": _number(row.turn_moving_ms, 1),
        "computing ms": _number(row.turn_computing_ms, 1),
        "runtime ms": _number(row.turn_runtime_ms, 1),
        "taken": str(row.taken),
        "sent": str(row.sent),
        "moving p50 µs": _number(row.moving_us, 0),
        "waiting": _number(row.waiting, 2),
        "CPU s": _number(row.cpu_s, 2),
        "blocked s": _number(row.blocked_s, 2),
        "first after end s": _number(row.first_after_s, 3),
        "last after end s": _number(row.last_after_s, 3),
    }


@_cells.register
def _(row: SoakRow) -> dict[str, str]:
    return {
        "soak": f"{row.seconds:.0f} s",
        "seed": str(row.seed),
        "nodes": str(row.nodes),
        "messages": f"{row.mixed_messages:,}",
        "GB": _number(row.mixed_gb, 1),
        "dropped": f"{row.dropped:,}",
        "refused": f"{row.refused:,}",
        "small messages": f"{row.small_messages:,}",
        "nodes killed": f"{row.raids:,}",
        "a node stood still": f"{row.stalled_seconds:g} s",
    }


@_cells.register
def _(row: MemoryRow) -> dict[str, str]:
    return {
        "memory": row.what,
        "median": _number(row.level, 1),
        "growth": _number(row.growth, 2),
        "allowed": _number(row.allowed, 1),
        "": row.unit,
        "flat": {True: "yes", False: "NO", None: "too short"}[row.flat],
    }


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
