"""Every page: its blocks are run, and what commands print is what it shows.

- `console` blocks are run as they stand, one after the other, in one directory for each page.
- A block below `<!-- file: NAME -->` is written there first; a command or another file uses it.
- Other `python` blocks are run as programs; other `toml` blocks are checked.
- `text` is no code. Anything else says below `<!-- not run: REASON -->` why it is not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/*.md"))
EVERYWHERE = ("*.md", "docs/**/*.md", "packages/*/*.md", "examples/**/*.md")
ALL = sorted({page for pattern in EVERYWHERE for page in ROOT.glob(pattern)})
#: Of README.md: what .ci/run and tox -e readme run, word for word.
COMMANDS = ("run-command", "test-command")
_BLOCK = re.compile(
    rf"(?:<!-- (?P<mark>file|installs|not run|{'|'.join(COMMANDS)})(?:: (?P<name>[^>]+))? -->\n+)?"
    r"^```(?P<kind>[\w-]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND_SECS = 60


@dataclass
class Block:
    mark: str
    name: str
    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(m["mark"] or "", m["name"] or "", m["kind"], m["text"]) for m in found]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def sessions(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what each prints."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def matches(shown: str, real: str) -> bool:
    """Compare output: measurements and widths of columns may differ, `…` stands for anything."""
    shown, real = map(_comparable, (shown, real))
    pattern = re.escape(shown).replace("…\\\n", "(?:.*?\n)?").replace("…", ".*?")
    return re.fullmatch(pattern, real, re.DOTALL) is not None


def _comparable(text: str) -> str:
    text = re.sub(r"\d+\.\d+(?= ?s\b)|\d+(?= MB)", "N", text.rstrip())
    return re.sub(r"(?<=\S) {2,}", "  ", text)


def install(project: Path, site: Path) -> None:
    """Make a project look installed in `site`, as `pip install -e` does."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    lines = [
        line
        for group, entries in about["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.kind == "console" for block in blocks(page))],
    ids=lambda page: page.stem,
)
def test_what_commands_print_is_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    site = tmp_path.parent / f"{tmp_path.name}-site"
    path = [str(site), *(str(tmp_path / name / "src") for name in ("acme-denoise", "acme-level"))]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTHONWARN")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for block in blocks(page):
        if block.mark == "file":
            file = tmp_path / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            continue
        if block.mark == "installs":
            install(tmp_path / block.name, site)
        for command, shown in sessions(block.text) if block.kind == "console" else ():
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=_COMMAND_SECS,
                check=False,
            )
            real = done.stdout
            if done.returncode:
                real += f"[exit code {done.returncode}]\n"
            assert matches(shown, real), f"$ {command}\n{real}\n--- the page shows:\n{shown}"


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    found = blocks(page)
    fences = re.findall(r"^\s*(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(found), "a block that is indented, or begins in another way"
    for block in found:
        assert is_run(block, found, page) or says_why_not(block), block


def is_run(block: Block, others: list[Block], page: Path) -> bool:
    if block.mark == "file":
        return is_used(block, others) or (ROOT / block.name).is_file()  # then another test compares
    if block.kind == "console":
        return page in PAGES and block.text.startswith("$ ")
    return block.kind in {"python", "toml"} or block.mark in COMMANDS


def is_used(file: Block, others: list[Block]) -> bool:
    """Tell whether a command or another file names it, its module, or the project that it is in."""
    path = Path(file.name)
    names = {path.name, path.stem, *path.parts[:-1]} - {"__init__", "nodes", "src"}
    text = " ".join(f"{other.text} {other.name}" for other in others if other is not file)
    settings = path.name == "runtime.toml" and "remotemedia " in text
    return settings or any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)


def says_why_not(block: Block) -> bool:
    return block.kind == "text" or (block.mark == "not run" and block.name.count(" ") > 1)


@pytest.mark.parametrize(
    ("page", "block"),
    [
        pytest.param(page, block, id=f"{name_of(page)}-{number}")
        for page in ALL
        for number, block in enumerate(blocks(page))
        if not block.mark and block.kind in {"python", "toml"}
    ],
)
def test_what_has_no_name_is_right_as_it_stands(page: Path, block: Block, tmp_path: Path) -> None:
    file = tmp_path / f"block.{block.kind}"
    file.write_text(block.text, encoding="utf-8")
    settings = re.match(r"(# runtime\.toml|\[multiprocess|\[plugins)", block.text)
    command = Path(sys.executable).with_name("remotemedia")
    run = {
        "python": [sys.executable, "-W", "error", file],
        "toml": [command, *(("config", "--file") if settings else ("check",)), file],
    }[block.kind]
    done = subprocess.run(
        run,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=_COMMAND_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in _LINK.findall(text):
        if target.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [
                re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads
            ]
            assert anchor in slugs, f"{page.name}: {target}"


def test_the_public_names_are_those_that_are_written_down() -> None:
    import importlib

    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(remotemedia\.[\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    assert rows
    for module, names in rows:
        assert set(re.findall(r"`(\w+)`", names)) == set(importlib.import_module(module).__all__)
