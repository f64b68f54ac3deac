"""`remotemedia check`: every mistake at once, each with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call: TypeAlias = Callable[..., Any]

#: A line, and what is wrong with it.
TEN = [
    ('outputs = ["up.text", "gain.sound"]', "no output 'sound'"),
    ('colour = "blue"', "unknown key 'colour'"),
    ("edges = [", None),
    ('  "gain.audio -> nobody.audio",', "there is no node 'nobody'"),
    ('  "up.text -> gain.audio",', "up.text gives text, but gain.audio takes audio"),
    ('  "up.text => up.text",', 'must read "node.port -> node.port"'),
    ('  { from = "gain.audio", to = "asr.audio", policy = "blok" },', "unknown policy 'blok'"),
    ('  "down.text -> up.text", "up.text -> down.text"', None),
    ("]", None),
    ("[nodes.asr]", None),
    ('type = "whispr"', "did you mean 'whisper'?"),
    ("[nodes.gain]", None),
    ('type = "gain"', None),
    ('config.factor = "loud"', "config key 'factor': Expected `float`, got `str`"),
    ("config.fctor = 2.0", "unknown config key 'fctor'; did you mean 'factor'?"),
    ("[nodes.up]", None),
    ('type = "upper"', None),
    ('executor = "inlin"', "unknown executor 'inlin'; did you mean 'inline'?"),
    ("[nodes.down]", None),
    ('type = "upper"', None),
    ("[nodes.gain]", "node 'gain' is there already, in line 13"),
    ('type = "gain"', None),
    ("[nodes.typeless]", "needs a type"),
    ('[nodes."a/b"]', "node id 'a/b' is not valid"),
    ('type = "upper"', None),
]


def test_all_mistakes_at_once_with_their_lines(command: Call, pipeline: Call) -> None:
    file = pipeline("\n".join(line for line, _ in TEN))
    result = command("check", file)
    assert result.code == 2
    wanted = {n: text for n, (_, text) in enumerate(TEN, 2) if text}
    lines = dict(line.split(": ", 1) for line in result.out.splitlines() if "cycle" not in line)
    assert set(lines) == {f"{file}:{number}" for number in wanted}
    for number, text in wanted.items():
        assert text in lines[f"{file}:{number}"]
    assert "cycle" in result.out
    assert result.err == f"{file}: {len(wanted) + 1} mistakes\n"


def test_a_port_that_is_written_wrong_is_one_mistake(command: Call, pipeline: Call) -> None:
    result = command("check", pipeline('inputs = ["up.txt"]', up="upper"))
    assert result.code == 2
    assert len(result.out.splitlines()) == 1
    assert "up.txt: node 'up' has no input 'txt'; did you mean 'text'?" in result.out


def test_mistakes_as_json(command: Call, pipeline: Call) -> None:
    file = pipeline('colour = "blue"', up="upper", other="uper")
    result = command("check", file, "--json")
    assert result.code == 2
    assert [(m["file"], m["line"]) for m in result.of("mistake")] == [(file, 2), (file, 6)]
    assert (result.summary["ok"], result.summary["mistakes"]) == (False, 2)


def test_nothing_wrong(command: Call, pipeline: Call) -> None:
    file = pipeline('edges = ["a.text -> b.text"]', a="upper", b="upper")
    result = command("check", file)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"ok: {file}: 2 nodes, 1 edge; takes a.text; gives b.text\n"
    assert command("check", file, "--json").summary["inputs"] == ["a.text"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\nname = = 1\n", "bad.toml:2: not valid TOML"),
        (None, "bad.toml: no such file"),
        ("", "the pipeline has no nodes"),
    ],
)
def test_what_is_no_pipeline(command: Call, tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
    result = command("check", "bad.toml")
    assert result.code == 2
    assert message in result.out
