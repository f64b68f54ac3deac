"""Every test leaves the machine as it found it, and this checks that it does."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remotemedia.runtime.testing import Machine

# A shell's background job ignores it, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Registered by name too: an editable installation knows only the entry points of its own time.
pytest_plugins = ["remotemedia.core.testing.plugin"]


@pytest.fixture(scope="session", autouse=True)
def machine(remotemedia_machine: Machine) -> Machine:
    """Give the run a TMPDIR of its own, so that what it leaves can be told from other runs'."""
    return remotemedia_machine


@pytest.fixture(autouse=True)
def nothing_left(remotemedia_leaks: None) -> None:
    """Fail a test that leaves processes, threads, descriptors or files behind."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes a short test long; here, because other conftests are read too late for it."""
    parser.addoption(
        "--kills", type=int, default=14, help="how many nodes tests/faults kills at random moments"
    )


@dataclass
class Program:
    """A Python program that a test has started."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """Return the next line that it prints; the test's timeout is the deadline."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def result(self, timeout: float = 15.0) -> tuple[int, str]:
        """Wait for its end; returns its exit code and the rest of its output."""
        assert self.process.stdout is not None
        late = threading.Timer(timeout, self.process.kill)
        late.start()
        # Not `communicate`, which does not see what `line` has read ahead.
        output = self.process.stdout.read()
        code = self.process.wait()
        late.cancel()
        return code, output


@pytest.fixture
def start_program(machine: Machine, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start source text as a script of its own, in a directory of its own."""
    started: list[Program] = []

    def start(source: str, *arguments: str, name: str = "program.py", **options: Any) -> Program:
        path = tmp_path / name
        path.write_text(source, encoding="utf-8")
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(
            [sys.executable, str(path), *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            **options,
        )
        machine.programs.add(process.pid)
        started.append(Program(process))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()
        if program.process.stdout is not None:
            program.process.stdout.close()


@pytest.fixture
def run_program(start_program: Callable[..., Program]) -> Callable[..., str]:
    """Run source text as a script, and return what it prints; it must succeed."""

    def run(source: str, *arguments: str, **options: Any) -> str:
        code, output = start_program(source, *arguments, **options).result()
        assert code == 0, output
        return output

    return run
