"""What a pipeline says of a node's process: checked before anything starts, then true of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.core.errors import PipelineError
from remotemedia.runtime import Pipeline, Runtime, Session
from remotemedia.runtime.node_options import check_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CORE = min(os.sched_getaffinity(0))


async def told(pipeline: Pipeline, **options: Any) -> Any:
    """Run a node that tells about its process, and return what it tells."""
    pipeline.add_node("samples:TellsAboutItself", "n", **options)
    async with Session("s", pipeline) as session:
        await session.send("n", "go")
        return (await session.receive("n", timeout=10)).payload


@pytest.mark.anyio
async def test_environment_directory_affinity_and_niceness_are_those_asked_for(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_APPLICATION", "here")
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 1
    found = await told(
        pipeline,
        environment={"OF_NODE": "só"},
        working_directory=tmp_path,
        cpu_affinity=[CORE],
        nice=nice,
    )
    assert (
        found["environment"] | {"FROM_APPLICATION": "here", "OF_NODE": "só"}
        == (found["environment"])
    )
    assert found["directory"] == str(tmp_path)
    assert found["cores"] == [CORE]
    assert found["nice"] == nice


@pytest.mark.anyio
async def test_a_node_runs_as_the_application_does_where_nothing_is_said(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = await told(pipeline)
    assert found["directory"] == str(tmp_path)
    assert found["cores"] == sorted(os.sched_getaffinity(0))
    assert found["nice"] == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("max_memory = 'much'", 'max_memory must be a size as "2GB"'),
        ("max_memory = 0", "max_memory must be a size"),
        ("max_memory = true", "max_memory must be a size"),
        ("environment = 'A=1'", "environment must be a table of strings"),
        ("environment.A = 1", "environment must be a table of strings"),
        ("environment.'A=B' = ''", "a variable that no process can have: 'A=B'"),
        ("working_directory = 'no/such'", "no/such' is no directory"),
        ("working_directory = 5", "working_directory must be a path"),
        ("cpu_affinity = [99999]", r"cores that can't be used here: \[99999\]"),
        ("cpu_affinity = []", "cpu_affinity must be a list of core numbers"),
        ("cpu_affinity = 'all'", "cpu_affinity must be a list of core numbers"),
        ("nice = 20", "nice must be a whole number from -20 to 19"),
        ("nice = 'very'", "nice must be a whole number"),
        ("item_timeout_secs = 0", "item_timeout_secs must be a number of seconds above 0"),
        ("on_item_timeout = 'ignore'", "on_item_timeout is 'report' or 'kill', not 'ignore'"),
        ("max_memroy = 5", "unknown key 'max_memroy'; did you mean 'max_memory'"),
        ("executor = 'inline'\nnice = 5", "nice needs a process of its own"),
    ],
)
def test_a_mistake_is_found_before_anything_starts_with_its_line(
    tmp_path: Path, nodes: Path, written: str, message: str
) -> None:
    path = tmp_path / "pipeline.toml"
    text = f"extra_paths = ['{nodes}']\n[nodes.n]\ntype = 'samples:Echo'\n{written}\n"
    path.write_text(text, encoding="utf-8")
    line = 3 + len(written.splitlines())
    with pytest.raises(PipelineError, match=message) as caught:
        Runtime().check(Pipeline.load(path))
    assert [p.partition(": ")[0] for p in caught.value.problems] == [f"{path}:{line}"]


def test_every_mistake_of_a_node_is_reported_at_once(pipeline: Pipeline) -> None:
    pipeline.add_node("samples:Echo", "n", max_memory="x", nice=99, cpu_affinity=[-1])
    with pytest.raises(PipelineError) as caught:
        Runtime().check(pipeline)
    assert len(caught.value.problems) == 3


def test_an_unknown_option_in_python_is_an_error_of_the_call(pipeline: Pipeline) -> None:
    with pytest.raises(TypeError, match="'max_memroy'; did you mean 'max_memory'"):
        pipeline.add_node("samples:Echo", "n", max_memroy="1GB")  # type: ignore[call-arg]


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Be one for a while: the superuser may have any niceness."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.usefixtures("ordinary_user")
def test_niceness_below_what_is_permitted() -> None:
    _, problems = check_options({"nice": -20})
    assert "is not permitted to this user" in problems["nice"]


@pytest.mark.parametrize(
    ("written", "size"),
    [("2GB", 2 << 30), ("512MB", 512 << 20), ("1.5 GiB", 3 << 29), ("64k", 65536), (4096, 4096)],
)
def test_sizes_are_powers_of_1024(pipeline: Pipeline, written: int | str, size: int) -> None:
    graph = Runtime().check(pipeline.add_node("samples:Echo", "n", max_memory=written))
    assert graph.nodes["n"].options.max_memory == size


def test_a_directory_in_a_file_is_relative_to_the_file(tmp_path: Path, nodes: Path) -> None:
    (tmp_path / "there").mkdir()
    path = tmp_path / "pipeline.toml"
    path.write_text(
        f"extra_paths = ['{nodes}']\n[nodes.n]\ntype = 'samples:Echo'\nworking_directory = 'there'",
        encoding="utf-8",
    )
    graph = Runtime().check(Pipeline.load(path))
    assert graph.nodes["n"].options.working_directory == tmp_path / "there"
