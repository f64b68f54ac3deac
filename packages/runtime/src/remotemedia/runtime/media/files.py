"""What all media files share: kinds by extension, errors, and files that appear when complete."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from typing import Literal

from remotemedia.core.errors import RemoteMediaError

__all__ = [
    "AUDIO_FORMATS",
    "STANDARD_STREAM",
    "TEXT_SUFFIXES",
    "Draft",
    "MediaError",
    "check_readable",
    "kind_of",
]

#: Audio formats of libsndfile by the extension of a file's name.
AUDIO_FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}
#: Extensions of text: one item a line, or one JSON object a line.
TEXT_SUFFIXES = (".txt", ".jsonl")
# Old kernels take the flag for that of a directory.
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
#: The name of standard input and standard output.
STANDARD_STREAM = "-"


class MediaError(RemoteMediaError):
    """A file that can't be read or written.

    Attributes:
        path: The file.
        reason: Why, and what to do.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(f"{path}: {reason}")


def kind_of(path: Path | str) -> Literal["audio", "text"] | None:
    """Return what a file holds by the extension of its name; None for one that is not known."""
    suffix = Path(path).suffix.lower()
    if suffix in AUDIO_FORMATS:
        return "audio"
    if suffix in TEXT_SUFFIXES or str(path) == STANDARD_STREAM:
        return "text"
    return None


def check_readable(path: Path) -> None:
    """Make sure that there is a file that can be read and holds something.

    Raises:
        MediaError: There is not.
    """
    try:
        if path.is_dir():
            raise MediaError(path, "is a directory; name a file")
        if path.exists() and not path.is_file():
            raise MediaError(path, "is no regular file")
        with path.open("rb") as file:
            if not file.read(1):
                raise MediaError(path, "is empty")
    except FileNotFoundError:
        raise MediaError(path, "no such file") from None
    except OSError as error:
        raise MediaError(path, f"can't be read: {error.strerror}") from error


class Draft:
    """A file that has no name until it is complete, so that nothing is left of one that never is.

    Where the file system knows no files without a name, it has another one beside its own.

    Args:
        path: Its own name; a symbolic link is followed.

    Attributes:
        name: Its own name, as it was given.
        path: Where it can be opened, until it is published or discarded.

    Raises:
        MediaError: There can't be such a file.
    """

    def __init__(self, path: Path) -> None:
        self.name = path
        self._target = path.resolve()
        folder = self._target.parent
        if self._target.is_dir():
            raise MediaError(path, "is a directory; name a file")
        if self._target.exists() and not self._target.is_file():
            raise MediaError(path, "is no regular file")
        if not folder.is_dir():
            raise MediaError(path, f"there is no directory {folder}")
        self._beside = self._target.with_name(
            f".{self._target.stem[:100]}.{secrets.token_hex(4)}.part{self._target.suffix}"
        )
        self._fd: int | None = None
        self.path = self._beside
        try:
            try:
                self._fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
                self.path = Path(f"/proc/self/fd/{self._fd}")
            except OSError as error:
                if error.errno not in _NO_NAMELESS_FILES:
                    raise
                self._beside.open("xb").close()
        except OSError as error:
            raise MediaError(path, f"can't be written: {error.strerror}") from error

    def publish(self) -> None:
        """Give the file its name, in place of what had it before.

        Raises:
            MediaError: That is not possible.
        """
        try:
            if self._fd is not None:
                # Any directory for an absolute path: it makes Python follow the link in /proc.
                os.link(self.path, self._beside, src_dir_fd=self._fd)
            os.replace(self._beside, self._target)  # noqa: PTH105 - as it is written of everywhere
        except OSError as error:
            raise MediaError(self.name, f"can't be written: {error.strerror}") from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Let go of the file, unless it has its name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._beside.unlink(missing_ok=True)
