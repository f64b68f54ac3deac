"""What belongs to a runtime is its user's alone: others can't read, change or disturb it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from remotemedia.core.errors import RemoteMediaError
from remotemedia.runtime.space_files import RuntimeFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.testing import LiveSession

    Stranger = Callable[[list[tuple[str, str]]], list[tuple[str, str]]]


def processes() -> list[psutil.Process]:
    """Return this application, its template and its nodes."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def test_a_stranger_reaches_what_is_open_to_all(open_tmp: Path, stranger: Stranger) -> None:
    """So that it means something when nothing can be reached."""
    (open_tmp / "letter").write_text("to all", encoding="utf-8")
    (open_tmp / "letter").chmod(0o666)
    attempts = [("list", str(open_tmp)), ("write", str(open_tmp / "letter"))]
    assert stranger(attempts) == attempts


@pytest.mark.usefixtures("live")
def test_no_file_of_a_runtime_can_be_read_written_or_listed_by_others(
    open_tmp: Path, stranger: Stranger
) -> None:
    base = open_tmp / f"remotemedia-{os.getuid()}"
    shared = [*Path("/dev/shm").glob(f"rm{os.getuid()}_{os.getpid()}_*")]  # noqa: S108
    found = [base, *base.rglob("*"), *shared]
    assert len(shared) > 3
    assert len(found) - len(shared) > 3
    attempts = [("list" if path.is_dir() else "read", str(path)) for path in found]
    attempts += [("write", str(path)) for path in found if not path.is_dir()]
    assert stranger(attempts) == []


@pytest.mark.usefixtures("live")
def test_no_process_of_a_session_can_be_signalled_or_looked_into_by_others(
    stranger: Stranger,
) -> None:
    pids = [process.pid for process in processes()]
    assert len(pids) == 1 + 1 + 2  # this one, the template, two nodes
    attempts = [("signal", str(pid)) for pid in pids]
    attempts += [("list", f"/proc/{pid}/fd") for pid in pids]
    attempts += [("read", f"/proc/{pid}/environ") for pid in pids]
    attempts += [("write", f"/proc/{pid}/mem") for pid in pids]
    assert stranger(attempts) == []


@pytest.mark.usefixtures("live")
def test_no_socket_of_a_session_has_a_name_or_an_address_that_others_could_connect_to() -> None:
    for process in processes():
        for connection in process.net_connections(kind="all"):
            assert not connection.laddr, (process, connection)


def test_nothing_that_a_session_moves_lies_in_the_temporary_directory(
    open_tmp: Path, live: LiveSession
) -> None:
    before = {*open_tmp.rglob("*")}
    live.send("secret", "a")
    assert live.receive("b").payload == "secret"
    assert {*open_tmp.rglob("*")} == before


@pytest.mark.parametrize("trap", ["a link", "a file", "open to all", "another user's"])
def test_a_directory_that_somebody_else_may_have_prepared_is_refused(
    open_tmp: Path, tmp_path: Path, trap: str
) -> None:
    base = open_tmp / f"remotemedia-{os.getuid()}"
    if trap == "a link":
        base.symlink_to(tmp_path)
    elif trap == "a file":
        base.touch(mode=0o600)
    elif trap == "open to all":
        base.mkdir()
        base.chmod(0o777)
    elif os.getuid() == 0:
        base.mkdir(mode=0o700)
        os.chown(base, 65534, 65534)
    else:  # the superuser's, for nobody else can give one away
        base.symlink_to("/", target_is_directory=True)
    with pytest.raises(RemoteMediaError, match="not a private directory of this user"):
        RuntimeFiles.create()
    assert tempfile.gettempdir() == str(open_tmp)
    assert not [*tmp_path.iterdir()]
