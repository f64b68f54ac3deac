"""Memory limits of node processes: set, lifted for last words, and told from other failures.

The kernel counts the private memory that a process can write to (`RLIMIT_DATA`): its heap, its
threads' stacks, what libraries map for themselves; as soon as it is asked for, used or not. Shared
memory, in which data comes and goes, is not counted, nor is code.
"""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.core.errors import ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remotemedia.core.errors import NodeError

__all__ = ["MemoryLimit", "lacks_memory", "memory_error", "reason_of", "size_text"]

# What interpreters, C++, Rust, the C library and tensor libraries write when they get no memory.
# Not a GPU's lack of it, which this limit has nothing to do with.
_LACK = re.compile(
    r"^(?:\S+\.)?_?(?:Array)?MemoryError\b|std::bad_alloc|\bbad allocation\b"
    r"|memory allocation of \d+ bytes failed|can't allocate memory|can't start new thread"
    r"|cannot allocate memory|failed to allocate memory",
    re.MULTILINE | re.IGNORECASE,
)


class MemoryLimit:
    """The limit of this process.

    Args:
        limit: Bytes of private memory that it may have; None for no limit of ours.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit

    def enforce(self) -> None:
        """Have the kernel refuse more.

        Raises:
            MemoryError: The process has more already.
        """
        if self._limit is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (self._limit, hard))
            if _private_memory() >= self._limit:
                raise MemoryError("an interpreter alone takes that much")

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Allow more meanwhile: telling that memory is short takes memory."""
        if self._limit is None:
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

    def use_of(self, failure: str) -> int:
        """Return the private memory in use, if a traceback tells that the limit was reached."""
        return 0 if self._limit is None or not lacks_memory(failure) else _private_memory()


def _private_memory() -> int:
    """Return the bytes of private memory of this process, as the limit counts them."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmData:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def lacks_memory(text: str) -> bool:
    """Say whether a traceback, or what a process wrote last, tells of memory that was refused."""
    return _LACK.search(text) is not None


def memory_error(node_id: str, stage: str, use: str, limit: int) -> ResourceLimitError:
    """Return the error of a node that was refused memory.

    Args:
        node_id: The node.
        stage: What it was doing.
        use: What it had and wanted, for people.
        limit: Its limit in bytes.
    """
    what = f"memory of node '{node_id}' (while in {stage})"
    return ResourceLimitError(what, use, size_text(limit), "max_memory", node_id)


def reason_of(error: NodeError, use: int, limit: int) -> NodeError | ResourceLimitError:
    """Return why a node failed: the error that it raised, or the limit that made it fail.

    Args:
        error: What it raised.
        use: Bytes that it had, if it was refused more; else 0.
        limit: Its limit in bytes.
    """
    if not use:
        return error
    had = f"{size_text(use)} and what it asked for ({error.remote_message or 'no details'})"
    refused = memory_error(error.node_id, error.stage, had, limit)
    refused.__cause__ = error
    return refused


def size_text(count: int) -> str:
    """Return a number of bytes for people, in the units that `max_memory` is given in."""
    for unit, power in (("GB", 3), ("MB", 2), ("KB", 1)):
        if count >= 1024**power:
            return f"{count / 1024**power:.4g} {unit}"
    return f"{count} bytes"
