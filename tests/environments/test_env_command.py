"""`remotemedia env`: what was made for nodes, listed and pruned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

pytestmark = pytest.mark.anyio


def names(store: Path) -> list[str]:
    """Return what is in the store."""
    return [path.name for path in store.iterdir()]


def command(store: Path, *arguments: str, code: int = 0) -> str:
    """Run `remotemedia env`, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia.runtime.cli.main", "env", *arguments],
        env={**os.environ, "REMOTEMEDIA_ENVIRONMENTS_DIR": str(store)},
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def listed(store: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run `remotemedia env … --json`, and return the events."""
    return [json.loads(line) for line in command(store, *arguments, "--json").splitlines()]


async def test_what_is_in_use_is_listed_and_not_pruned(store: Path) -> None:
    pipeline = Pipeline().add_node("acme_after", "a", requirements=["acme-after"])
    async with Session("s", pipeline, config=MultiprocessConfig(environments_dir=store)):
        (one,) = listed(store, "list")
        assert (one["requirements"], one["nodes"]) == (["acme-after"], ["acme_after"])
        assert one["in_use"]
        assert one["complete"]
        (kept,) = listed(store, "prune", "--all")
        assert not kept["removed"]
        assert one["name"] in names(store)
    assert not listed(store, "prune")  # it was used a moment ago
    old = time.time() - 40 * 86_400
    os.utime(store / f"{one['name']}.lock", (old, old))
    assert "acme-after (acme_after)" in command(store, "list")
    assert not listed(store, "prune", "--older-than", "60")
    (gone,) = listed(store, "prune")
    assert gone["removed"]
    assert not names(store)


def test_what_is_incomplete_is_pruned_whatever_its_age(store: Path) -> None:
    (store / "py3.12-abc" / "bin").mkdir(parents=True)
    (store / "py3.12-abc.lock").touch()
    assert "incomplete" in command(store, "list")
    assert "removed" in command(store, "prune")
    assert not [*store.iterdir()]


def test_without_any_there_is_nothing_to_list(store: Path) -> None:
    assert command(store, "list") == command(store, "prune", "--all") == ""
    assert not store.exists()


def test_options_that_exclude_each_other_are_a_mistake(store: Path) -> None:
    command(store, "prune", "--all", "--older-than", "1", code=2)
