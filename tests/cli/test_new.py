"""`remotemedia new`: a package from a name, whole or not at all.

That what it writes is linted, typed, built, tested and run: tests/packaging/test_new_package.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.runtime.new_package.files import DirectoryRefused, write

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., Any]

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_it_writes_a_package_and_says_what_is_next(command: Call, tmp_path: Path) -> None:
    result = command("new", "acme-denoise")
    assert (result.code, result.err) == (0, "")
    written = [path for path in (tmp_path / "acme-denoise").rglob("*") if path.is_file()]
    listed, _, advice = result.out.partition("\nNext:\n")
    assert sorted(listed.split()) == sorted(str(path.relative_to(tmp_path)) for path in written)
    assert advice.startswith("  cd acme-denoise\n  python -m pip install --upgrade pip ")
    assert "src/acme_denoise/node.py" in advice
    assert {path.name for path in tmp_path.iterdir()} == {"acme-denoise"}


def test_the_name_is_everywhere_and_no_placeholder_is_left(command: Call, tmp_path: Path) -> None:
    command("new", "acme-denoise")
    folder = tmp_path / "acme-denoise"
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "$" not in text
            if path.suffix == ".py":
                compile(text, path.name, "exec")
    about = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert about["project"]["name"] == "acme-denoise"
    assert about["project"]["entry-points"]["remotemedia.nodes"] == {
        "acme_denoise": "acme_denoise.plugin"
    }
    pipeline = tomllib.loads((folder / "pipeline.toml").read_text(encoding="utf-8"))
    assert pipeline["nodes"]["node"]["type"] == "acme_denoise"


def test_a_directory_can_be_named(command: Call, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    result = command("new", "acme-denoise", "--directory", "work/a b")
    assert result.code == 0
    assert "cd 'work/a b'" in result.out
    assert (tmp_path / "work" / "a b" / "src" / "acme_denoise" / "node.py").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Acme_Denoise", "did you mean 'acme-denoise'?"),
        ("../acme", "did you mean 'acme'?"),
        ("2", "such as 'acme-denoise'"),
        ("", "such as 'acme-denoise'"),
        ("acme\n", "did you mean 'acme'?"),
        ("a" * 33, "has 33 characters; choose one of at most 32"),
        ("class", "is a word of Python's grammar"),
        ("json", "is a module of Python itself"),
        ("tests", "is used by every package of nodes itself"),
        ("multiprocess", "is used by every package of nodes itself"),
        ("remotemedia-sdk", "is installed here already, as version"),
        ("numpy", "is installed here already, as version"),
        ("whisper", "would give a node type 'whisper', which remotemedia-nodes-whisper"),
        ("acme-loose", "would be the module 'acme_loose', which is importable already"),
    ],
)
def test_a_name_that_can_not_be_is_refused(
    command: Call, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "acme_loose.py").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "loose")}
    result = command("new", name, env=environment)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["loose"]


@pytest.mark.parametrize(
    ("directory", "message"),
    [
        ("full", "is there already; name another with --directory"),
        ("link", "is there already"),
        ("nowhere/acme", "there is no directory nowhere"),
        ("file/acme", "there is no directory file"),
        ("/proc/acme", "can't be written"),
    ],
)
def test_a_directory_that_can_not_be_is_refused(
    command: Call, tmp_path: Path, directory: str, message: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "link").symlink_to("gone")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    result = command("new", "acme-denoise", "--directory", directory)
    assert result.code == 2
    assert f"error: {directory}: " in result.err
    assert message in result.err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    # The second file can't be written: the first is in its way.
    texts = {PurePosixPath("a"): "text", PurePosixPath("a/b"): "text"}
    with pytest.raises(DirectoryRefused, match="can't be written"):
        write(texts, tmp_path / "acme")
    assert list(tmp_path.iterdir()) == []
