"""A machine whose shared memory is exhausted: an error before the session is ready, no SIGBUS."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# A small /dev/shm of its own, in a namespace that ends with the process.
_MOUNT = 'mount -t tmpfs -o size=$0 tmpfs /dev/shm && exec "$@"'
_UNSHARE = ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT]

_APPLICATION = """
import asyncio
from remotemedia.core.errors import NodeError, ResourceLimitError
from remotemedia.runtime import Pipeline, Session

async def main():
    pipeline = Pipeline()
    for node in "ab":
        pipeline.add_node("remotemedia.runtime.bench.nodes:Pass", node)
    pipeline.connect("a", "output", "b", "input", message_bytes=10_000_000)
    try:
        async with Session("s", pipeline):
            print("it has started")
    except NodeError as error:
        print(error.remote_type, error.remote_message)
    except ResourceLimitError as error:
        print(error)

asyncio.run(main())
"""


def run(size: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_UNSHARE, size, *command], capture_output=True, encoding="utf-8", timeout=30, check=False
    )


@pytest.fixture
def application() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run the application with shared memory of a size."""
    try:
        may_mount = run("16m", "true").returncode == 0
    except FileNotFoundError:
        may_mount = False
    if not may_mount:
        pytest.skip("this user may not mount a small /dev/shm in a namespace of its own")
    return lambda size: run(size, sys.executable, "-c", _APPLICATION)


@pytest.mark.timeout(60)
def test_memory_that_can_not_be_prepared_is_an_error_that_names_channel_and_size(
    application: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    done = application("16m")
    assert done.stdout.startswith("ChannelFullError"), done.stderr
    assert "shared memory is exhausted" in done.stdout
    assert "'a_to_b' holds no 10000512 bytes more" in done.stdout
    assert "the size of /dev/shm" in done.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("size", "who"), [("64k", "a runtime"), ("512k", "session 's'")])
def test_without_memory_nothing_is_started(
    application: Callable[[str], subprocess.CompletedProcess[str]], size: str, who: str
) -> None:
    done = application(size)
    assert done.stdout.startswith(f"{who}: "), done.stderr
    assert "KiB that are free in /dev/shm" in done.stdout
    assert "raise 'the size of /dev/shm'" in done.stdout
