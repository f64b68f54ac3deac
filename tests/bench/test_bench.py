"""The command runs and its rows make sense; how fast anything is, is not for a test to say."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from remotemedia.core.errors import RemoteMediaError
from remotemedia.runtime.bench import plot
from remotemedia.runtime.bench.flatness import judge
from remotemedia.runtime.bench.payload import parse_size
from remotemedia.runtime.bench.rows import LatencyRow, ThroughputRow, median, percentile
from remotemedia.runtime.bench.table import as_json, as_table

pytestmark = pytest.mark.timeout(60)

PIPELINE = '[nodes.pass]\ntype = "remotemedia.runtime.bench.nodes:Pass"\n'


SLOW = """
import time
from remotemedia.core.node import MultiprocessNode

class Slow(MultiprocessNode):
    def process(self, data):
        time.sleep(self.config["seconds"])
        return data
"""

TWO = """
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port

TEXT, AUDIO = Port("text", "text", False), Port("audio", "audio", False)

@register_node("two", inputs=[TEXT, AUDIO, Port("any", required=False)])
class Two(MultiprocessNode):
    def process(self, data):
        if len(data.payload) < 8000:
            raise ValueError(f"{len(data.payload)} samples are no turn")
        return data
"""

# `Stopper` has the process of `Stopped` stand still when it sends, as if messages took so long.
STOPPING = """
import os
import pathlib
import signal
import subprocess
import time
from remotemedia.core.node import MultiprocessNode

class Stopped(MultiprocessNode):
    def initialize(self):
        pathlib.Path(self.config["file"]).write_text(str(os.getpid()), encoding="utf-8")

    def process(self, data):
        return data

class Stopper(MultiprocessNode):
    def process(self, data):
        time.sleep(0.1)
        pid = int(pathlib.Path(self.config["file"]).read_text(encoding="utf-8"))
        os.kill(pid, signal.SIGSTOP)
        self.waker = subprocess.Popen(["sh", "-c", f"sleep 0.4; kill -CONT {pid}"])
        return data

    def cleanup(self):
        self.waker.wait()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remotemedia.runtime.cli.main", "bench", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )


def rows_of(*arguments: str) -> list[dict[str, Any]]:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def latency_row(system: str, size: int, p50: float, mode: str = "copied") -> LatencyRow:
    return LatencyRow(
        system=system,
        size=size,
        mode=mode,
        p50_us=p50,
        p99_us=2 * p50,
        first_us=None,
        alone_us=None,
        raw_p50_us=10.0,
        ratio=p50 / 10,
        messages=100,
    )


# ---- the commands


def test_latency_has_a_row_for_each_system_size_and_mode() -> None:
    rows = rows_of("latency", "--sizes", "64B,64KB", "--rounds", "2", "--spin-us", "50")
    assert {(row["system"], row["size"], row["mode"]) for row in rows} == {
        (system, size, mode)
        for system in (
            "remotemedia",
            "remotemedia, coroutine",
            "remotemedia, spinning",
            "raw iceoryx2",
        )
        for size in (64, 65536)
        for mode in ("copied", "in place")
    }
    for row in rows:
        assert row["benchmark"] == "latency"
        assert 0 < row["p50_us"] <= row["p99_us"]
        assert row["ratio"] == pytest.approx(row["p50_us"] / row["raw_p50_us"], rel=0.05)
        assert row["messages"] >= 6
        assert (row["first_us"] is None) == (row["system"] == "raw iceoryx2")


def test_latency_against_others_says_what_is_not_there() -> None:
    done = run(
        *("latency", "--json", "--sizes", "64", "--modes", "copied", "--rounds", "1"),
        *("--against", "queue,pyzmq,dora"),
    )
    assert done.returncode == 0, done.stderr
    systems = {json.loads(line)["system"] for line in done.stdout.splitlines()}
    assert "multiprocessing.Queue" in systems
    for module, system in (("zmq", "pyzmq"), ("dora", "dora")):
        assert (system in systems) != (f"left out: {system}" in done.stderr), done.stderr
        assert find_spec(module) is not None or system not in systems


@pytest.mark.parametrize("pin", ["{cpu},{cpu}", "none"])
def test_both_processes_can_be_pinned_or_left_to_the_scheduler(pin: str) -> None:
    pin = pin.format(cpu=min(os.sched_getaffinity(0)))
    rows = rows_of("latency", "--sizes", "64", "--rounds", "1", "--pin", pin)
    assert len(rows) == 6


def test_a_message_may_be_larger_than_what_channels_usually_hold() -> None:
    rows = rows_of("latency", "--sizes", "150MB", "--rounds", "1", "--modes", " in place")
    assert {row["size"] for row in rows} == {150 << 20}


def test_latency_draws_a_plot(tmp_path: Path) -> None:
    file = tmp_path / "latency.png"
    rows_of("latency", "--sizes", "64,1KB", "--rounds", "1", "--plot", str(file))
    assert file.read_bytes().startswith(b"\x89PNG")


def test_throughput_counts_messages_and_bytes() -> None:
    rows = rows_of("throughput", "--rounds", "1", "--share", "0.02")
    assert {(row["system"], row["size"], row["mode"]) for row in rows} == {
        (system, size, mode)
        for system in ("remotemedia", "raw iceoryx2")
        for size, mode in ((64, "copied"), (10 << 20, "copied"), (10 << 20, "in place"))
    }
    for row in rows:
        expected = row["messages_per_s"] * row["size"] / 1e9
        assert row["gb_per_s"] == pytest.approx(expected, rel=0.01, abs=0.001)


def test_spawn_compares_sessions_with_a_process_that_imports() -> None:
    *starts, idle = rows_of("spawn", "--rounds", "1", "--idle-seconds", "0.5")
    assert [row["nodes"] for row in starts] == [1, 1, 10, 30]
    assert all(row["ratio"] > 0 for row in starts)
    assert idle["benchmark"] == "idle"
    assert idle["nodes"] == 10
    assert 0 < idle["memory_mb_per_node"] <= idle["memory_mb"] / 9
    assert 0 <= idle["cpu_percent"] < 50


def test_soak_counts_what_went_through(tmp_path: Path) -> None:
    file = tmp_path / "soak.png"
    soak, *memory = rows_of(
        *("soak", "--seconds", "3", "--seed", "7", "--nodes", "4", "--plot", str(file))
    )
    assert (soak["benchmark"], soak["seed"], soak["nodes"]) == ("soak", 7, 4)
    assert soak["small_messages"] > 1000
    assert soak["raids"] >= 1
    assert soak["stalled_seconds"] >= 0.3
    watched = {row["what"] for row in memory}
    assert {"shared memory", "application", "template", "mixed carrier0", "small line0"} <= watched
    assert {row["flat"] for row in memory} == {None}  # it was too short to tell
    assert file.read_bytes().startswith(b"\x89PNG")


def test_pipeline_says_where_time_goes(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    recording, pipeline = tmp_path / "speech.wav", tmp_path / "pass.toml"
    soundfile.write(recording, [0.0] * 8000, 16000)
    pipeline.write_text(PIPELINE, encoding="utf-8")
    whole, node = rows_of("pipeline", str(pipeline), "--input", str(recording), "--fast")
    assert (whole["node"], node["node"]) == ("", "pass")
    assert (node["taken"], node["sent"], whole["taken"]) == (25, 25, 25)


def test_pipeline_tells_what_nodes_cost_from_what_the_runtime_costs(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    recording, pipeline = tmp_path / "speech.wav", tmp_path / "slow.toml"
    soundfile.write(recording, [0.0] * 640, 16000)  # two messages
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    pipeline.write_text(
        'extra_paths = ["."]\nedges = ["a -> b"]\n'
        '[nodes.a]\ntype = "slow:Slow"\nconfig.seconds = 0.3\n'
        '[nodes.b]\ntype = "slow:Slow"\nconfig.seconds = 0.2\n',
        encoding="utf-8",
    )
    whole, a, b = rows_of("pipeline", str(pipeline), "--input", str(recording))
    assert whole["turn_ms"] > 450  # it begins at the end of the input, the work before it
    assert 430 < whole["turn_computing_ms"] <= whole["turn_ms"]
    assert 250 < a["turn_computing_ms"] < whole["turn_ms"]
    assert 190 < b["turn_computing_ms"] < whole["turn_ms"]
    assert 200 < a["turn_waiting_ms"] < whole["turn_ms"]  # the second, for the first
    assert a["turn_moving_ms"] < a["turn_waiting_ms"]
    assert 0 <= b["turn_moving_ms"] < whole["turn_ms"]
    split = whole["turn_computing_ms"] + whole["turn_runtime_ms"]
    assert split == pytest.approx(whole["turn_ms"], abs=1)


def test_pipeline_tells_when_messages_are_on_their_way(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    recording, pipeline = tmp_path / "speech.wav", tmp_path / "stopping.toml"
    soundfile.write(recording, [0.0] * 320, 16000)  # one message
    (tmp_path / "stopping.py").write_text(STOPPING, encoding="utf-8")
    pipeline.write_text(
        'extra_paths = ["."]\nedges = ["a -> b"]\n'
        f'[nodes.a]\ntype = "stopping:Stopper"\nconfig.file = "{tmp_path}/pid"\n'
        f'[nodes.b]\ntype = "stopping:Stopped"\nconfig.file = "{tmp_path}/pid"\n',
        encoding="utf-8",
    )
    whole, a, b = rows_of("pipeline", str(pipeline), "--input", str(recording))
    assert 300 < b["turn_moving_ms"] < whole["turn_ms"]
    assert a["turn_moving_ms"] < b["turn_moving_ms"]
    assert 300 < whole["turn_runtime_ms"] < whole["turn_ms"]


def test_pipeline_takes_the_input_that_is_for_audio_and_sends_a_turn_whole(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    recording, pipeline = tmp_path / "speech.wav", tmp_path / "two.toml"
    soundfile.write(recording, [0.0] * 8000, 16000)
    (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
    pipeline.write_text('extra_paths = ["."]\n[nodes.a]\ntype = "two"\n', encoding="utf-8")
    whole, node = rows_of("pipeline", str(pipeline), "--input", str(recording), "--whole")
    assert (node["taken"], node["sent"]) == (1, 1)
    assert whole["turn_ms"] >= 0


def test_pipeline_tells_what_a_node_raised_and_what_takes_no_recording(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    recording, pipeline = tmp_path / "speech.wav", tmp_path / "two.toml"
    soundfile.write(recording, [0.0] * 8000, 16000)
    (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
    head = 'extra_paths = ["."]\n[nodes.a]\ntype = "two"\n'
    pipeline.write_text(head, encoding="utf-8")
    done = run("pipeline", str(pipeline), "--input", str(recording))
    assert "error: Node 'a' failed in process of audio#0" in done.stderr
    assert "ValueError: 320 samples are no turn" in done.stderr
    pipeline.write_text(f'inputs = ["a.text"]\n{head}', encoding="utf-8")
    done = run("pipeline", str(pipeline), "--input", str(recording))
    assert done.returncode == 2
    assert "  the recording needs one input for audio, and there are: none\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("latency", "--sizes", "big"), "--sizes big"),
        (("latency", "--sizes", "0"), "--sizes 0"),
        (("latency", "--modes", "fast"), "--modes fast"),
        (("latency", "--against", "ray"), "--against ray"),
        (("latency", "--pin", "0"), "--pin 0"),
        (("latency", "--plot", "there/is/no/such.png"), "no directory there/is/no"),
        (("latency", "--plot", "latency.txt"), "ends with .png"),
        (("soak", "--plot", "soak"), "ends with .png"),
        (("soak", "--nodes", "1"), "--nodes"),
        (("throughput", "--pin", "0,99999"), "--pin 0,99999"),
        (("pipeline", "no.toml", "--input", "no.wav"), "no.toml"),
    ],
)
def test_a_mistake_is_told_and_nothing_runs(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


# ---- rows, tables, plots


def test_medians_and_percentiles() -> None:
    assert median([3, 1, 2]) == 2
    assert percentile(range(100), 0.99) == 99
    assert percentile([7], 0.99) == 7


def test_what_only_fluctuates_is_flat() -> None:
    noise = random.Random(1)  # noqa: S311 - no secret
    judged = judge(range(300), [200 + 40 * noise.random() for _ in range(300)], floor=4)
    assert judged.flat
    assert judged.level == pytest.approx(220, abs=3)


def test_what_fills_up_at_first_is_flat() -> None:
    assert judge(range(300), [min(n, 60) for n in range(300)], floor=1).flat


def test_a_minute_is_too_short_to_tell() -> None:
    assert judge(range(60), [float(n) for n in range(60)], floor=4).flat is None


def test_what_grows_slowly_is_not_flat() -> None:
    noise = random.Random(1)  # noqa: S311 - no secret
    judged = judge(range(300), [200 + 40 * noise.random() + 0.1 * n for n in range(300)], floor=4)
    assert judged.flat is False
    assert judged.growth == pytest.approx(22.5, abs=5)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64B", 64), ("64", 64), ("1KB", 1024), ("10 MB", 10 << 20), ("2mb", 2 << 20)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_tables_are_aligned_and_one_for_each_kind_of_row() -> None:
    row = ThroughputRow("remotemedia", 64, "copied", 1e5, 0.0064, None, None)
    first, second = as_table([latency_row("remotemedia", 64, 20.0), row]).split("\n\n")
    head, line = first.splitlines()
    assert head.split()[:3] == ["system", "size", "mode"]
    assert line.split()[:4] == ["remotemedia", "64", "B", "copied"]
    assert "messages/s" in second


def test_json_has_an_object_in_each_line() -> None:
    lines = as_json([latency_row("a", 64, 20.0), latency_row("b", 64, 10.0)]).splitlines()
    assert [json.loads(line)["system"] for line in lines] == ["a", "b"]


def test_without_matplotlib_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RemoteMediaError, match=r"remotemedia-runtime\[bench\]"):
        plot.draw([], tmp_path / "latency.png", "")
