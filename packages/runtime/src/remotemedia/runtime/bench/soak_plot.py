"""Memory over time, as a soak has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.runtime.bench.flatness import WARM_UP
from remotemedia.runtime.bench.plot import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remotemedia.runtime.bench.soak import Sample

__all__ = ["draw_soak"]

_MIB = 1 << 20


def draw_soak(samples: Sequence[Sample], path: Path) -> None:
    """Draw what `bench soak` has seen into a file."""
    require(path)
    from matplotlib import pyplot as plt

    times = [sample.at for sample in samples]
    figure, (memory, count) = plt.subplots(
        2, 1, figsize=(9, 7), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    shared = [sample.shared / _MIB for sample in samples]
    memory.plot(times, shared, color="black", label="shared memory of all channels")
    for name in samples[0].processes:
        seen = [s for s in samples if name in s.processes]
        memory.plot(
            [s.at for s in seen],
            [s.processes[name].memory / _MIB for s in seen],
            linewidth=0.8,
            color="C0" if name == "application" else "C1" if name == "template" else "0.6",
            label=name if name in ("application", "template") else None,
        )
    memory.plot([], [], color="0.6", linewidth=0.8, label="each node")
    memory.set_yscale("log")
    memory.set_ylabel("MiB")
    memory.set_title("Memory of every process and of shared memory")
    memory.axvspan(0, times[-1] * WARM_UP, color="0.9", label="warm-up, not judged")
    memory.grid(visible=True, alpha=0.3)
    memory.legend(loc="upper right")
    count.plot(times, [s.messages / 1e6 for s in samples], color="C2")
    count.set_ylabel("messages, millions")
    count.set_xlabel("seconds")
    count.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
