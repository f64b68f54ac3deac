from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.tts import kokoro_model, kokoro_voices, piper_voices
from remotemedia.nodes.tts.packaged import PackagedFile, cache_dir

JOE = "en_US-joe-medium"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "remotemedia"


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(*args: object, **kwargs: object) -> None:
        raise OSError("no way to the hub")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)


def package(folder: Path, name: str, files: dict[str, bytes]) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise SystemExit", encoding="utf-8")
    for file, content in files.items():
        (folder / name / file).write_bytes(content)


def offline(voice: str, folder: Path) -> None:
    raise OSError(f"no way to the hub for {voice}")


# ---- piper


def test_the_installed_voice_is_taken() -> None:
    model = piper_voices.find_voice(JOE, offline, "tts")
    assert model.name == f"{JOE}.onnx"
    assert model.with_name(f"{JOE}.onnx.json").is_file()


def test_a_voice_that_was_not_reviewed_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "wrong_voice", {"model": b"x", "config": b"{}"})
    monkeypatch.syspath_prepend(str(tmp_path))
    files = tuple(PackagedFile("0" * 64, (("wrong_voice", f),)) for f in ("model", "config"))
    monkeypatch.setitem(piper_voices.PACKAGED, JOE, files)
    with pytest.raises(ConfigError, match=r"not what was reviewed.*nodes-tts\[piper\]'"):
        piper_voices.find_voice(JOE, offline, "tts")


def test_a_path_is_two_files(tmp_path: Path) -> None:
    voice = tmp_path / "mine.onnx"
    with pytest.raises(ConfigError, match=r"mine\.onnx' does not exist"):
        piper_voices.find_voice(str(voice), offline, "tts")
    voice.touch()
    with pytest.raises(ConfigError, match=r"mine\.onnx\.json' does not exist"):
        piper_voices.find_voice(str(voice), offline, "tts")
    voice.with_name("mine.onnx.json").touch()
    assert piper_voices.find_voice(str(voice), offline, "tts") == voice


def test_another_voice_is_downloaded_once() -> None:
    asked = []

    def download(voice: str, folder: Path) -> None:
        asked.append(voice)
        (folder / f"{voice}.onnx").touch()
        (folder / f"{voice}.onnx.json").touch()

    for _ in range(2):
        model = piper_voices.find_voice("en_GB-alan-low", download, "tts")
        assert model == cache_dir() / "piper" / "en_GB-alan-low.onnx"
    assert asked == ["en_GB-alan-low"]
    assert len(list(model.parent.iterdir())) == 2


def test_half_a_download_is_not_kept() -> None:
    def download(voice: str, folder: Path) -> None:
        (folder / f"{voice}.onnx").touch()
        raise OSError("connection lost")

    with pytest.raises(ConfigError, match="connection lost"):
        piper_voices.find_voice("en_GB-alan-low", download, "tts")
    assert list((cache_dir() / "piper").iterdir()) == []


@pytest.mark.usefixtures("nothing_installed")
def test_without_voice_and_network_the_ways_out_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        piper_voices.find_voice(JOE, offline, "tts")
    for way in ("pip install 'remotemedia-nodes-tts[piper]'", "give the path of", "connect to the"):
        assert way in str(caught.value)


def test_what_is_no_voice_is_said() -> None:
    def download(voice: str, folder: Path) -> None:
        raise ValueError

    with pytest.raises(ConfigError, match="names are as 'en_US-lessac-medium'"):
        piper_voices.find_voice("joe", download, "tts")


# ---- kokoro


def style(seed: int = 0) -> np.ndarray:
    shape = kokoro_voices.SHAPE
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_folder_of_voices_as_in_kokoro_js(tmp_path: Path) -> None:
    style().tofile(tmp_path / "af_heart.bin")
    found = kokoro_voices.find_voice("af_heart", str(tmp_path), "tts")
    assert np.array_equal(found, style())


def test_an_archive_of_voices_as_kokoro_onnx_publishes(tmp_path: Path) -> None:
    with (tmp_path / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, af_heart=style(), am_adam=style(1))
    found = kokoro_voices.find_voice("am_adam", str(tmp_path / "voices-v1.0.bin"), "tts")
    assert np.array_equal(found, style(1))


def test_an_unknown_voice_offers_the_near_ones(tmp_path: Path) -> None:
    style().tofile(tmp_path / "af_heart.bin")
    with pytest.raises(ConfigError, match="did you mean 'af_heart'"):
        kokoro_voices.find_voice("af_hart", str(tmp_path), "tts")
    with pytest.raises(ConfigError, match="it holds no voices"):
        kokoro_voices.find_voice("af_heart", str(tmp_path.parent), "tts")


def test_a_file_that_is_no_voice_is_said(tmp_path: Path) -> None:
    (tmp_path / "af_heart.bin").write_bytes(b"12345678")
    with pytest.raises(ConfigError, match="is no voice of Kokoro"):
        kokoro_voices.find_voice("af_heart", str(tmp_path), "tts")
    for path, what in ((tmp_path / "af_heart.bin", "is neither"), (tmp_path / "no", "does not")):
        with pytest.raises(ConfigError, match=what):
            kokoro_voices.find_voice("af_heart", str(path), "tts")


@pytest.mark.usefixtures("nothing_installed", "no_network")
def test_without_voices_and_network_kokoro_names_the_ways_out() -> None:
    with pytest.raises(ConfigError) as caught:
        kokoro_voices.find_voice("af_heart", None, "tts")
    for way in ("npm pack kokoro-js", "voices-v1.0.bin", "remotemedia-nodes-tts[kokoro]"):
        assert way in str(caught.value)
    with pytest.raises(ConfigError, match="they are named as 'af_heart'"):
        kokoro_voices.find_voice("../etc", None, "tts")


@pytest.mark.usefixtures("nothing_installed")
def test_a_downloaded_voice_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    style().tofile(tmp_path / "served")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (tmp_path / "served").open("rb"))
    assert np.array_equal(kokoro_voices.find_voice("af_sky", None, "tts"), style())
    (tmp_path / "served").unlink()
    assert np.array_equal(kokoro_voices.find_voice("af_sky", None, "tts"), style())


@pytest.mark.usefixtures("nothing_installed")
def test_an_answer_that_is_no_voice_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "served").write_bytes(b"<html>")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (tmp_path / "served").open("rb"))
    with pytest.raises(ConfigError, match="is no voice of Kokoro"):
        kokoro_voices.find_voice("af_sky", None, "tts")
    assert list((cache_dir() / "kokoro" / "voices").iterdir()) == []


@pytest.mark.usefixtures("nothing_installed")
def test_without_weights_the_extra_is_named() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'remotemedia-nodes-tts\[kokoro\]'"):
        kokoro_model.find_model(None, "tts")
    with pytest.raises(ConfigError, match=r"is no file; give a '\.onnx' file"):
        kokoro_model.find_model("/nowhere.onnx", "tts")


def test_the_parts_of_the_model_are_put_together_if_they_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, content in ((1, b"a" * 10), (2, b"b" * 10)):
        package(tmp_path, f"kpart_{number}", {"part.bin": content})
    monkeypatch.syspath_prepend(str(tmp_path))
    whole = b"a" * 10 + b"b" * 10
    parts = (("kpart_1", "part.bin"), ("kpart_2", "part.bin"))
    right = PackagedFile(hashlib.sha256(whole).hexdigest(), parts)
    monkeypatch.setattr(kokoro_model, "PACKAGED", right)
    model = kokoro_model.find_model(None, "tts")
    assert model.read_bytes() == whole
    model.write_bytes(b"damaged")
    assert kokoro_model.find_model(None, "tts").read_bytes() == whole

    monkeypatch.setattr(kokoro_model, "PACKAGED", right._replace(sha256="0" * 64))
    with pytest.raises(ConfigError, match="is not what was reviewed"):
        kokoro_model.find_model(None, "tts")
