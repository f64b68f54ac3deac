"""What a published wheel holds, and what it must not."""

from __future__ import annotations

import email
import email.message
import os
import re
import zipfile
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest


@dataclass(frozen=True)
class Dist:
    """One distribution of this repository."""

    name: str
    folder: str
    leaf: str
    entry_points: dict[str, dict[str, str]]
    extras: frozenset[str] = frozenset()

    @property
    def pattern(self) -> str:
        return f"{self.name.replace('-', '_')}-*.whl"

    @property
    def namespace(self) -> set[str]:
        """The namespace's own __init__ files, which no distribution may ship."""
        parents = PurePosixPath(self.leaf).parents
        return {str(parent / "__init__.py") for parent in parents if str(parent) != "."}


DISTS = (
    Dist(
        "remotemedia-sdk",
        "sdk",
        "remotemedia/core",
        {"pytest11": {"remotemedia.core.testing.plugin": "remotemedia.core.testing.plugin"}},
        frozenset({"multiprocess"}),
    ),
    Dist(
        "remotemedia-runtime",
        "runtime",
        "remotemedia/runtime",
        {"console_scripts": {"remotemedia": "remotemedia.runtime.cli.main:main"}},
        frozenset({"bench", "environments"}),
    ),
    Dist(
        "remotemedia-nodes-whisper",
        "nodes-whisper",
        "remotemedia/nodes/whisper",
        {"remotemedia.nodes": {"whisper": "remotemedia.nodes.whisper.plugin"}},
        frozenset({"base", "tiny-en"}),
    ),
    Dist(
        "remotemedia-nodes-tts",
        "nodes-tts",
        "remotemedia/nodes/tts",
        {"remotemedia.nodes": {"tts": "remotemedia.nodes.tts.plugin"}},
        frozenset({"kokoro", "piper", "vibevoice"}),
    ),
    Dist(
        "remotemedia-nodes-lfm2",
        "nodes-lfm2",
        "remotemedia/nodes/lfm2",
        {"remotemedia.nodes": {"lfm2": "remotemedia.nodes.lfm2.plugin"}},
        frozenset({"engine"}),
    ),
)
GPL = re.compile(r"piper-tts|kokoro-onnx|phonemizer|espeak")


@dataclass(frozen=True)
class Wheel:
    """A wheel's files and what its dist-info says."""

    names: tuple[str, ...]
    texts: dict[str, str]

    @classmethod
    def read(cls, folder: Path, dist: Dist) -> Wheel:
        """Read the only wheel of `dist` in `folder`."""
        (path,) = folder.glob(dist.pattern)
        with zipfile.ZipFile(path) as archive:
            names = tuple(name for name in archive.namelist() if not name.endswith("/"))
            texts = {
                name.partition(".dist-info/")[2]: archive.read(name).decode("utf-8")
                for name in names
                if ".dist-info/" in name
            }
        return cls(names, texts)

    @property
    def metadata(self) -> email.message.Message:
        """The METADATA file's fields."""
        return email.message_from_string(self.texts["METADATA"])

    @property
    def code(self) -> list[str]:
        """The files outside dist-info."""
        return [name for name in self.names if ".dist-info/" not in name]


@pytest.fixture(params=DISTS, ids=lambda dist: dist.name)
def dist(request: pytest.FixtureRequest) -> Dist:
    """Each distribution in turn."""
    found: Dist = request.param
    return found


@pytest.fixture
def wheel(dist: Dist, wheelhouse: Path) -> Wheel:
    """Its wheel."""
    return Wheel.read(wheelhouse, dist)


def test_holds_only_its_own_leaf_package(dist: Dist, wheel: Wheel) -> None:
    assert [name for name in wheel.code if not name.startswith(f"{dist.leaf}/")] == []
    assert f"{dist.leaf}/__init__.py" in wheel.names


def test_leaves_the_namespace_open(dist: Dist, wheel: Wheel) -> None:
    assert dist.namespace.isdisjoint(wheel.names)


def test_is_marked_as_typed(dist: Dist, wheel: Wheel) -> None:
    assert f"{dist.leaf}/py.typed" in wheel.names


def test_holds_every_source_file(dist: Dist, wheel: Wheel, root: Path) -> None:
    source = root / "packages" / dist.folder / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set(wheel.code) == files


def test_holds_no_tests_and_no_leftovers(wheel: Wheel) -> None:
    stray = re.compile(r"(^|/)(tests?/|test_[^/]*\.py$|[^/]*_test\.py$|conftest\.py$|__pycache__/)")
    assert [
        name for name in wheel.code if stray.search(name) and not name.endswith(".template")
    ] == []


def test_declares_its_entry_points(dist: Dist, wheel: Wheel) -> None:
    parser = ConfigParser(delimiters=("=",))
    parser.read_string(wheel.texts.get("entry_points.txt", ""))
    assert {name: dict(parser[name]) for name in parser.sections()} == dist.entry_points


def test_entry_points_name_modules_that_it_holds(wheel: Wheel, dist: Dist) -> None:
    for group in dist.entry_points.values():
        for target in group.values():
            path = target.partition(":")[0].replace(".", "/")
            assert {f"{path}.py", f"{path}/__init__.py"} & set(wheel.names)


def test_says_what_it_is(dist: Dist, wheel: Wheel) -> None:
    metadata = wheel.metadata
    assert metadata["Name"] == dist.name
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Summary"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert str(metadata.get_payload()).startswith(f"# {dist.name}\n")


def test_carries_the_licence(wheel: Wheel, root: Path) -> None:
    assert wheel.metadata["License-Expression"] == "Apache-2.0"
    licence = (root / "LICENSE").read_text(encoding="utf-8")
    assert wheel.texts["licenses/LICENSE"] == licence


def test_offers_its_extras(dist: Dist, wheel: Wheel) -> None:
    assert set(wheel.metadata.get_all("Provides-Extra", [])) == dist.extras


def test_bounds_every_dependency(wheel: Wheel) -> None:
    required = wheel.metadata.get_all("Requires-Dist", [])
    unbounded = [line for line in required if "<" not in line.split(";")[0] and "==" not in line]
    assert required
    assert unbounded == []


def test_takes_gpl_engines_only_as_extras(wheel: Wheel) -> None:
    required = wheel.metadata.get_all("Requires-Dist", [])
    assert [line for line in required if GPL.match(line) and "extra ==" not in line] == []


def test_every_dependency_has_its_reason(wheel: Wheel, root: Path) -> None:
    reasons = (root / "docs" / "dependencies.md").read_text(encoding="utf-8")
    required = wheel.metadata.get_all("Requires-Dist", [])
    names = {re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0] for line in required}
    ours = {dist.name for dist in DISTS}
    assert {name for name in names - ours if f"| `{name}` |" not in reasons} == set()


def test_versions_agree(wheelhouse: Path) -> None:
    versions = {Wheel.read(wheelhouse, dist).metadata["Version"] for dist in DISTS}
    assert len(versions) == 1


@pytest.mark.sdist
def test_the_source_distribution_builds_the_same_wheel(dist: Dist, wheelhouse: Path) -> None:
    direct = Wheel.read(wheelhouse, dist)
    through_sdist = Wheel.read(Path(os.environ["REMOTEMEDIA_SDIST_WHEELS"]), dist)
    assert set(through_sdist.names) == set(direct.names)
    assert through_sdist.texts["METADATA"] == direct.texts["METADATA"]
