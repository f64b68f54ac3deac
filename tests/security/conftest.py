"""A running session, and a stranger: another user of the machine, who tries to get at it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.runtime import Pipeline
from remotemedia.runtime.testing import LiveSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_HERE = Path(__file__).parent
NODES = _HERE / "nodes"
_TEST_SECS = 30
#: The user that has nothing, by number: containers may have no name for it.
NOBODY = 65534
#: What is tried, and with which path or process.
Attempt = tuple[str, str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here a deadline: whatever waits, waits no longer."""
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TEST_SECS))


@pytest.fixture
def anyio_backend() -> str:
    """asyncio: what others can reach is the same under trio."""
    return "asyncio"


@pytest.fixture
def open_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory that all users share, as /tmp: pytest's are closed to others."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def live(open_tmp: Path) -> Iterator[LiveSession]:
    """A session whose nodes are running."""
    pipeline = Pipeline(extra_paths=[NODES])
    pipeline.add_node("plain:Echo", "a").add_node("plain:Echo", "b")
    with LiveSession(pipeline.connect("a", "output", "b", "input")) as live:
        yield live
    vars(live).clear()  # pytest keeps it a little longer, and it its counters


_ATTEMPTS = """
import json, os, sys

def attempt(what, path):
    if what == "list":
        os.listdir(path)
    elif what == "write":
        os.close(os.open(path, os.O_RDWR))
    elif what == "read":
        with open(path, "rb") as file:
            file.read(1)
    elif what == "signal":
        os.kill(int(path), 0)

os.setgroups([])
os.setresgid(NOBODY, NOBODY, NOBODY)
os.setresuid(NOBODY, NOBODY, NOBODY)
done = []
for what, path in json.load(sys.stdin):
    try:
        attempt(what, path)
    except OSError:
        continue
    done.append([what, path])
json.dump(done, sys.stdout)
"""


@pytest.fixture(params=["modes", "nobody"] if os.getuid() == 0 else ["modes"])
def stranger(request: pytest.FixtureRequest) -> Callable[[list[Attempt]], list[Attempt]]:
    """Have another user try things; returns what was possible.

    `nobody` really is another user, which only the superuser can become. `modes` finds out what the
    kernel would decide, from the owners and modes of files and of the directories above them.
    """
    return _tried_by_nobody if request.param == "nobody" else _allowed_by_modes


def _tried_by_nobody(attempts: list[Attempt]) -> list[Attempt]:
    done = subprocess.run(
        [sys.executable, "-c", _ATTEMPTS.replace("NOBODY", str(NOBODY))],
        input=json.dumps(attempts),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
        timeout=_TEST_SECS,
    )
    return [tuple(one) for one in json.loads(done.stdout)]


def _allowed_by_modes(attempts: list[Attempt]) -> list[Attempt]:
    needed = {"list": stat.S_IROTH, "read": stat.S_IROTH, "write": stat.S_IROTH | stat.S_IWOTH}
    allowed = []
    for what, name in attempts:
        if what == "signal":
            if Path(f"/proc/{name}").stat().st_uid != os.getuid():
                allowed.append((what, name))
            continue
        path = Path(name)
        can_enter = all(above.stat().st_mode & stat.S_IXOTH for above in path.parents)
        if can_enter and path.stat().st_mode & needed[what] == needed[what]:
            allowed.append((what, name))
    return allowed
