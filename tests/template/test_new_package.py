"""What `remotemedia new` writes, as it stands: rules, types, tests on each Python, and a pipeline.

Our packages come from the built wheels; `tox -e template` runs this.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

pytestmark = [pytest.mark.template, pytest.mark.timeout(480)]  # twelve environments are made
SHORTEST, LONGEST = "a", "acme-with-a-name-of-32-letters-x"


def run(*command: object, cwd: Path, **environment: str) -> str:
    """Run a command that has to succeed, without what our own tox tells its programs."""
    outer = ("TOX_", "VIRTUAL_ENV", "PYTHONWARN")
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith(outer)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def ours(program: str) -> Path:
    """A program of this environment."""
    return Path(sys.executable).parent / program


@pytest.fixture(autouse=True)
def _no_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Node types in environments that this machine has made for nodes are not listed."""
    monkeypatch.setenv("REMOTEMEDIA_ENVIRONMENTS_DIR", str(tmp_path / "environments"))


@pytest.fixture
def constraints() -> str:
    """What binds the names of our packages to the built wheels."""
    return str(Path(os.environ["REMOTEMEDIA_WHEELS"]) / "constraints.txt")


@pytest.mark.parametrize("name", [SHORTEST, LONGEST])
def test_whatever_its_name_it_keeps_its_rules(name: str, tmp_path: Path) -> None:
    run(ours("remotemedia"), "new", name, cwd=tmp_path)
    run(ours("ruff"), "check", "--no-cache", cwd=tmp_path / name)
    run(ours("ruff"), "format", "--no-cache", "--check", "--diff", cwd=tmp_path / name)


def test_what_its_workflow_runs_passes(tmp_path: Path, constraints: str) -> None:
    run(ours("remotemedia"), "new", "acme-denoise", cwd=tmp_path)
    project = tmp_path / "acme-denoise"
    text = (project / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    (job,) = workflow["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    used = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert used == ["actions/checkout", "astral-sh/setup-uv"]
    (command,) = [step["run"] for step in job["steps"] if "run" in step]
    out = run("sh", "-ec", command, cwd=project, UV_CONSTRAINT=constraints)
    for environment in ("lint", "type", "py310", "py311", "py312", "py313"):
        assert f"{environment}: OK" in out


def test_its_wheel_is_found_and_runs_in_a_pipeline(tmp_path: Path, constraints: str) -> None:
    uv = shutil.which("uv")
    assert uv, "uv is not on PATH: run this through tox"
    run(ours("remotemedia"), "new", "acme-denoise", cwd=tmp_path)
    project = tmp_path / "acme-denoise"
    run(uv, "build", "--quiet", "--out-dir", tmp_path / "dist", project, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(uv, "venv", "--quiet", "--python", sys.executable, "fresh", cwd=tmp_path)
    there = tmp_path / "fresh" / "bin"
    run(
        *(uv, "pip", "install", "--quiet", "--python", there / "python"),
        *("--constraint", constraints, wheel, "remotemedia-runtime"),
        cwd=tmp_path,
    )
    listed = run(there / "remotemedia", "nodes", "list", cwd=tmp_path)
    assert "acme_denoise  audio -> audio  acme-denoise 0.1.0" in listed
    run(there / "remotemedia", "nodes", "doctor", cwd=tmp_path)
    tone = np.sin(np.arange(16_000) / 10).astype(np.float32)
    soundfile.write(project / "heard.wav", tone, 16_000, subtype="FLOAT")
    readme = (project / "README.md").read_text(encoding="utf-8")
    (step,) = re.findall(r"^```toml\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    (project / "step.toml").write_text(step, encoding="utf-8")
    commands = re.findall(r"^remotemedia .*$", readme, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["nodes", "run"]
    for command in (*commands, "remotemedia check step.toml"):
        run("sh", "-ec", command, cwd=project, PATH=f"{there}{os.pathsep}{os.environ['PATH']}")
    quieter, rate = soundfile.read(project / "quieter.wav")
    assert (len(quieter), rate) == (16_000, 16_000)
    np.testing.assert_allclose(quieter, tone * 10 ** (-12 / 20), atol=1e-3)


def test_the_source_distribution_builds_the_same_wheel(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    assert uv, "uv is not on PATH: run this through tox"
    run(ours("remotemedia"), "new", "acme-denoise", cwd=tmp_path)
    project = tmp_path / "acme-denoise"
    run(uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path / "direct", project, cwd=tmp_path)
    run(uv, "build", "--quiet", "--out-dir", tmp_path / "by-sdist", project, cwd=tmp_path)
    (direct,) = (tmp_path / "direct").glob("*.whl")
    assert direct.read_bytes() == (tmp_path / "by-sdist" / direct.name).read_bytes()
