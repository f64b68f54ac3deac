"""`remotemedia run --reload`: the run in a process of its own, anew when its sources change."""

from __future__ import annotations

import glob
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec
import watchfiles

from remotemedia.runtime.cli.events import ReloadEvent
from remotemedia.runtime.source_files import SourceFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio.abc import Process

    from remotemedia.runtime.cli.report import Reporter

__all__ = ["Reloader", "is_reloaded", "refuse", "tell_sources"]

_ENVIRONMENT = "REMOTEMEDIA_RELOAD_FD"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_SECS = 20.0  # the run has its own grace period, and kills its nodes after it
_CLOCK_SECS = 0.02  # so much a file's time may be behind


def is_reloaded() -> bool:
    """Say whether this process is one that a `Reloader` has started."""
    return _ENVIRONMENT in os.environ


def tell_sources(sources: SourceFiles) -> None:
    """Tell the `Reloader` that has started this process what to watch; once."""
    from remotemedia.runtime.processes.child import die_with_parent

    fd = int(os.environ.pop(_ENVIRONMENT))
    die_with_parent(os.getppid())
    with os.fdopen(fd, "wb") as pipe:
        pipe.write(msgspec.json.encode(sources))


class Reloader:
    """Runs the command as a process, again and again.

    Args:
        file: The pipeline file.
        reporter: Is told of every reload.
    """

    def __init__(self, file: Path, reporter: Reporter) -> None:
        self._reporter = reporter
        self._sources = SourceFiles({str(file.resolve())}, set())
        self._signal = 0
        self._changed: list[str] = []

    async def run(self) -> int:
        """Run until a signal; returns the exit code."""
        with anyio.open_signal_receiver(*_SIGNALS) as signals:
            while True:
                began = time.time() - _CLOCK_SECS
                process, pipe = await self._start()
                async with anyio.create_task_group() as group:
                    group.start_soon(self._listen, signals, group.cancel_scope)
                    group.start_soon(self._follow, process, pipe, began, group.cancel_scope)
                await self._stop(process)
                if self._signal:
                    return 128 + self._signal
                _remove_bytecode(self._changed)
                self._reporter.reload(ReloadEvent(self._changed))

    async def _listen(self, signals: object, scope: anyio.CancelScope) -> None:
        async for number in signals:  # type: ignore[attr-defined]
            self._signal = number
            scope.cancel()

    async def _start(self) -> tuple[Process, int]:
        reads, writes = os.pipe()
        try:
            process = await anyio.open_process(
                [sys.executable, "-m", "remotemedia.runtime.cli.main", *sys.argv[1:]],
                stdin=None,
                stdout=None,
                stderr=None,
                env={**os.environ, _ENVIRONMENT: str(writes)},
                pass_fds=(writes,),
            )
        except BaseException:
            os.close(reads)
            raise
        finally:
            os.close(writes)
        return process, reads

    async def _follow(
        self, process: Process, pipe: int, began: float, scope: anyio.CancelScope
    ) -> None:
        """Return, and cancel all else, when something has changed."""
        try:
            await self._hear_sources(pipe)
        finally:
            os.close(pipe)
        async with anyio.create_task_group() as group:
            group.start_soon(self._await_end, process)
            group.start_soon(self._watch, scope)
            await anyio.lowlevel.checkpoint()  # it watches now; what came before has a later time
            self._changed = self._sources.changed_since(began)
            if self._changed:
                scope.cancel()

    async def _hear_sources(self, pipe: int) -> None:
        told = b""
        while True:
            await anyio.wait_readable(pipe)
            part = os.read(pipe, 65536)
            if not part:
                break
            told += part
        if told:  # else it ended before it knew; what was known is still good
            self._sources = msgspec.json.decode(told, type=SourceFiles)

    async def _await_end(self, process: Process) -> None:
        code = await process.wait()
        if not self._signal:
            how = "it has ended" if code == 0 else "it has failed"
            self._reporter.log(f"reload: {how}; it starts again when its sources change")

    async def _watch(self, scope: anyio.CancelScope) -> None:
        def wanted(_change: watchfiles.Change, path: str) -> bool:
            return self._sources.has(path)

        folders = self._sources.folders
        async for changes in watchfiles.awatch(*folders, watch_filter=wanted, recursive=False):
            self._changed = sorted({path for _, path in changes})
            scope.cancel()

    async def _stop(self, process: Process) -> None:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.send_signal(signal.Signals(self._signal or signal.SIGTERM))
            with anyio.move_on_after(_STOP_SECS):
                await process.wait()
            if process.returncode is None:
                process.kill()
            await process.aclose()


def _remove_bytecode(sources: Iterable[str]) -> None:
    """Remove what Python has compiled of these files.

    It knows a source by its size and the second of its time, and two changes fit into one second.
    """
    for source in map(Path, sources):
        for compiled in source.parent.glob(f"__pycache__/{glob.escape(source.stem)}.*.pyc"):
            compiled.unlink(missing_ok=True)


def refuse(inputs: tuple[str, ...]) -> str | None:
    """Return why these inputs can't be read again, or None."""
    if any(given == "-" or given.endswith("=-") for given in inputs):
        return (
            "--reload reads the input again, and standard input can be read only once; use a file"
        )
    return None
