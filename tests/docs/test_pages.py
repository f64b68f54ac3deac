"""Every page: its blocks are run, and what commands print is what it shows.

- `console` and `bash` blocks are run as they stand, one after the other, in one shell and in one
  folder for each page; the folder has the examples, and some recordings. What a `bash` block prints
  is not shown; of a `console` block it is compared.
- `pip install` in them installs nothing: it fails if something of it is not installed where the
  tests run (`installed.py`).
- A block below `<!-- run with: OPTIONS -->` is one command, and these are added: it takes minutes,
  and is run small.
- One below `<!-- ended by: Ctrl-C -->` is ended so when it has printed a line.
- A block below `<!-- file: NAME -->` is written there first; a command or another file uses it.
- Other `python` blocks are run as programs; other `toml` blocks are checked.
- Blocks below `<!-- tox: heavy -->` are run by that environment alone: they take gigabytes.
- `text` is no code. Anything else is run in one of these ways, or an error.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
EVERYWHERE = ("*.md", "docs/**/*.md", "packages/*/*.md", "examples/**/*.md")
ALL = sorted({page for pattern in EVERYWHERE for page in ROOT.glob(pattern)})
#: Of README.md: what .ci/run and tox -e readme run, word for word.
COMMANDS = ("run-command", "test-command")
RECORDINGS = ("talk.mp3", "question.wav", "recording.wav")
_BLOCK = re.compile(
    r"(?P<marks>(?:^<!-- [^>]+ -->\n+)*)^```(?P<kind>[\w-]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_MARK = re.compile(r"<!-- ([\w -]+?)(?:: ([^>]+))? -->")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
#: The next command finds the variables and the folder that this one leaves.
_SHELL = """
trap '{ export -p; printf "cd %q\n" "$PWD"; } > "$SHELL_STATE"' EXIT
if [ -f "$SHELL_STATE" ]; then . "$SHELL_STATE"; fi
"""
#: For a command of a page, and of its part that takes gigabytes.
_SECS, _HEAVY_SECS = 180.0, 3600.0


@dataclass
class Block:
    marks: dict[str, str]
    kind: str
    text: str

    @property
    def file(self) -> str | None:
        return self.marks.get("file")

    @property
    def environment(self) -> str:
        return self.marks.get("tox", "")

    @property
    def commands(self) -> list[tuple[str, str | None]]:
        """Each command, and what it prints where that is shown."""
        if self.kind == "console":
            parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)
            return list(zip(parts[1::2], parts[2::2], strict=True))
        if self.kind != "bash":
            return []
        text = self.text
        if "run with" in self.marks:
            assert text.count("\n") == 1, "options are added to one command"
            text = f"{text.rstrip()} {self.marks['run with']}\n"
        return [(f"set -e\n{text}", None)]


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(dict(_MARK.findall(m["marks"])), m["kind"], m["text"]) for m in found]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


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


def as_a_checkout(folder: Path, *, whole: bool) -> None:
    """Have a folder hold the examples and recordings, or all that a checkout has."""
    if whole:
        ignored = shutil.ignore_patterns(".*", "__pycache__", "dist", "tmp")
        shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
        return
    for name in ("examples", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "examples" / "speech.toml", folder)
    samples, rate = soundfile.read(ROOT / "examples" / "austen-0930.wav", dtype="float32")
    for name in RECORDINGS:
        soundfile.write(folder / name, samples, rate)


def marks(environment: str) -> list[pytest.MarkDecorator]:
    """Mark what an environment of tox runs, and how long that may take."""
    if not environment:
        return []
    return [getattr(pytest.mark, environment), pytest.mark.timeout(_HEAVY_SECS)]


def parts() -> list[Any]:
    """Each page with commands, and those of its commands that take gigabytes apart."""
    found = []
    for page in ALL:
        for environment in sorted({block.environment for block in blocks(page) if block.commands}):
            all_marks = marks(environment) or [pytest.mark.timeout(900)]
            if "speech.toml" in page.read_text(encoding="utf-8"):
                all_marks.append(pytest.mark.speech)
            name = f"{name_of(page)} {environment}".rstrip()
            found.append(pytest.param(page, environment, marks=all_marks, id=name))
    return found


def run(
    command: str, folder: Path, variables: dict[str, str], seconds: float, *, is_endless: bool
) -> tuple[int, str]:
    """Run a command, to its end or until Ctrl-C; returns its exit code, and what it has printed."""
    with subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", _SHELL + command],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        late = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        assert process.stdout is not None
        printed = ""
        if is_endless:
            printed = process.stdout.readline()
            os.killpg(process.pid, signal.SIGINT)
        printed += process.stdout.read()
        code = process.wait()
        late.cancel()
    return code, printed


@pytest.mark.parametrize(("page", "environment"), parts())
def test_what_commands_print_is_what_the_page_shows(
    page: Path, environment: str, tmp_path: Path
) -> None:
    site = tmp_path.parent / f"{tmp_path.name}-site"
    site.mkdir()
    checker = (Path(__file__).parent / "installed.py").read_text(encoding="utf-8")
    (site / "pip").write_text(f"#!{sys.executable}\n{checker}", encoding="utf-8")
    (site / "pip").chmod(0o755)
    as_a_checkout(tmp_path, whole=bool(environment))
    path = [str(site), *(str(tmp_path / name / "src") for name in ("acme-denoise", "acme-level"))]
    variables = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTHONWARN")},
        "PATH": os.pathsep.join([str(site), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SHELL_STATE": str(site / "state"),
    }
    if not environment:
        variables["REMOTEMEDIA_ENVIRONMENTS_DIR"] = str(site / "environments")
    seconds = _HEAVY_SECS if environment else _SECS
    for block in blocks(page):
        if block.file and not (ROOT / block.file).is_file():
            file = tmp_path / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        if "installs" in block.marks:
            install(tmp_path / block.marks["installs"], site)
        for command, shown in block.commands if block.environment == environment else ():
            is_endless = "ended by" in block.marks
            code, real = run(command, tmp_path, variables, seconds, is_endless=is_endless)
            if shown is None:
                assert code == (130 if is_endless else 0), f"{command}\n{real}"
                continue
            if code:
                real += f"[exit code {code}]\n"
            assert matches(shown, real), f"$ {command}\n{real}\n--- the page shows:\n{shown}"


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_block_is_run(page: Path) -> None:
    found = blocks(page)
    fences = re.findall(r"^\s*(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(found), "a block that is indented, or begins in another way"
    for block in found:
        assert block.kind == "text" or is_run(block, found), block


def is_run(block: Block, others: list[Block]) -> bool:
    if block.file:
        return is_used(block, others) or (ROOT / block.file).is_file()  # then another test compares
    if block.kind == "console":
        return block.text.startswith("$ ")
    return (
        bool(block.commands)
        or block.kind in {"python", "toml"}
        or any(mark in COMMANDS for mark in block.marks)
    )


def is_used(file: Block, others: list[Block]) -> bool:
    """Tell whether a command or another file names it, its module, or the project that it is in."""
    path = Path(file.file or "")
    names = {path.name, path.stem, *path.parts[:-1]} - {"__init__", "nodes", "src"}
    rest = [other for other in others if other is not file]
    text = " ".join(f"{other.text} {other.marks.get('installs')}" for other in rest)
    settings = path.name == "runtime.toml" and "remotemedia " in text
    return settings or any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)


@pytest.mark.parametrize(
    ("page", "block"),
    [
        pytest.param(page, block, marks=marks(block.environment), id=f"{name_of(page)}-{number}")
        for page in ALL
        for number, block in enumerate(blocks(page))
        if not block.marks.keys() - {"tox"} and block.kind in {"python", "toml"}
    ],
)
def test_what_has_no_name_is_right_as_it_stands(page: Path, block: Block, tmp_path: Path) -> None:
    file = tmp_path / f"block.{block.kind}"
    file.write_text(block.text, encoding="utf-8")
    settings = re.match(r"(# runtime\.toml|\[multiprocess|\[plugins)", block.text)
    command = Path(sys.executable).with_name("remotemedia")
    program = {
        "python": [sys.executable, "-W", "error", file],
        "toml": [command, *(("config", "--file") if settings else ("check",)), file],
    }[block.kind]
    done = subprocess.run(
        program,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=_HEAVY_SECS if block.environment else _SECS,
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
