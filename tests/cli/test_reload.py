"""`remotemedia run --reload`: a changed source starts the session again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call: TypeAlias = Callable[..., Any]

_NODE = """
from remotemedia.core.multiprocessing import MultiprocessNode
from helper import WORD

class Node(MultiprocessNode):
    def process(self, data):
        return f"{WORD} MORE"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A pipeline file, a node beside it, and a module that the node imports."""
    (tmp_path / "node.py").write_text(_NODE.replace("MORE", "one"), encoding="utf-8")
    (tmp_path / "helper.py").write_text("WORD = 'first'", encoding="utf-8")
    (tmp_path / "p.toml").write_text("[nodes.n]\ntype = 'node.py:Node'", encoding="utf-8")
    (tmp_path / "in.txt").write_text("x\n", encoding="utf-8")
    return tmp_path


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def until(stream: Iterator[dict[str, Any]], event: str) -> dict[str, Any]:
    return next(found for found in stream if found["event"] == event)


def test_each_change_starts_the_session_again(project: Path, start: Call) -> None:
    process = start("run", "p.toml", "--reload", "--json", "-i", "in.txt")
    stream = events(process)
    assert until(stream, "output")["text"] == "first one"
    until(stream, "summary")

    # Of the same size and the same second: what Python has compiled looks as if it were up to date.
    changed, written = project / "changed", (project / "node.py").stat()
    changed.write_text(_NODE.replace("MORE", "two"), encoding="utf-8")
    os.utime(changed, ns=(written.st_atime_ns, written.st_mtime_ns))
    changed.replace(project / "node.py")
    assert until(stream, "reload")["files"] == [str(project / "node.py")]
    assert until(stream, "output")["text"] == "first two"

    (project / "helper.py").write_text("WORD = ", encoding="utf-8")  # a mistake
    assert "SyntaxError" in until(stream, "error")["message"]
    (project / "helper.py").write_text("WORD = 'second'", encoding="utf-8")
    assert until(stream, "output")["text"] == "second two"

    (project / "p.toml").write_text("[nodes.n]\ntype = 'node.py:None'", encoding="utf-8")
    assert "no class 'None'" in until(stream, "error")["message"]

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_change_ends_a_session_that_runs(project: Path, start: Call) -> None:
    endless = _NODE.replace('return f"{WORD} MORE"', "import threading; threading.Event().wait()")
    (project / "node.py").write_text(endless, encoding="utf-8")
    process = start("run", "p.toml", "--reload", "--json", "-i", "in.txt")
    stream = events(process)
    next(e for e in stream if e["event"] == "progress" and e["status"] == "ready")
    (project / "node.py").write_text(_NODE.replace("MORE", "ends"), encoding="utf-8")
    assert until(stream, "output")["text"] == "first ends"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT


def test_people_are_told_that_state_is_lost(project: Path, start: Call) -> None:
    process = start("run", "p.toml", "--reload", "-i", "in.txt")
    assert process.stderr is not None
    next(line for line in process.stderr if "it starts again when its sources change" in line)
    (project / "helper.py").write_text("WORD = 'other'", encoding="utf-8")
    told = next(line for line in process.stderr if "its state is lost" in line)
    assert told.startswith(f"reload: {project / 'helper.py'} changed")
    process.send_signal(signal.SIGTERM)
    assert "other one" in process.communicate(timeout=20)[0] or process.returncode


def test_standard_input_can_not_be_read_again(project: Path, command: Call) -> None:
    result = command("run", "p.toml", "--reload", "-i", "-")
    assert result.code == 2
    assert "standard input can be read only once" in result.err
