"""What processes add to a speech pipeline: whisper, reply and piper, beside the same in one script.

    python benchmarks/speech_overhead.py [--json] [--rounds N] [--case N]

Each round runs each case on both sides, each run in fresh processes, so that a machine that gets
slower does so for both. Numbers are medians over the rounds, ratios medians of each round's ratio.
Models use every core: other work on the machine spreads the ratios far more than the pipeline adds,
hence their quartiles, and the ratio of each side's fastest run.
Needs remotemedia-runtime, remotemedia-nodes-whisper[tiny-en], remotemedia-nodes-tts[piper] and
examples/acme-reply.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from statistics import median, quantiles

import msgspec
from speech_sides import SIDES, Case, Run, run

LATENCY_TARGET_MS = 50.0
OVERHEAD_TARGET_PERCENT = 5.0
SHORT, LONG = "austen-0930", "austen-0870"
CASES = (
    Case("short clip", (SHORT,)),
    Case("long clip", (LONG,)),
    Case("both, with a pause", (SHORT, LONG)),
    Case("short clip in real time", (SHORT,), realtime=True),
)


class Result(msgspec.Struct):
    """What a case came to.

    Attributes:
        case: What was sent.
        rounds: Runs of each side.
        script_secs: First chunk to last audio, in one script.
        pipeline_secs: The same over processes.
        overhead_percent: How much longer the pipeline took; negative where nodes overlap. Null in
            real time, where the microphone sets the pace.
        overhead_quartiles_percent: Between these lie half of the rounds; null with only one.
        fastest_overhead_percent: The same of the fastest runs of both sides.
        cpu_overhead_percent: How much more processor time the pipeline took; other work on the
            machine changes it little. Null in real time.
        idle_percent: Time in which no model computed, to the time in which one did: what the
            pipeline adds, whatever else the machine does. Null in real time.
        script_latency_ms: End of the input to first audio, in one script.
        pipeline_latency_ms: The same over processes.
        added_latency_ms: The part of it in which no model computed.
        script_peak_mb: Peak of resident memory, in MiB.
        pipeline_peak_mb: The same, the sum of all processes; what they share counts in each.
        script_memory_mb: Memory at the end, in MiB.
        pipeline_memory_mb: The same, what is shared counted once.
        script_threads: Threads at the end.
        pipeline_threads: The same, in all processes.
    """

    case: str
    rounds: int
    script_secs: float
    pipeline_secs: float
    overhead_percent: float | None
    overhead_quartiles_percent: tuple[float, float] | None
    fastest_overhead_percent: float | None
    cpu_overhead_percent: float | None
    idle_percent: float | None
    script_latency_ms: float
    pipeline_latency_ms: float
    added_latency_ms: float
    script_peak_mb: float
    pipeline_peak_mb: float
    script_memory_mb: float
    pipeline_memory_mb: float
    script_threads: int
    pipeline_threads: int


def fresh(side: str, case: int) -> Run:
    """Run one side of a case in a fresh process."""
    command = [sys.executable, __file__, "--side", side, "--case", str(case)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)


def summarize(case: Case, scripts: list[Run], pipelines: list[Run]) -> Result:
    """Take medians."""
    for one, other in zip(scripts, pipelines, strict=True):
        if one.spoken != other.spoken:
            message = f"{case.name}: the sides say different things: {one.spoken}, {other.spoken}"
            raise SystemExit(message)
    ratios = [_percent(b.wall / a.wall) for a, b in zip(scripts, pipelines, strict=True)]
    quartiles = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else None
    fastest = _percent(min(r.wall for r in pipelines) / min(r.wall for r in scripts))
    return Result(
        case=case.name,
        rounds=len(scripts),
        script_secs=round(median(r.wall for r in scripts), 3),
        pipeline_secs=round(median(r.wall for r in pipelines), 3),
        overhead_percent=None if case.realtime else round(median(ratios), 1),
        overhead_quartiles_percent=None
        if case.realtime or quartiles is None
        else (round(quartiles[0], 1), round(quartiles[2], 1)),
        fastest_overhead_percent=None if case.realtime else round(fastest, 1),
        cpu_overhead_percent=None
        if case.realtime
        else round(_percent(median(r.cpu for r in pipelines) / median(r.cpu for r in scripts)), 1),
        idle_percent=None
        if case.realtime
        else round(median(100 * r.idle / (r.wall - r.idle) for r in pipelines), 1),
        script_latency_ms=round(median(r.latency for r in scripts) * 1000, 1),
        pipeline_latency_ms=round(median(r.latency for r in pipelines) * 1000, 1),
        added_latency_ms=round(median(r.waiting for r in pipelines) * 1000, 1),
        script_peak_mb=round(median(r.peak_mb for r in scripts)),
        pipeline_peak_mb=round(median(r.peak_mb for r in pipelines)),
        script_memory_mb=round(median(r.memory_mb for r in scripts)),
        pipeline_memory_mb=round(median(r.memory_mb for r in pipelines)),
        script_threads=round(median(r.threads for r in scripts)),
        pipeline_threads=round(median(r.threads for r in pipelines)),
    )


def _percent(ratio: float) -> float:
    return (ratio - 1) * 100


def told(result: Result) -> str:
    """Say it to people."""
    if result.overhead_percent is None:
        overhead = "the microphone sets the pace"
    else:
        overhead = f"{result.overhead_percent:+.1f} % (target: below {OVERHEAD_TARGET_PERCENT:g} %)"
        if result.overhead_quartiles_percent is not None:
            low, high = result.overhead_quartiles_percent
            overhead += f", half of the rounds {low:+.1f} to {high:+.1f} %"
        overhead += (
            f"\n    fastest runs {result.fastest_overhead_percent:+.1f} %, "
            f"processor time {result.cpu_overhead_percent:+.1f} %, "
            f"without a model {result.idle_percent:.1f} %"
        )
    return (
        f"{result.case}\n"
        f"  input to last audio   {result.script_secs:8.3f} s  {result.pipeline_secs:8.3f} s  "
        f"{overhead}\n"
        f"  end to first audio    {result.script_latency_ms:8.1f} ms "
        f"{result.pipeline_latency_ms:8.1f} ms {result.added_latency_ms:.1f} ms without a model "
        f"(target: below {LATENCY_TARGET_MS:g} ms)\n"
        f"  memory: peaks         {result.script_peak_mb:8.0f} MB "
        f"{result.pipeline_peak_mb:8.0f} MB shared memory counts in each process\n"
        f"  memory: at the end    {result.script_memory_mb:8.0f} MB "
        f"{result.pipeline_memory_mb:8.0f} MB shared memory counts once\n"
        f"  threads               {result.script_threads:8}    {result.pipeline_threads:8}"
    )


def main() -> None:
    """Measure, or do one run for the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object per case and line")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument(
        "--case",
        type=int,
        choices=range(len(CASES)),
        help=", ".join(f"{number}: {case.name}" for number, case in enumerate(CASES))
        + "; default: all",
    )
    options = parser.parse_args()
    if options.side is not None:
        print(msgspec.json.encode(run(options.side, CASES[options.case])).decode())
        return
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    runs: dict[tuple[int, str], list[Run]] = {}
    cases = range(len(CASES)) if options.case is None else [options.case]
    for number in range(options.rounds):
        for case in cases:
            for side in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
                runs.setdefault((case, side), []).append(fresh(side, case))
    if not options.json:
        cpus = len(os.sched_getaffinity(0))
        print(
            f"Python {platform.python_version()}, {cpus} CPUs, {options.rounds} rounds; "
            "first column one script, second the pipeline"
        )
    for case in cases:
        result = summarize(CASES[case], runs[case, "script"], runs[case, "pipeline"])
        print(msgspec.json.encode(result).decode() if options.json else told(result))


if __name__ == "__main__":
    main()
