"""The command starts fast: what is heavy is imported where it is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call: TypeAlias = Callable[..., Any]

_PROBE = """
import sys
from remotemedia.runtime.cli.main import main
code = main()
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""
_SECS = 20


def imported(tmp_path: Path, *arguments: str) -> set[str]:
    """Names of the packages that a call of the command imports."""
    result = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=_SECS,
        check=True,
    )
    return set(result.stderr.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["check", "--help"], ["new", "--help"]]
)
def test_help_imports_little(tmp_path: Path, arguments: list[str]) -> None:
    heavy = {"numpy", "iceoryx2", "rich", "anyio", "asyncio", "soundfile", "msgspec"}
    assert not heavy & imported(tmp_path, *arguments)


def test_check_starts_nothing(tmp_path: Path, pipeline: Call) -> None:
    file = pipeline(upper="upper")
    assert not {"iceoryx2", "rich", "soundfile"} & imported(tmp_path, "check", file)


def test_version(command: Call) -> None:
    result = command("--version")
    assert result.code == 0
    assert result.out.startswith("remotemedia ")


def test_an_unknown_command(command: Call) -> None:
    result = command("rnu")
    assert result.code == 2
    assert "No such command 'rnu'" in result.err
