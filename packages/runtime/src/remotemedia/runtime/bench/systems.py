"""Which systems can be measured here, and their processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from remotemedia.runtime.bench.pair import ProcessPair
from remotemedia.runtime.space_files import RuntimeFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remotemedia.runtime.bench.pair import Pair

__all__ = ["NAMES", "missing", "pairs"]

# iceoryx2 adds some 80 bytes to it, and the kernel takes paths of 107.
_SOCKET_FOLDER_AT_MOST = 24
#: What `--against` takes.
NAMES = ("queue", "pyzmq", "dora")
_NEEDED = {
    "pyzmq": ("zmq", "pip install 'remotemedia-runtime[bench]'"),
    "dora": ("dora", "pip install dora-rs dora-rs-cli"),
}


def missing(name: str) -> str | None:
    """Return why a system can't be measured, or None."""
    module, advice = _NEEDED.get(name, ("", ""))
    if module:
        found = find_spec(module)
        if found is None or found.origin is None:  # a directory of that name is no package
            return f"{name} is not installed ({advice})"
    if name == "dora" and shutil.which("dora") is None:
        return f"the command `dora` is not installed ({advice})"
    return None


@contextlib.contextmanager
def pairs(against: Sequence[str] = (), pin: Sequence[int] | None = None) -> Iterator[list[Pair]]:
    """Start the processes of raw iceoryx2 and of other systems, and end them afterwards."""
    from remotemedia.runtime.bench.raw import RawIceoryx2

    context = multiprocessing.get_context("spawn")
    files = RuntimeFiles.create()  # reclaimed by the next runtime, if this process is killed
    directory = Path(tempfile.mkdtemp(prefix="rmb-", dir=_short(tempfile.gettempdir())))
    started: list[Pair] = []
    try:
        raw = RawIceoryx2(str(directory), files.prefix)
        started.append(ProcessPair(raw, context, pin))
        if "queue" in against:
            from remotemedia.runtime.bench.queues import MultiprocessingQueue

            started.append(ProcessPair(MultiprocessingQueue(context), context, pin))
        if "pyzmq" in against:
            from remotemedia.runtime.bench.pyzmq import Pyzmq

            started.append(ProcessPair(Pyzmq(directory), context, pin))
        if "dora" in against:
            from remotemedia.runtime.bench.dora import DoraPair

            started.append(DoraPair(directory, pin))
        yield started
    finally:
        for pair in started:
            pair.close()
        shutil.rmtree(directory, ignore_errors=True)
        files.remove()


def _short(directory: str) -> str:
    """Return a directory in which sockets can lie."""
    return directory if len(directory) <= _SOCKET_FOLDER_AT_MOST else "/tmp"  # noqa: S108 - see above
