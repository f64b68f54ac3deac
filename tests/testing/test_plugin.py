"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLUGIN = "remotemedia.core.testing.plugin"


@pytest.fixture
def run_pytest(tmp_path: Path) -> Callable[..., str]:
    """Run pytest on a file, without our own conftest; returns what it prints."""

    def run(source: str, *arguments: str) -> str:
        (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
        (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )
        return done.stdout + done.stderr

    return run


def test_loading_it_imports_nothing(run_pytest: Callable[..., str]) -> None:
    source = """
import sys

def test_nothing_is_imported():
    ours = {name for name in sys.modules if name.startswith("remotemedia")}
    assert ours == {
        "remotemedia", "remotemedia.core", "remotemedia.core.testing",
        "remotemedia.core.testing.plugin",
    }
    assert not {"numpy", "msgspec", "iceoryx2", "asyncio"} & {*sys.modules}
"""
    assert "1 passed" in run_pytest(source)


def test_its_fixtures_do_what_they_say(run_pytest: Callable[..., str]) -> None:
    source = '''
import pytest
from remotemedia.core.node import MultiprocessNode

class Echo(MultiprocessNode):
    """Gives back what it gets."""

    def process(self, data):
        return data

    def cleanup(self):
        print("cleaned up")

def test_harness(node_harness, node_samples):
    first, second = node_harness(Echo), node_harness(Echo, node_id="second")
    assert len(first.feed(node_samples.speech(0.1))) == 1
    assert second.feed("x")[0].payload == "x"

def test_contract(node_contract):
    node_contract(Echo)

def test_contract_that_is_not_kept(node_contract):
    class Swallows(Echo):
        def process(self, data):
            return data if data.type.value == "text" else None
    node_contract(Swallows)
'''
    out = run_pytest(source, "-s")
    assert "1 failed, 2 passed" in out
    assert "target" in out  # of a class inside of a function
    assert out.count("cleaned up") >= 2


def test_what_a_test_leaves_behind_fails_it(run_pytest: Callable[..., str]) -> None:
    source = """
import os, subprocess

def test_leaves_a_process_and_a_descriptor(remotemedia_leaks):
    global child, descriptor
    child = subprocess.Popen(["sleep", "60"])
    descriptor = os.open("/dev/null", os.O_RDONLY)

def test_leaves_nothing(remotemedia_leaks):
    child.wait(10)  # the fixture has killed it

def test_that_fails_is_told_once(remotemedia_leaks):
    os.open("/dev/null", os.O_RDONLY)
    assert False
"""
    out = run_pytest(source, "-p", "no:randomly")
    assert "1 failed, 2 passed, 1 error" in out
    assert "left behind:" in out
    assert "sleep 60" in out
    assert "of /dev/null" in out


def test_without_the_runtime_the_fixture_says_what_to_install(
    run_pytest: Callable[..., str],
) -> None:
    source = """
import sys
sys.modules["remotemedia.runtime.background"] = None

def test_it(remotemedia_session):
    pass
"""
    assert "real processes need the runtime: pip install remotemedia-runtime" in run_pytest(source)
