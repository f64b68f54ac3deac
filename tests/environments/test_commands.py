"""`remotemedia check` and `env` with environments of nodes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from remotemedia.runtime import MultiprocessConfig, Pipeline, Session
from remotemedia.runtime.cli.main import remotemedia

pytestmark = pytest.mark.anyio


def command(store: Path, *arguments: str, code: int = 0) -> str:
    """Run the command, and return what it prints."""
    done = CliRunner().invoke(
        remotemedia, arguments, env={"REMOTEMEDIA_ENVIRONMENTS_DIR": str(store)}
    )
    assert done.exit_code == code, done.output
    return done.stdout


def events(store: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run the command with `--json`, and return the events."""
    return [
        json.loads(line)
        for line in command(store, *arguments, "--json", code=code).split("\n")
        if line
    ]


def names(store: Path) -> list[str]:
    """Return what is in the store."""
    return [path.name for path in store.iterdir()]


def pipeline_file(folder: Path, requirement: str) -> str:
    """Write a pipeline file, and return its path."""
    path = folder / "p.toml"
    path.write_text(
        f'[nodes.a]\ntype = "acme_after"\nrequirements = ["acme-after", "{requirement}"]\n', "utf-8"
    )
    return str(path)


def test_check_tells_where_an_environment_is_asked_for_that_cannot_be_made(
    store: Path, tmp_path: Path
) -> None:
    file = pipeline_file(tmp_path, "iceoryx2==0.9.0")
    *progress, mistake, summary = events(store, "check", file, code=2)
    assert {event["status"] for event in progress} == {"preparing"}
    assert (mistake["event"], mistake["file"], mistake["line"]) == ("mistake", file, 3)
    assert "requirements are unsatisfiable" in mistake["message"]
    assert not summary["ok"]


async def test_what_is_in_use_is_listed_and_not_pruned(store: Path) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    async with Session("s", pipeline, config=MultiprocessConfig(environments_dir=store)):
        (one,) = events(store, "env", "list")
        assert (one["requirements"], one["nodes"]) == (["acme-after"], ["acme_after"])
        assert one["in_use"]
        assert one["complete"]
        (kept,) = events(store, "env", "prune", "--all")
        assert not kept["removed"]
        assert one["name"] in names(store)
    assert not events(store, "env", "prune")  # it was used a moment ago
    old = time.time() - 40 * 86_400
    os.utime(store / f"{one['name']}.lock", (old, old))
    assert "acme-after (acme_after)" in command(store, "env", "list")
    assert not events(store, "env", "prune", "--older-than", "60")
    (gone,) = events(store, "env", "prune")
    assert gone["removed"]
    assert not names(store)


def test_what_is_incomplete_is_pruned_whatever_its_age(store: Path) -> None:
    (store / "py3.12-abc" / "bin").mkdir(parents=True)
    (store / "py3.12-abc.lock").touch()
    assert "incomplete" in command(store, "env", "list")
    assert "removed" in command(store, "env", "prune")
    assert not names(store)


def test_without_any_there_is_nothing_to_list(store: Path) -> None:
    assert command(store, "env", "list") == command(store, "env", "prune", "--all") == ""
    assert not store.exists()


def test_options_that_exclude_each_other_are_a_mistake(store: Path) -> None:
    command(store, "env", "prune", "--all", "--older-than", "1", code=2)
