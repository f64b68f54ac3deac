"""What fails is one clear error, a right exit code, and leaves nothing."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call: TypeAlias = Callable[..., Any]


_SLOW = """
import time
from remotemedia.core.node import MultiprocessNode

class Slow(MultiprocessNode):
    def initialize(self):
        self.wait_for_weights()
    def wait_for_weights(self):
        time.sleep(60)
    def process(self, data):
        return data
"""


@pytest.fixture
def files(tmp_path: Path, audio: Call) -> Path:
    """A folder with good and bad files."""
    audio("good.wav", seconds=0.1)
    audio("headless.flac", seconds=1.0)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("hello", encoding="utf-8")
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "blank.txt").write_text(" \n\n", encoding="utf-8")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:44])
    (tmp_path / "cut.flac").write_bytes((tmp_path / "headless.flac").read_bytes()[:60])
    (tmp_path / "folder.wav").mkdir()
    return tmp_path


AUDIO_MISTAKES = {
    "no such file": ["-i", "nothing.wav"],
    "is empty": ["-i", "empty.wav"],
    "can't be read as audio": ["-i", "text.wav"],
    "holds no audio": ["-i", "cut.wav"],
    "cut.flac": ["-i", "cut.flac"],
    "is a directory": ["-i", "folder.wav"],
    "the pipeline needs input: --input gain.audio=FILE (audio)": [],
    "there is no node 'gian'; did you mean 'gain'?": ["-i", "gian=good.wav"],
    "gain.txt is no input of the pipeline": ["-i", "gain.txt=good.wav"],
    "gets good.wav already": ["-i", "good.wav", "-i", "gain=good.wav"],
    "unknown extension '.xyz'": ["-i", "good.wav", "-o", "out.xyz"],
    "has no extension": ["-i", "good.wav", "-o", "out"],
    "folder.wav: is a directory": ["-i", "good.wav", "-o", "folder.wav"],
    "there is no directory": ["-i", "good.wav", "-o", "nowhere/out.wav"],
    "is the file that is sent to gain.audio": ["-i", "good.wav", "-o", "./good.wav"],
    "gain.audio gives audio, not text": ["-i", "good.wav", "-o", "out.txt"],
    "is written to out.wav already": ["-i", "good.wav", "-o", "out.wav", "-o", "o.wav"],
    "there is no node 'gian'; did you mean 'gain'": ["-i", "good.wav", "--set", "gian.factor=1"],
    "must read NODE.KEY=VALUE": ["-i", "good.wav", "--set", "gain"],
    "unknown config key 'facto'; did you mean 'factor'": [
        "-i",
        "good.wav",
        "--set",
        "gain.facto=1",
    ],
    "config key 'factor': Expected `float`, got `str`": [
        "-i",
        "good.wav",
        "--set",
        "gain.factor=x",
    ],
}


@pytest.mark.parametrize(("message", "arguments"), AUDIO_MISTAKES.items())
def test_wrong_arguments(
    command: Call, pipeline: Call, files: Path, message: str, arguments: list[str]
) -> None:
    before = sorted(files.iterdir())
    result = command("run", pipeline(gain="gain"), *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert "starting" not in result.err  # nothing was
    assert result.err.count("\n") <= 2
    assert [path for path in sorted(files.iterdir()) if path.name != "p.toml"] == before


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("takes text, not audio", ["-i", "good.wav"]),
        ("is no UTF-8 text", ["-i", "noise.txt"]),
        ("holds no text", ["-i", "blank.txt"]),
        ("choose one", ["-i", "-", "-o", "-", "--json"]),
    ],
)
def test_wrong_text(
    command: Call, pipeline: Call, files: Path, message: str, arguments: list[str]
) -> None:
    result = command("run", pipeline(upper="upper"), *arguments)
    assert result.code == 2
    assert message in result.err + result.out


def test_json_has_errors_too(command: Call, pipeline: Call, files: Path) -> None:
    result = command("run", pipeline(gain="gain"), "-i", "text.wav", "--json")
    (error,) = result.events
    assert result.code == error["exit_code"] == 2
    assert (error["event"], error["type"], error["node"]) == ("error", "MediaError", None)
    assert result.err == ""


def test_a_pipeline_with_mistakes(command: Call, pipeline: Call) -> None:
    result = command("run", pipeline('edges = ["a.x -> b"]\nouputs = []', a="gain", b="nothing"))
    assert result.code == 2
    assert "the pipeline has 3 mistakes" in result.err


def test_all_mistakes_of_settings_pipeline_and_configuration_are_told(
    command: Call, pipeline: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pipeline(gain="gain")
    wrong = ["--set", "gian.x=1", "--set", "gain", "--set", "gain.facto=1"]
    result = command("run", file, *wrong)
    assert result.code == 2
    assert "must read NODE.KEY=VALUE" in result.err
    assert "there is no node 'gian'" in result.err
    assert "unknown config key 'facto'" in result.err
    result = command("run", file, *wrong[:4])
    assert [line.startswith(("error: --set", "--set")) for line in result.err.splitlines()] == [
        True
    ] * 2
    monkeypatch.setenv("REMOTEMEDIA_SPIN_US", "x")
    result = command("run", file, *wrong[:2])
    assert "there is no node 'gian'" in result.err
    assert "REMOTEMEDIA_SPIN_US: config key 'spin_us'" in result.err


def test_too_many_nodes(command: Call, pipeline: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTEMEDIA_MAX_PROCESSES_PER_SESSION", "1")
    edges = 'edges = ["a.text -> b.text"]'
    result = command("run", pipeline(edges, a="upper", b="upper"), "-i", "-", text="x")
    assert result.code == 2
    assert "over the limit of 1" in result.err


def test_a_node_that_raises(command: Call, pipeline: Call, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("the last good one", encoding="utf-8")
    before = sorted([*tmp_path.iterdir(), tmp_path / "p.toml"])
    arguments = ("run", pipeline(upper="upper"), "-i", "-", "--set", "upper.fail_on=b")
    result = command(*arguments, "-o", "out.txt", text="a\nb\n")
    assert result.code == 1
    assert "error: Node 'upper' failed in process" in result.err
    assert "ValueError: can't take 'b'" in result.err
    assert "cli_nodes.py" in result.err  # where it was raised
    assert "Traceback" not in result.err
    assert "not written: out.txt" in result.err
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "the last good one"
    assert sorted(tmp_path.iterdir()) == before
    debug = command(*arguments, "--debug", text="a\nb\n")
    assert debug.code == 1
    assert "Traceback" in debug.err


def test_a_node_that_dies(command: Call, pipeline: Call) -> None:
    file = pipeline(upper="upper")
    result = command("run", file, "-i", "-", "--set", "upper.die_on=a", "--json", text="a\n")
    (error,) = result.of("error")
    assert result.code == error["exit_code"] == 1
    assert (error["type"], error["node"]) == ("ProcessCrashError", "upper")
    assert "137" in error["message"]
    assert "last words" in error["message"]
    assert not result.of("summary")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("again", [False, True])
def test_a_signal_stops_everything(
    start: Call,
    pipeline: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
    again: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("REMOTEMEDIA_CLEANUP_GRACE_PERIOD_SECS", "1")
    (tmp_path / "in.txt").write_text("x", encoding="utf-8")
    file = pipeline(stuck="stuck")
    process = start("run", file, "-i", "in.txt", "-o", "out.txt", stderr=subprocess.STDOUT)
    while "stuck" not in process.stdout.readline().split():  # the pipeline works now
        assert process.poll() is None
    process.send_signal(number)
    if again:
        process.send_signal(number)
    out, _ = process.communicate(timeout=15)
    assert process.returncode == code
    assert f"stopped by {signal.Signals(number).name}" in out
    assert "Traceback" not in out
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt", "p.toml"}


def test_a_signal_while_nodes_load(start: Call, pipeline: Call) -> None:
    process = start("run", pipeline(stuck="stuck"), "-i", "-", "--json", stdin=subprocess.PIPE)
    process.stdout.readline()  # the first progress
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert '"type":"Interrupted"' in out
    assert err == ""


def test_a_reader_that_goes_away(start: Call, pipeline: Call) -> None:
    process = start("run", pipeline(upper="upper"), "-i", "-", "-o", "-", stdin=subprocess.PIPE)
    process.stdout.close()
    process.stdin.write("a\n" * 1000)
    process.stdin.close()
    assert process.wait(timeout=15) == 1
    assert "Traceback" not in process.stderr.read()
    process.stdout = process.stdin = None


def test_where_a_node_raised_is_its_own_line_and_not_that_of_the_standard_library(
    command: Call, pipeline: Call
) -> None:
    arguments = ("run", pipeline(diary="diary"), "-i", "-", "--set", "diary.path=no/such/folder")
    result = command(*arguments, text="a\n")
    assert result.code == 1
    assert "FileNotFoundError" in result.err
    (place,) = [line for line in result.err.splitlines() if line.startswith('  File "')]
    assert "cli_nodes.py" in place


_UNTIDY = """
import numpy as np
from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode

class Untidy(MultiprocessNode):
    def process(self, data):
        return RuntimeData.tensor({"one": np.zeros((2, 3), "float32")}, floor=-3)
    def cleanup(self):
        raise OSError("on purpose")
"""


def test_an_error_of_cleanup_is_a_warning_and_a_tensor_tells_its_kind(
    command: Call, tmp_path: Path
) -> None:
    (tmp_path / "untidy.py").write_text(_UNTIDY, encoding="utf-8")
    (tmp_path / "p.toml").write_text('[nodes.a]\ntype = "untidy.py:Untidy"\n', encoding="utf-8")
    result = command("run", "p.toml", "-i", "-", text="hello\n")
    assert result.code == 0
    assert "warning: Node 'a' failed in cleanup: OSError: on purpose" in result.err
    assert "skipped" not in result.err
    result = command("run", "p.toml", "-i", "-", "--json", text="hello\n")
    (output,) = result.of("output")
    assert output["arrays"] == {"one": {"shape": [2, 3], "dtype": "float32"}}
    assert (output["size"], output["extra"]) == (24, {"floor": -3})
    (error,) = result.of("error")
    assert (error["fatal"], error["item"]) == (False, None)
    assert result.summary["skipped"] == 0


def test_a_command_that_is_killed_leaves_nothing_beside_its_outputs(
    start: Call, pipeline: Call, tmp_path: Path
) -> None:
    file = pipeline(upper="upper")
    process = start("run", file, "--json", "-i", "-", "-o", "out.txt", stdin=subprocess.PIPE)
    process.stdin.write("one\n")
    process.stdin.flush()
    while '"ONE"' not in process.stdout.readline():
        pass  # the test's timeout is the deadline
    process.kill()
    process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_node_that_hangs_while_it_initializes_is_shown_where(
    command: Call, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(_SLOW, encoding="utf-8")
    (tmp_path / "p.toml").write_text('[nodes.a]\ntype = "slow.py:Slow"\n', encoding="utf-8")
    (tmp_path / "runtime.toml").write_text(
        "[multiprocess]\ninit_timeout_secs = 2\n", encoding="utf-8"
    )
    result = command("run", "p.toml", "-i", "-", text="")
    assert result.code == 1
    assert "Node 'a' failed to initialize within 2s (it was loading: initializing)" in result.err
    assert 'slow.py", line 9 in wait_for_weights' in result.err
