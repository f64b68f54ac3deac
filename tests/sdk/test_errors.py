"""Errors: what each says, and that it is built from data."""

from __future__ import annotations

import inspect
import pickle

import pytest

from remotemedia.core import errors
from remotemedia.core.errors import (
    ChannelFullError,
    ConfigError,
    EndOfStream,
    InitTimeout,
    NodeError,
    PipelineError,
    PluginError,
    ProcessCrashError,
    ProcessSpawnError,
    ReceiveTimeout,
    RemoteMediaError,
    ResourceLimitError,
    near,
)

TEXTS = [
    (ConfigError("tts", "voise", "unknown"), "tts: config key 'voise': unknown"),
    (ConfigError("runtime.toml", "", "no such file"), "runtime.toml: no such file"),
    (PipelineError(["one"]), "the pipeline has a mistake:\n  one"),
    (PipelineError(["one", "two"]), "the pipeline has 2 mistakes:\n  one\n  two"),
    (PluginError("p", "dist 1.0", "why"), "plugin 'p' of dist 1.0: why"),
    (
        InitTimeout("s2s", 30, "loading: weights"),
        (
            "Node 's2s' failed to initialize within 30s (it was loading: weights); raise "
            "'init_timeout_secs' or see what it waits for"
        ),
    ),
    (
        ChannelFullError("a_to_b", "4 messages", "error", "channel_capacity"),
        (
            "Buffer at capacity (backpressure active): channel 'a_to_b' holds 4 messages, policy "
            "'error'; raise 'channel_capacity' or make the receiver faster"
        ),
    ),
    (
        ProcessSpawnError("asr", "Python executable not found: 'python9'"),
        "Python executable not found: 'python9' (node 'asr')",
    ),
    (ProcessCrashError("tts", 3), "Node 'tts' exited with code 3"),
    (
        ProcessCrashError("tts", 139, "running", ["a", "b"]),
        "Node 'tts' exited with code 139 (SIGSEGV) while running; its last output:\n  a\n  b",
    ),
    (
        ResourceLimitError("session 's'", "11 processes", "10", "max_processes_per_session"),
        (
            "session 's': 11 processes is over the limit of 10; raise 'max_processes_per_session' "
            "to allow it"
        ),
    ),
    (NodeError("n", "process", "ValueError", "bad"), "Node 'n' failed in process: ValueError: bad"),
    (
        ReceiveTimeout("tts.audio", 0.5),
        "nothing arrived on 'tts.audio' within 0.5 s; the session is still running",
    ),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=[type(e).__name__ for e, _ in TEXTS])
def test_an_error_says_what_where_why_and_what_to_do(error: Exception, text: str) -> None:
    assert str(error) == text


def test_a_killed_node_makes_one_think_of_memory() -> None:
    error = ProcessCrashError("tts", 137)
    assert error.signal == "SIGKILL"
    assert "exited with code 137 (SIGKILL)" in str(error)
    assert "memory" in str(error)


def test_a_signal_without_a_name_has_its_number() -> None:
    assert ProcessCrashError("n", 128 + 99).signal == "signal 99"


def test_a_node_error_shows_the_remote_traceback_below_its_summary() -> None:
    error = NodeError("n", "process", "ValueError", "bad", "Traceback …\n", "input#3")
    assert str(error) == f"{error.summary}\n\nTraceback …"
    assert error.summary == "Node 'n' failed in process of input#3: ValueError: bad"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "near"])
def test_every_error_is_of_remotemedia(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, RemoteMediaError)
    assert inspect.getdoc(error)


def test_a_timeout_is_a_timeout_and_bad_data_is_a_bad_value() -> None:
    assert issubclass(ReceiveTimeout, TimeoutError)
    assert issubclass(errors.DataError, ValueError)
    assert issubclass(EndOfStream, errors.SessionClosed)


@pytest.mark.parametrize("error", [e for e, _ in TEXTS], ids=lambda e: type(e).__name__)
def test_an_error_survives_being_pickled(error: Exception) -> None:
    """Applications hand errors through process pools and task queues."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is type(error)
    assert str(again) == str(error)


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("wisper", ["whisper", "tts"], "did you mean 'whisper'?"),
        ("x", ["one", "two"], "known: 'one', 'two'"),
        ("x", [], "none is known"),
        (
            "x",
            map(str, range(20)),
            "known: '0', '1', '10', '11', '12', '13', '14', '15', '16', '17', '18', '19', …",
        ),
    ],
)
def test_near_names_are_offered(name: str, known: list[str], text: str) -> None:
    assert near(name, known) == text
