"""`remotemedia bench`: what a hop, a stream, a start and a pipeline cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remotemedia.runtime.cli.soak import soak
from remotemedia.runtime.cli.usage import UsageMistake, error_event, exit_code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import msgspec

    from remotemedia.runtime.bench.payload import Mode
    from remotemedia.runtime.bench.rows import LatencyRow

__all__ = ["bench"]

#: More than the header of a message takes.
_HEADER = 1 << 20

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per row.")
_pin = click.option(
    "--pin",
    metavar="CPU,CPU|none",
    help="Run the sending and the receiving process of every system on these CPUs; the first two, "
    "where nothing is said. With `none` the scheduler decides, for each system anew, and that "
    "decides more than anything else.",
)
_rounds = click.option(
    "--rounds", type=click.IntRange(1), help="How often each system has its turn."
)


@click.group(short_help="Measure what a hop, a stream, a start and a pipeline cost.")
def bench() -> None:
    """Measure on this machine, beside raw iceoryx2 in the same run."""


@bench.command(short_help="One hop from node to node, for each size and mode.")
@_json
@click.option("--plot", type=click.Path(path_type=Path), help="Draw latency over size (PNG).")
@click.option(
    "--against", default="", metavar="NAMES", help="Also measure: queue, pyzmq, dora; by commas."
)
@click.option("--sizes", default="64B,1KB,64KB,1MB,10MB", show_default=True, metavar="SIZES")
@click.option(
    "--modes",
    default="copied,in place",
    show_default=True,
    metavar="MODES",
    help="Whether the sender's array is copied, or written in place (a loan).",
)
@click.option("--spin-us", type=click.IntRange(1), help="Also measure nodes that spin so long.")
@_pin
@_rounds
@click.pass_context
def latency(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Measure a hop from node process to node process, one way, through the whole framework.

    The receiver reads one value per page. p50 is the median of the rounds' medians; `first` is
    the first message of a session.
    """
    _run(context, _latency, options)


@bench.command(short_help="Messages and gigabytes per second, one way and lossless.")
@_json
@_pin
@_rounds
@click.option("--share", type=click.FloatRange(0, 1), default=1.0, help="Of the usual messages.")
@click.pass_context
def throughput(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """Measure messages per second at 64 B, and gigabytes per second at 10 MB."""
    _run(context, _throughput, options)


@bench.command(short_help="From create_session to ready, and what ten idle nodes use.")
@_json
@_rounds
@click.option("--idle-seconds", type=click.FloatRange(0), default=5.0, show_default=True)
@click.pass_context
def spawn(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """Measure how long sessions take to be ready, beside a process that imports their modules."""
    _run(context, _spawn, options)


@bench.command(short_help="A pipeline's answer after the end of speech, and where time goes.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-i", "--input", "recording", type=click.Path(path_type=Path), required=True)
@click.option("--fast", is_flag=True, help="Send as fast as it goes, not as a microphone would.")
@click.option("--whole", is_flag=True, help="Send it as one message, to a node that takes turns.")
@_json
@click.pass_context
def pipeline(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """Run the pipeline FILE on a recording, and say when it answered after its end."""
    _run(context, _pipeline, options)


bench.add_command(soak)


# ---- what the commands do


def _run(
    context: click.Context,
    measure: Callable[[dict[str, Any]], Awaitable[Sequence[msgspec.Struct]]],
    options: dict[str, Any],
) -> None:
    import anyio

    from remotemedia.runtime.bench.table import as_json, as_table

    try:
        rows = anyio.run(measure, options)
    except Exception as error:  # noqa: BLE001 - told to the user, whatever it is
        code = exit_code(error, running=False)
        click.echo(f"error: {error_event(error, code, debug=True).message}", err=True)
        context.exit(code)
    click.echo(as_json(rows) if options["as_json"] else as_table(rows))


async def _latency(options: dict[str, Any]) -> Sequence[LatencyRow]:
    import functools

    from remotemedia.runtime.bench import latency as hops
    from remotemedia.runtime.bench.hop import Hop
    from remotemedia.runtime.bench.plot import draw, require
    from remotemedia.runtime.bench.systems import missing, pairs
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.runtime import Runtime

    sizes, modes, against = _sizes(options["sizes"]), _modes(options["modes"]), _against(options)
    pin = _cpus(options["pin"])
    if options["plot"] is not None:
        require(options["plot"])
    for name in against:
        if missing(name):
            click.echo(f"left out: {missing(name)}", err=True)
    against = [name for name in against if not missing(name)]
    # A message may take half of it, with its header.
    room = max(MultiprocessConfig().shm_segment_size, 2 * (max(sizes) + _HEADER))
    plain = MultiprocessConfig(shm_segment_size=room)
    spinning = MultiprocessConfig(shm_segment_size=room, spin_us=options["spin_us"] or 0)
    async with Runtime(plain) as runtime, Runtime(spinning) as spinner:
        variants: list[tuple[str, Callable[[int, Mode], Hop]]] = [
            (hops.OURS, functools.partial(Hop, runtime, pin=pin)),
            (hops.OURS_COROUTINE, functools.partial(Hop, runtime, pin=pin, coroutine=True)),
        ]
        if options["spin_us"]:
            variants.append((hops.OURS_SPINNING, functools.partial(Hop, spinner, pin=pin)))
        with pairs(against, pin) as others:
            rows = await hops.latency(variants, others, sizes, modes, options["rounds"] or 40)
    if options["plot"] is not None:
        draw(rows, options["plot"], "One hop between two processes")
    return rows


async def _throughput(options: dict[str, Any]) -> Sequence[msgspec.Struct]:
    from remotemedia.runtime.bench.payload import COPIED, IN_PLACE, SIZES
    from remotemedia.runtime.bench.systems import pairs
    from remotemedia.runtime.bench.throughput import throughput as measure
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.runtime import Runtime

    pin, rounds = _cpus(options["pin"]), options["rounds"] or 9
    small, large = SIZES["64B"], SIZES["10MB"]
    cases: list[tuple[int, Mode]] = [(small, COPIED), (large, COPIED), (large, IN_PLACE)]
    async with Runtime(MultiprocessConfig()) as runtime:
        with pairs(pin=pin) as (raw,):
            return await measure(runtime, raw, cases, rounds, pin=pin, share=options["share"])


async def _spawn(options: dict[str, Any]) -> Sequence[msgspec.Struct]:
    from remotemedia.runtime.bench import spawn as starts
    from remotemedia.runtime.config import MultiprocessConfig

    config = MultiprocessConfig()
    rows: list[msgspec.Struct] = [*await starts.spawn(config, options["rounds"] or 10)]
    if options["idle_seconds"]:
        rows.append(await starts.idle(config, options["idle_seconds"]))
    return rows


async def _pipeline(options: dict[str, Any]) -> Sequence[msgspec.Struct]:
    from remotemedia.runtime.bench.recording import on_recording
    from remotemedia.runtime.pipeline import Pipeline
    from remotemedia.runtime.runtime import Runtime

    loaded = Pipeline.load(options["file"])
    async with Runtime() as runtime:
        return await on_recording(
            runtime,
            loaded,
            options["recording"],
            realtime=not options["fast"],
            whole=options["whole"],
        )


# ---- what the options say


def _sizes(text: str) -> list[int]:
    from remotemedia.runtime.bench.payload import parse_size

    try:
        sizes = [parse_size(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise UsageMistake(f"--sizes {text}: must read like 64B,1KB,10MB")
    return sizes


def _modes(text: str) -> list[Mode]:
    from remotemedia.runtime.bench.payload import COPIED, IN_PLACE

    names = [name.strip() for name in text.split(",")]
    modes = [mode for mode in (COPIED, IN_PLACE) if mode in names]
    if not modes or len(modes) != len(names):
        raise UsageMistake(f"--modes {text}: must be copied, in place, or both by a comma")
    return modes


def _against(options: dict[str, Any]) -> list[str]:
    from remotemedia.runtime.bench.systems import NAMES

    names = [name.strip() for name in options["against"].split(",") if name.strip()]
    for name in names:
        if name not in NAMES:
            raise UsageMistake(f"--against {name}: must be one of {', '.join(NAMES)}")
    return names


def _cpus(text: str | None) -> list[int] | None:
    import os

    if text is None:
        first = sorted(os.sched_getaffinity(0))[:2]
        return first if len(first) == 2 else None
    if text == "none":
        return None
    parts = text.split(",")
    try:
        cpus = [int(part) for part in parts]
    except ValueError:
        cpus = []
    if len(cpus) != 2 or not {*cpus} <= os.sched_getaffinity(0):
        raise UsageMistake(
            f"--pin {text}: must be two of the CPUs {sorted(os.sched_getaffinity(0))}, or none"
        )
    return cpus
