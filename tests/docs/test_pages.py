"""Every page: its files are written, its commands run, and what they print is what it shows."""

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
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>file|installs): (?P<name>\S+) -->\n)?"
    r"^```(?P<kind>[\w-]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND_SECS = 30


@dataclass
class Block:
    mark: str
    name: str
    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(m["mark"] or "", m["name"] or "", m["kind"], m["text"]) for m in found]


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


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.kind == "console" for block in blocks(page))],
    ids=lambda page: page.stem,
)
def test_what_commands_print_is_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    site = tmp_path.parent / f"{tmp_path.name}-site"
    path = [str(site), *(str(tmp_path / name / "src") for name in ("acme-level",))]
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_is_python(page: Path) -> None:
    for block in blocks(page):
        if block.kind == "python":
            compile(block.text, f"{page.name}:{block.name}", "exec")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
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
