"""The programs of the quick start do what it says, as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[2] / "docs" / "quick-start.md"
_FILES = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name, text in _FILES.findall(_PAGE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def output_of(program: Path) -> str:
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=program.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_client(programs: Path) -> None:
    out = output_of(programs / "client.py")
    for node in ("louder", "loudest"):
        for status in ("starting (0%)", "loading (0%)", "connecting (100%)", "ready (100%)"):
            assert f"{node}: {status}" in out
    assert "loudest sample: 0.45" in out


def test_every_error_of_the_table_exists() -> None:
    from remotemedia.core import errors

    rows = [
        line for line in _PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert names
    assert all(name in errors.__all__ for name in names)
