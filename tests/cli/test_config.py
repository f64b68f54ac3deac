"""`remotemedia config`: what is in effect, from where, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_a_table_shows_value_and_origin(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runtime.toml").write_text("[multiprocess]\nspin_us = 5\n", encoding="utf-8")
    monkeypatch.setenv("REMOTEMEDIA_INIT_TIMEOUT_SECS", "7")
    result = command("config")
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert ["multiprocess.spin_us", "5", "runtime.toml:2"] in lines
    assert [
        "multiprocess.init_timeout_secs",
        "7.0",
        "REMOTEMEDIA_INIT_TIMEOUT_SECS",
    ] in lines
    assert ["multiprocess.channel_capacity", "100", "default"] in lines


def test_json_tells_the_same(command: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[multiprocess.python]\nvenv_path = '.venv'\n", encoding="utf-8")
    result = command("config", "--json", "-f", file)
    assert result.code == 0
    assert {
        "event": "setting",
        "key": "multiprocess.python.venv_path",
        "value": str(tmp_path / ".venv"),
        "source": "file",
        "place": f"{file}:2",
    } in result.events
    assert {event["source"] for event in result.events} == {"file", "default"}


def test_mistakes_are_all_shown_beside_what_is_in_effect(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    text = "[multiprocess]\nspin = 5\ninit_timeout_secs = 'long'\n"
    (tmp_path / "runtime.toml").write_text(text, encoding="utf-8")
    result = command("config")
    assert result.code == 2
    assert "multiprocess.init_timeout_secs          30.0" in result.out
    assert "runtime.toml:2: config key 'multiprocess.spin': unknown" in result.err
    assert "runtime.toml:3: config key 'multiprocess.init_timeout_secs': Expected" in result.err
    assert "2 mistakes; a runtime will not start" in result.err
    mistakes = command("config", "--json").of("mistake")
    assert [(event["file"], event["line"]) for event in mistakes] == [
        ("runtime.toml", 2),
        ("runtime.toml", 3),
    ]


def test_a_file_that_is_not_there_is_a_mistake(command: Callable[..., Any]) -> None:
    result = command("config", "-f", "none.toml")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("none.toml: no such file\n")
