"""A file that is written has no name until it is complete."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.runtime.media.files import Draft, MediaError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["nameless", "beside"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system that knows files without a name, and one that does not."""
    if request.param == "beside":
        real = os.open

        def no_nameless_files(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return real(path, flags, *arguments, **options)

        monkeypatch.setattr(os, "open", no_nameless_files)
    return str(request.param)


def test_it_appears_when_it_is_published(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out.txt"
    target.write_text("before", encoding="utf-8")
    draft = Draft(target)
    draft.path.write_text("after", encoding="utf-8")
    assert target.read_text("utf-8") == "before"
    assert len([*tmp_path.iterdir()]) == (1 if kind == "nameless" else 2)
    draft.publish()
    assert target.read_text("utf-8") == "after"
    assert [*tmp_path.iterdir()] == [target]


def test_it_has_the_mode_of_any_new_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "new.txt").touch()
    draft = Draft(tmp_path / f"{kind}.txt")
    draft.publish()
    mode = (tmp_path / f"{kind}.txt").stat().st_mode
    assert mode == (tmp_path / "new.txt").stat().st_mode


@pytest.mark.usefixtures("kind")
def test_nothing_is_left_of_one_that_is_discarded(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "out.txt")
    draft.path.write_text("half", encoding="utf-8")
    draft.discard()
    draft.discard()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("kind")
def test_nothing_is_left_of_one_that_can_not_be_published(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "out.txt"
    target.parent.mkdir()
    draft = Draft(target)
    target.mkdir()
    with pytest.raises(MediaError, match=r"out\.txt: can't be written"):
        draft.publish()
    assert [*target.parent.iterdir()] == [target]
