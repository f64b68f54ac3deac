"""The voices of vibe_voice: recordings by path or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts.vibevoice.voices import SAMPLE_RATE, find_voice, load_voice

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def tone(secs: float, sample_rate: int, hz: float = 440) -> NDArray[np.float32]:
    return (0.5 * np.sin(np.arange(secs * sample_rate) * 2 * np.pi * hz / sample_rate)).astype("f4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("anna.wav", "Bob.flac", "en-Carla_woman.wav", "notes.txt"):
        if name.endswith(".txt"):
            (tmp_path / name).write_text("no voice", encoding="utf-8")
        else:
            soundfile.write(tmp_path / name, tone(2, 16_000), 16_000)
    return tmp_path


@pytest.mark.parametrize("name", ["sarah", "michael", "Sarah"])
def test_voices_that_come_along_need_no_network(name: str) -> None:
    samples = load_voice(find_voice(name, None, "tts", "voice"), "tts", "voice")
    assert samples.dtype == np.float32
    assert 5 < len(samples) / SAMPLE_RATE < 10
    assert np.abs(samples).max() > 0.3


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("anna", "anna.wav"),
        ("bob", "Bob.flac"),
        ("carla", "en-Carla_woman.wav"),
        ("en-Carla_woman", "en-Carla_woman.wav"),
    ],
)
def test_a_name_means_a_recording_of_the_folder(folder: Path, name: str, file: str) -> None:
    assert find_voice(name, str(folder), "tts", "voice") == folder / file


def test_the_own_folder_comes_first(folder: Path) -> None:
    soundfile.write(folder / "sarah.wav", tone(2, 16_000), 16_000)
    assert find_voice("sarah", str(folder), "tts", "voice") == folder / "sarah.wav"


def test_an_unknown_name_is_told_with_the_near_ones(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"'voice': no voice 'ana'.*'anna'.*'ana.wav'"):
        find_voice("ana", str(folder), "tts", "voice")
    with pytest.raises(ConfigError, match=r"'speakers.X'.*'michael', 'sarah'"):
        find_voice("zzz", None, "tts", "speakers.X")


def test_a_path_that_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        find_voice(str(tmp_path / "gone.wav"), None, "tts", "voice")
    with pytest.raises(ConfigError, match=r"'voices'.*is no folder"):
        find_voice("anna", str(tmp_path / "gone"), "tts", "voice")


def test_a_recording_becomes_mono_at_the_rate_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.stack([tone(3, 44_100), tone(3, 44_100)], axis=1), 44_100)
    samples = load_voice(path, "tts", "voice")
    assert samples.dtype == np.float32
    assert len(samples) == 3 * SAMPLE_RATE
    peak = np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples)
    assert peak == pytest.approx(440, abs=1)


def test_what_is_no_voice_is_told(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    for samples, message in (
        (tone(0.5, 16_000), "is 0.5 s long"),
        (tone(61, 16_000), "is 61.0 s long"),
        (np.zeros(32_000, np.float32), "is silent"),
        (np.empty(0, np.float32), "is 0.0 s long"),
    ):
        soundfile.write(path, samples, 16_000)
        with pytest.raises(ConfigError, match=message):
            load_voice(path, "tts", "voice")
    path.write_bytes(b"RIFF and nothing")
    with pytest.raises(ConfigError, match="can't be read as audio"):
        load_voice(path, "tts", "voice")
