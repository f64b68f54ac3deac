"""The command, run as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NODES = Path(__file__).parent / "nodes"
COMMAND = (sys.executable, "-m", "remotemedia.runtime.cli.main")
_SECS = 30


@dataclass
class Result:
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == event]

    @property
    def summary(self) -> dict[str, Any]:
        (summary,) = self.of("summary")
        return summary


@pytest.fixture
def start(machine: object, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in `tmp_path`."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "encoding": "utf-8",
                "env": {k: v for k, v in os.environ.items() if not k.startswith("PYTHONWARN")},
                **options,
            },
        )
        machine.programs.add(process.pid)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def command(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., Result]:
    """Run the command to its end."""

    def run(*arguments: object, text: str | None = None, **options: object) -> Result:
        if text is not None:
            options["stdin"] = subprocess.PIPE
        process = start(*arguments, **options)
        out, err = process.communicate(text, timeout=_SECS)
        return Result(process.returncode, out, err)

    return run


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., str]:
    """Write a pipeline file with the nodes of `cli_nodes.py`; `upper="upper"` is id and type."""

    def write(text: str = "", *, file: str = "p.toml", **nodes: str) -> str:
        tables = "".join(f'[nodes.{name}]\ntype = "{kind}"\n' for name, kind in nodes.items())
        head = f"extra_paths = ['{_NODES}']\n"
        (tmp_path / file).write_text(head + text + "\n" + tables, encoding="utf-8")
        return file

    return write


@pytest.fixture
def audio(tmp_path: Path) -> Callable[..., str]:
    """Write a tone."""

    def write(
        name: str = "in.wav", *, rate: int = 16_000, channels: int = 1, seconds: float = 1.0
    ) -> str:
        time = np.arange(round(rate * seconds)) / rate
        tone = (0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
        samples = tone if channels == 1 else np.repeat(tone[:, np.newaxis], channels, axis=1)
        soundfile.write(tmp_path / name, samples, rate)
        return name

    return write


_SESSION = """
import asyncio, os, sys
from remotemedia.runtime import Pipeline, Session

async def main():
    pipeline = Pipeline("loud", extra_paths=[{nodes!r}]).add_node("upper", "up")
    async with Session({name!r}, pipeline) as session:
        await session.send("up", "a")
        await session.receive()
        print("ready", flush=True)
        await asyncio.to_thread(os.read, 0, 1)

asyncio.run(main())
"""


@pytest.fixture
def session(start_program: Callable[..., Any]) -> Iterator[Callable[[str], Any]]:
    """Start an application with a session of this name, that has done one item."""
    started: list[Any] = []

    def start(name: str) -> Any:
        read, write = os.pipe()
        source = _SESSION.format(nodes=str(_NODES), name=name)
        program = start_program(source, name=f"{name}.py", stdin=read)
        os.close(read)
        program.pipe = write
        program.go_on = lambda: os.write(write, b"x")
        started.append(program)
        assert program.line() == "ready"
        return program

    yield start
    for program in started:
        os.close(program.pipe)
        program.process.wait(_SECS)
