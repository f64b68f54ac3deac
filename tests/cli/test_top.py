"""`remotemedia top`: on a terminal, in a pipe, and for programs."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECS = 20


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal in which a command runs."""

    def __init__(self, start: Callable[..., Any], *arguments: object) -> None:
        self.fd, tty = pty.openpty()
        self.before = termios.tcgetattr(tty)
        self.shown = ""
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        self.process = start(*arguments, stdin=tty, stdout=tty, stderr=tty, env=environment)
        self._tty = tty

    def until(self, text: str) -> None:
        """Read until the text has been shown."""
        deadline = time.monotonic() + _SECS
        seen, self.shown = b"", ""
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert select.select([self.fd], [], [], max(left, 0))[0], self.shown
            seen += os.read(self.fd, 65536)  # may end within a character, or a control sequence
            self.shown = _CONTROL.sub("", seen.decode(errors="ignore"))

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def end(self) -> int:
        """Return the exit code; the terminal has to be as it was."""
        code = self.process.wait(_SECS)
        assert termios.tcgetattr(self._tty) == self.before
        return code

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._tty)


@pytest.fixture
def terminal(start: Callable[..., Any]) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def make(*arguments: object) -> Terminal:
        made.append(Terminal(start, *arguments))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()
        one.close()


def test_one_look_is_a_table(command: Callable[..., Any], session: Callable[[str], Any]) -> None:
    program = session("call")
    result = command("top", "--once")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("1 session, 1 processes")
    assert f"call  loud, process {program.pid}" in result.out
    (row,) = (line.split() for line in result.out.splitlines() if line.startswith(" up "))
    assert row[1] == "running"
    assert row[5:7] == ["1", "1"]
    assert command("top").out.startswith("1 session")  # a pipe is no terminal


def test_no_session_is_said(command: Callable[..., Any]) -> None:
    result = command("top", "--once")
    assert (result.code, result.out) == (0, "no sessions\n")


def test_json_has_everything(command: Callable[..., Any], session: Callable[[str], Any]) -> None:
    program = session("call")
    result = command("top", "--once", "--json")
    (seen,) = result.of("session")
    assert result.of("look") == [{"event": "look", "sessions": 1}]
    assert (seen["session"], seen["pid"], seen["items_in"]) == ("call", program.pid, 1)
    node = seen["nodes"]["up"]
    assert (node["type"], node["state"], node["items_in"], node["item"]) == (
        "upper",
        "running",
        1,
        None,
    )
    assert node["memory_mb"] > 1
    assert seen["channels"]["app_to_up"]["message_count"] == 1


def test_json_goes_on_until_it_is_ended(
    start: Callable[..., Any], session: Callable[[str], Any]
) -> None:
    process = start("top", "--json", "-i", "0.1")
    sessions = -1
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] != "look":
            continue
        if sessions < 0:
            assert event["sessions"] == 0
            program = session("call")
        sessions = event["sessions"]
        if sessions == 1:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(_SECS) == 130
    assert "Traceback" not in process.stderr.read()
    program.go_on()
    program.result()


def test_a_reader_that_leaves_ends_it(start: Callable[..., Any]) -> None:
    process = start("top", "--json", "-i", "0.1")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(_SECS) == 1
    assert "Traceback" not in process.stderr.read()


def test_sessions_come_and_go_on_a_terminal(
    terminal: Callable[..., Terminal], session: Callable[[str], Any]
) -> None:
    screen = terminal("top", "-i", "0.1")
    screen.until("no sessions")
    program = session("call")
    screen.until(f"call  loud, process {program.pid}")
    screen.until("running")
    program.go_on()
    program.result()
    screen.until("no sessions")
    screen.type(b"q")
    assert screen.end() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_terminal_as_it_was(
    terminal: Callable[..., Terminal], number: signal.Signals, code: int
) -> None:
    screen = terminal("top", "-i", "0.1")
    screen.until("no sessions")
    screen.process.send_signal(number)
    assert screen.end() == code
