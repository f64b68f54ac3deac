"""Latency over size for every system, log-log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.core.errors import RemoteMediaError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remotemedia.runtime.bench.rows import LatencyRow

__all__ = ["draw", "require"]

_STYLES = {"copied": "-", "in place": "--"}


def require(path: Path) -> None:
    """Make sure that a plot can be drawn into a file, before anything is measured for it.

    Raises:
        RemoteMediaError: matplotlib is not installed, or such a file can't be written.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise RemoteMediaError(
            "--plot needs matplotlib; pip install 'remotemedia-runtime[bench]'"
        ) from error
    mpl.use("Agg")
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.removeprefix(".").lower() not in FigureCanvasBase.filetypes:
        raise RemoteMediaError(f"--plot {path}: name a file that ends with .png")
    if not path.parent.is_dir():
        raise RemoteMediaError(f"--plot {path}: there is no directory {path.parent}")


def draw(rows: Sequence[LatencyRow], path: Path, title: str) -> None:
    """Draw the rows of `bench latency` into a file."""
    require(path)
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6))
    systems = [*dict.fromkeys(row.system for row in rows)]
    for system, mode in dict.fromkeys((row.system, row.mode) for row in rows):
        points = [
            (row.size, row.p50_us) for row in rows if (row.system, row.mode) == (system, mode)
        ]
        axes.plot(
            *zip(*points, strict=True),
            _STYLES[mode],
            marker="o",
            color=f"C{systems.index(system)}",
            label=f"{system}, {mode}",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    sizes = sorted({row.size for row in rows})
    axes.set_xticks(sizes, [size_text(size) for size in sizes])
    axes.set_xlabel("message")
    axes.set_ylabel("one way, p50, µs")
    axes.set_title(title)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def size_text(size: int) -> str:
    """Return a size as people write it."""
    for unit, factor in (("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"
