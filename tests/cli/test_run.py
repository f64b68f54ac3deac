"""`remotemedia run`: what goes in, what comes out, and what is printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
import soundfile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call: TypeAlias = Callable[..., Any]

AUDIO = 'edges = ["gain.audio -> count.audio"]\noutputs = ["gain.audio", "count.text"]'


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_goes_in_and_out(
    command: Call, pipeline: Call, audio: Call, tmp_path: Path, suffix: str
) -> None:
    source = audio(f"in.{suffix}", rate=44_100, channels=2, seconds=1.5)
    result = command("run", pipeline(AUDIO, gain="gain", count="count"), "--input", source,
                     "--output", f"out.{suffix}", "--output", "count=count.txt")  # fmt: skip
    assert result.code == 0, result.err
    info = soundfile.info(tmp_path / f"out.{suffix}")
    assert (info.samplerate, info.channels) == (44_100, 2)
    assert info.duration == pytest.approx(1.5, abs=0.1)
    count = (tmp_path / "count.txt").read_text(encoding="utf-8").splitlines()[-1].split()
    assert count[:3] == ["44100", "2", "float32"]
    assert float(count[4]) == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (11_025, 1), (48_000, 6)])
def test_audio_comes_in_short_chunks_of_its_own_rate_and_channels(
    command: Call, pipeline: Call, audio: Call, rate: int, channels: int
) -> None:
    source = audio(rate=rate, channels=channels, seconds=1.0)
    result = command("run", pipeline(count="count"), "-i", source, "--json")
    assert result.code == 0, result.err
    last = result.of("output")[-1]["text"].split()
    assert last[:3] == [str(rate), str(channels), "float32"]
    assert 50 <= int(last[3]) <= 52
    assert last[4] == "1.000"


def test_samples_arrive_as_they_were(
    command: Call, pipeline: Call, audio: Call, tmp_path: Path
) -> None:
    source = audio(seconds=0.51)
    assert command("run", pipeline(gain="gain"), "-i", source, "-o", "out.wav").code == 0
    before, _ = soundfile.read(tmp_path / source, dtype="int16")
    after, _ = soundfile.read(tmp_path / "out.wav", dtype="int16")
    assert len(before) == len(after)
    assert np.abs(before.astype(int) - after).max() <= 1


def test_the_output_keeps_the_first_rate_and_channels(
    command: Call, pipeline: Call, tmp_path: Path
) -> None:
    lines = "16000 1 0.5\n8000 1 0.25\n16000 2 -0.5\n"
    result = command("run", pipeline(voice="voice"), "-i", "-", "-o", "out.wav", text=lines)
    assert result.code == 0, result.err
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 16_000
    assert samples.shape == pytest.approx((48_000,), abs=100)
    for second, value in enumerate((0.5, 0.25, -0.5)):
        middle = samples[second * 16_000 + 4000 : second * 16_000 + 12_000]
        assert middle == pytest.approx(np.full(8000, value), abs=0.01)


def test_text_goes_in_and_out_by_line(command: Call, pipeline: Call, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\ufeffeins\r\n\nzwei é\ndrei", encoding="utf-8", newline="")
    result = command("run", pipeline(upper="upper"), "-i", "in.txt", "-o", "out.txt")
    assert result.code == 0, result.err
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "EINS\nZWEI É\nDREI\n"
    assert "wrote out.txt: 3 lines" in result.err


def test_standard_input_and_output(command: Call, pipeline: Call) -> None:
    result = command("run", pipeline(upper="upper"), "-i", "-", "-o", "-", text="one\ntwo\n")
    assert (result.code, result.out) == (0, "ONE\nTWO\n")


def test_jsonl_holds_the_output_events(
    command: Call, pipeline: Call, audio: Call, tmp_path: Path
) -> None:
    command("run", pipeline(count="count"), "-i", audio(), "-o", "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 2
    assert (first["node"], first["text"], first["start"], first["end"]) == (
        "count", "begin", 0.0, 0.02)  # fmt: skip


_GATE = """
from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.plugin import Port, register_node

@register_node(
    "gate",
    inputs=[Port("audio", "audio")],
    outputs=[Port("loud", "audio"), Port("events", "json"), Port("notes", "json")],
)
class Gate(MultiprocessNode):
    def finish(self):
        yield RuntimeData.json({"opened": 3}, port="events")
        yield RuntimeData.json("three times", port="notes")
    def process(self, data):
        return RuntimeData.audio(data.as_numpy(), 16000, port="loud")
"""


def test_a_file_goes_to_the_output_that_it_can_hold(
    command: Call, audio: Call, tmp_path: Path
) -> None:
    (tmp_path / "gate.py").write_text(_GATE, encoding="utf-8")
    text = 'extra_paths = ["."]\noutputs = ["gate.loud", "gate.{}"]\n[nodes.gate]\ntype = "gate"\n'
    (tmp_path / "p.toml").write_text(text.format("events"), encoding="utf-8")
    files = ["-i", audio(), "-o", "gate=e.jsonl", "-o", "gate=l.wav"]
    assert command("run", "p.toml", *files).code == 0
    assert json.loads((tmp_path / "e.jsonl").read_text(encoding="utf-8"))["value"] == {"opened": 3}
    (tmp_path / "p.toml").write_text(text.format('events", "gate.notes'), encoding="utf-8")
    result = command("run", "p.toml", *files)
    assert result.code == 2
    assert (
        "--output gate=e.jsonl: node 'gate' has the outputs gate.events, gate.notes; say which, as "
        "in --output gate.events=e.jsonl"
    ) in result.err


def test_several_inputs_and_outputs(command: Call, pipeline: Call, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(name, encoding="utf-8")
    file = pipeline(a="upper", b="upper")
    result = command("run", file, "-i", "a=one.txt", "-i", "b.text=two.txt",
                     "-o", "b=b.txt", "-o", "a=a.txt")  # fmt: skip
    assert result.code == 0, result.err
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "ONE\n"
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "TWO\n"


def test_json_events(command: Call, pipeline: Call, audio: Call) -> None:
    file = pipeline(AUDIO, gain="gain", count="count")
    result = command("run", file, "-i", audio(seconds=1.0), "-o", "out.flac", "--json")
    assert result.code == 0, result.err
    steps = [(e["status"], e["message"]) for e in result.of("progress") if e["node"] == "gain"]
    assert steps[0] == ("starting", "")
    assert ("loading", "half way") in steps
    assert steps[-1] == ("ready", "")
    begin = next(e for e in result.of("output") if e["node"] == "count")
    assert begin.pop("at") >= 0
    assert begin == {"event": "output", "node": "count", "port": "text", "type": "text",
                     "text": "begin", "start": 0.0, "end": 0.02, "language": "en",
                     "extra": {}}  # fmt: skip
    chunks = [e for e in result.of("output") if e["type"] == "audio"]
    assert [(c["sample_rate"], c["channels"], c["frames"]) for c in chunks] == [
        (16_000, 1, 320)
    ] * 50
    assert chunks[-1]["start"] == pytest.approx(0.98)
    assert result.events[-1]["event"] == "summary"
    summary = result.summary
    assert summary["audio"] == pytest.approx(1.0)
    assert summary["real_time_factor"] == pytest.approx(summary["processing"], rel=1e-3)
    assert summary["ready"] + summary["processing"] <= summary["total"]
    (sent,) = summary["inputs"]
    assert (sent["node"], sent["items"], sent["duration"]) == ("gain", 50, 1.0)
    written = next(o for o in summary["outputs"] if o["node"] == "gain")
    assert (written["file"], written["sample_rate"], written["duration"]) == (
        "out.flac", 16_000, 1.0)  # fmt: skip


def test_a_pipe_gets_plain_lines(command: Call, pipeline: Call, audio: Call) -> None:
    file = pipeline(AUDIO, gain="gain", count="count")
    result = command("run", file, "-i", audio(), "-o", "out.wav")
    assert result.out.splitlines()[0] == "[   0.0 –    0.0] begin"  # noqa: RUF001
    assert "gain: loading 50% half way" in result.err
    assert "wrote out.wav: 1.00 s, 16000 Hz, mono" in result.err
    assert "real-time factor" in result.err
    assert "\x1b" not in result.out + result.err


def test_node_output_by_level(command: Call, pipeline: Call, audio: Call) -> None:
    arguments = ("run", pipeline(gain="gain"), "-i", audio())
    normal, verbose, quiet = (command(*arguments, *more) for more in ([], ["-v"], ["-q"]))
    assert "[gain] said on stderr" in normal.err
    assert "[gain] said on stdout" not in normal.err
    assert "[gain] said on stdout" in verbose.err
    assert quiet.err == ""


@pytest.mark.parametrize("flag", [[], ["--inline"]])
def test_set_overrides_the_file(
    command: Call, pipeline: Call, audio: Call, tmp_path: Path, flag: list[str]
) -> None:
    file = pipeline(gain='gain"\nconfig.factor = 1.0\nconfig.name = "x')
    result = command("run", file, "-i", audio(), "-o", "out.wav", "--set", "gain.factor=0.5",
                     "--set", "gain.name=no TOML", *flag)  # fmt: skip
    assert result.code == 0, result.err
    samples, _ = soundfile.read(tmp_path / "out.wav")
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.01)


def test_inline_nodes_do_not_print_between_events(
    command: Call, pipeline: Call, audio: Call
) -> None:
    result = command("run", pipeline(gain="gain"), "-i", audio(), "--inline", "--json")
    assert result.code == 0, result.err
    assert result.summary["outputs"][0]["items"] == 50
    assert "said on stdout" in result.err


def test_realtime_sends_no_chunk_before_its_time(
    command: Call, pipeline: Call, audio: Call
) -> None:
    file = pipeline(gain="gain")
    result = command("run", file, "-i", audio(seconds=1.0), "--realtime", "--json")
    outputs = result.of("output")
    late = [e["at"] - (e["start"] + e["duration"]) for e in outputs]
    assert min(late) >= -0.001
    assert late[-1] < 0.3  # waits are not added up
    assert result.summary["inputs"][0]["ended"] == pytest.approx(1.0, abs=0.3)


def test_a_recording_that_is_cut_off_is_told(
    command: Call, pipeline: Call, audio: Call, tmp_path: Path
) -> None:
    whole = (tmp_path / audio("whole.wav", rate=8_000, channels=1, seconds=1.0)).read_bytes()
    (tmp_path / "half.wav").write_bytes(whole[: len(whole) // 2])
    result = command("run", pipeline(gain="gain"), "-i", "half.wav", "-o", "out.wav")
    assert result.code == 0, result.err
    assert result.err.startswith("half.wav is cut off: its header promises ")
    assert soundfile.info(tmp_path / "out.wav").duration == pytest.approx(0.5, abs=0.01)


def test_no_audio_gives_an_empty_file(command: Call, pipeline: Call, tmp_path: Path) -> None:
    for suffix in ("wav", "flac", "ogg", "mp3"):
        name = f"out.{suffix}"
        result = command("run", pipeline(voice="voice"), "-i", "-", "-o", name, text="")
        assert result.code == 0, result.err
        assert "gave no audio" in result.err
        assert soundfile.info(tmp_path / name).duration < 0.2


def test_nodes_without_output_finish_their_work(
    command: Call, pipeline: Call, tmp_path: Path
) -> None:
    file = pipeline('edges = ["upper.text -> diary.text"]\noutputs = ["upper.text"]',
                    upper="upper", diary="diary")  # fmt: skip
    path = tmp_path / "diary"
    lines = "".join(f"{i}\n" for i in range(50))
    result = command("run", file, "-i", "-", "--set", f'diary.path="{path}"', text=lines)
    assert result.code == 0, result.err
    assert path.read_text(encoding="utf-8") == lines


def test_an_item_can_be_skipped(command: Call, pipeline: Call) -> None:
    file = pipeline(upper='upper"\non_error = "continue')
    arguments = ("run", file, "-i", "-", "--set", "upper.fail_on=b")
    result = command(*arguments, "--json", text="a\nb\nc\n")
    assert result.code == 0
    assert [e["text"] for e in result.of("output")] == ["A", "C"]
    (error,) = result.of("error")
    assert (error["node"], error["fatal"], error["exit_code"]) == ("upper", False, None)
    assert result.summary["skipped"] == 1
    plain = command(*arguments, text="a\nb\nc\n")
    assert "skipped: Node 'upper' failed in process" in plain.err
    assert "Traceback" not in plain.err
