"""What the documents say is what the project does."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_no_namespace_init_in_the_sources(root: Path) -> None:
    names = ("remotemedia/__init__.py", "remotemedia/nodes/__init__.py")
    stray = [path for name in names for path in root.glob(f"packages/*/src/{name}")]
    assert stray == []


@pytest.mark.parametrize("mark", ["run-command", "test-command"])
def test_the_readme_has_each_command_on_one_line(root: Path, mark: str) -> None:
    shown = subprocess.run(
        [sys.executable, root / ".ci" / "readme.py", "show", mark],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    ).stdout
    assert shown.startswith("python3 -m venv .venv && ")
    assert shown.count("\n") == 1


def test_the_readme_shows_the_examples_as_they_are(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```\n", text, re.DOTALL))
    examples = root / "examples"
    files = [*examples.glob("speech.*"), *examples.glob("acme-reply/src/acme_reply/[!_]*.py")]
    assert shown == {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files
    }


def test_contributing_lists_every_tox_environment(root: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root / "tox.ini", encoding="utf-8")
    listed = set(re.findall(r"[\w-]+", parser["tox"]["env_list"]))
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \|", text, flags=re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert documented == listed


def test_each_package_of_nodes_is_tested_alone(root: Path) -> None:
    text = (root / "tox.ini").read_text(encoding="utf-8")
    (alone,) = re.findall(r"^\[testenv:alone-\{(.*)\}\]$", text, flags=re.MULTILINE)
    folders = {path.name for path in root.glob("packages/nodes-*") if path.is_dir()}
    assert {f"nodes-{name}" for name in alone.split(",")} == folders


@pytest.mark.parametrize("folder", ["sdk", "runtime", "nodes-whisper", "nodes-tts", "nodes-lfm2"])
def test_each_package_carries_the_same_licence(root: Path, folder: str) -> None:
    assert (root / "packages" / folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()
