"""`remotemedia check` and `env` with environments of nodes."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from remotemedia.runtime import MultiprocessConfig, Pipeline, Session
from remotemedia.runtime.cli.main import remotemedia

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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


# ---- remotemedia nodes


def made(store: Path, tmp_path: Path, python: str) -> None:
    """Have the environment made that a pipeline asks for."""
    file = tmp_path / "made.toml"
    file.write_text(
        f'[nodes.a]\ntype = "acme_after"\nrequirements = ["acme-after"]\npython = "{python}"\n',
        "utf-8",
    )
    command(store, "check", str(file))


def test_types_in_environments_are_listed_shown_and_loaded(
    shared_store: Path, tmp_path: Path, other_python: str
) -> None:
    made(shared_store, tmp_path, other_python)
    where = f"Python {other_python} with acme-after"
    found = [
        event
        for event in events(shared_store, "nodes", "list")
        if event["event"] == "node" and event["environment"] == where
    ]
    assert [(one["type"], one["distribution"]) for one in found] == [("acme_after", "acme-after")]
    assert f"[in {where}]" in command(shared_store, "nodes", "list")
    shown = command(shared_store, "nodes", "show", "acme_after")
    assert "its nodes run in Python" in shown
    pipeline = tmp_path / "shown.toml"
    pipeline.write_text(command(shared_store, "nodes", "show", "acme_after", "--toml"), "utf-8")
    command(shared_store, "check", str(pipeline))
    schema = json.loads(command(shared_store, "nodes", "schema"))
    jsonschema.validate(tomllib.loads(pipeline.read_text("utf-8")), schema)
    (checkup, summary) = events(shared_store, "nodes", "doctor", "acme_after")
    assert (checkup["ok"], checkup["problem"]) == (True, None)
    assert summary["ok"] == 1


def test_doctor_loads_a_type_in_the_environment_that_it_asks_for(
    shared_store: Path, tmp_path: Path, other_python: str
) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    (nodes / "picky.py").write_text(
        "import sys\n"
        "from remotemedia.core.node import MultiprocessNode\n"
        "from remotemedia.core.plugin import register_node\n"
        "if '%d.%d' % sys.version_info[:2] != '" + other_python + "':\n"
        "    raise ImportError('this Python is ' + sys.version)\n"
        "\n\n"
        f"@register_node('picky', python='{other_python}', requirements=['acme-after'])\n"
        "class Picky(MultiprocessNode):\n"
        "    def process(self, data):\n"
        "        return data\n",
        encoding="utf-8",
    )
    checkup, summary = events(
        shared_store, "nodes", "doctor", "picky", "--extra-path", str(nodes), "--initialize"
    )
    assert checkup["problem"] is None
    assert summary["ok"] == 1


def test_doctor_tells_of_an_environment_that_cannot_be_made(store: Path, tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    (nodes / "wrong.py").write_text(
        "from remotemedia.core.node import MultiprocessNode\n"
        "from remotemedia.core.plugin import register_node\n\n\n"
        "@register_node('wrong', requirements=['acme-after', 'iceoryx2==0.9.0'])\n"
        "class Wrong(MultiprocessNode):\n"
        "    pass\n",
        encoding="utf-8",
    )
    checkup, summary = events(store, "nodes", "doctor", "wrong", "--extra-path", str(nodes), code=1)
    assert "requirements are unsatisfiable" in checkup["problem"]
    assert summary["failed"] == 1


def test_types_in_the_environment_of_all_nodes_are_found(
    shared_store: Path, tmp_path: Path, other_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(shared_store, tmp_path, other_python)
    (one,) = [
        event
        for event in events(shared_store, "env", "list")
        if event["python"] == other_python and event["requirements"] == ["acme-after"]
    ]
    empty = tmp_path / "empty"
    monkeypatch.setenv("REMOTEMEDIA_VENV_PATH", one["path"])
    found = {
        event["type"]: event["environment"]
        for event in events(empty, "nodes", "list")
        if event["event"] == "node"
    }
    assert found["acme_after"] == str(Path(one["path"]) / "bin" / "python")
    pipeline = tmp_path / "plain.toml"
    pipeline.write_text('[nodes.a]\ntype = "acme_after"\n', encoding="utf-8")
    command(empty, "check", str(pipeline))
    monkeypatch.setenv("REMOTEMEDIA_VENV_PATH", str(tmp_path))
    command(empty, "check", str(pipeline), code=2)
