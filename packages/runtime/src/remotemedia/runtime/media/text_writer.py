"""Writing text: one item a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia.runtime.media.files import Draft, MediaError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TextWriter"]


class TextWriter:
    """A text file that is complete, under its own name, after `publish`.

    Args:
        path: The file.

    Raises:
        MediaError: There can't be such a file.
    """

    def __init__(self, path: Path) -> None:
        self._draft = Draft(path)
        self._file = self._draft.path.open("wb")
        self.lines = 0

    @property
    def path(self) -> Path:
        """Its own name."""
        return self._draft.name

    def write(self, line: bytes) -> None:
        """Add a line.

        Raises:
            MediaError: It can't be written.
        """
        try:
            self._file.write(line + b"\n")
        except OSError as error:
            raise self._problem(error) from error
        self.lines += 1

    def publish(self) -> None:
        """Complete the file and give it its name.

        Raises:
            MediaError: That is not possible.
        """
        try:
            self._file.close()
        except OSError as error:
            raise self._problem(error) from error
        self._draft.publish()

    def discard(self) -> None:
        """Remove what is not complete."""
        self._draft.discard()
        self._file.close()

    def _problem(self, error: OSError) -> MediaError:
        return MediaError(self.path, f"can't be written: {error.strerror}")
