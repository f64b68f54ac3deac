"""Nodes that fail on purpose: in every way that a process can, at every stage of a node's life."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

LAST_WORDS = "famous last words, at"


def commit(fault: str) -> None:
    """Do what `fault` names to this process."""
    print(LAST_WORDS, time.monotonic(), flush=True)  # noqa: T201
    libc = ctypes.CDLL(None)
    if fault == "raise":
        raise ValueError(time.monotonic())
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "segfault":
        ctypes.string_at(0)
    elif fault == "abort":
        libc.abort()
    elif fault == "stack overflow":  # in C: the parser of the C library calls itself
        libc.regcomp(ctypes.create_string_buffer(1024), b"(" * 1_000_000, 1)
    elif fault == "_exit":
        os._exit(7)
    elif fault == "exit":
        sys.exit(3)
    elif fault == "exit with a message":
        sys.exit("that was it")
    elif fault == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
    raise AssertionError(f"still alive after {fault!r}")


class Echo(MultiprocessNode):
    """Returns what it gets."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data


class Faulty(MultiprocessNode):
    """Commits `config["fault"]` when it comes to `config["stage"]`."""

    def __init__(self) -> None:
        self._at("__init__")

    def initialize(self) -> None:
        self._at("initialize")

    def process(self, data: RuntimeData) -> RuntimeData:
        self._at("process")
        return data

    def finish(self) -> None:
        self._at("finish")

    def cleanup(self) -> None:
        self._at("cleanup")

    def _at(self, stage: str) -> None:
        if self.config["stage"] == stage:
            commit(self.config["fault"])


class FaultyCoroutine(Faulty):
    """The same, in an event loop."""

    async def process(self, data: RuntimeData) -> RuntimeData:  # type: ignore[override]
        self._at("process")
        return data


class Waits(MultiprocessNode):
    """Says that it has come to `config["stage"]`, and stays there until it is killed."""

    def initialize(self) -> None:
        self._at("initialize")

    def process(self, data: RuntimeData) -> RuntimeData:
        self._at("process")
        return data

    def cleanup(self) -> None:
        self._at("cleanup")

    def _at(self, stage: str) -> None:
        if self.config["stage"] == stage:
            Path(self.config["reached"]).touch()
            time.sleep(60)


class Hijack(Exception):
    """Has whoever unpickles it make a file."""

    def __init__(self, file: str) -> None:
        super().__init__("take me home")
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.file, "w")


class Hijacks(MultiprocessNode):
    """Raises a Hijack."""

    def process(self, data: RuntimeData) -> None:
        raise Hijack(self.config["file"])


class KeepsCoroutine(MultiprocessNode):
    """Keeps the arrays that it gets, to its very end."""

    def initialize(self) -> None:
        self.kept: list[object] = []

    async def process(self, data: RuntimeData) -> RuntimeData:
        self.kept.append(data.as_numpy())
        return data


class Floods(MultiprocessNode):
    """Answers each item with as many as it can send."""

    def process(self, data: RuntimeData) -> object:
        while True:
            yield data


class Computes(MultiprocessNode):
    """Computes, and gives up the GIL now and then as Python does."""

    def process(self, data: RuntimeData) -> None:
        Path(self.config["reached"]).touch()
        while True:
            pass


class HasHelpers(MultiprocessNode):
    """Has helpers: one in its process group, one in a session of its own, and its child."""

    def process(self, data: RuntimeData) -> None:
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        fork = "import os, time; os.fork(); time.sleep(60)"
        subprocess.Popen(sleep)
        subprocess.Popen([sys.executable, "-c", fork], start_new_session=True)
        Path(self.config["reached"]).touch()
        time.sleep(60)


class IgnoresSignals(Computes):
    """Ignores what asks it to end, and blocks every other signal that can be."""

    def process(self, data: RuntimeData) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its other thread would take a blocked one
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        super().process(data)


class HoldsTheGIL(MultiprocessNode):
    """Computes in C without ever giving up the GIL, so that no Python code of it can run."""

    def process(self, data: RuntimeData) -> None:
        Path(self.config["reached"]).touch()
        ctypes.PyDLL(None).sleep(60)


class Unpicklable(Exception):
    """Holds what can't be sent to another process."""


class Raises(MultiprocessNode):
    """Raises what an item names."""

    def process(self, data: RuntimeData) -> RuntimeData:
        self._raise(data.payload)
        return data

    def _raise(self, what: str) -> None:
        if what == "unpicklable":
            raise Unpicklable(lambda: None)
        if what == "group":
            raise ExceptionGroup("two at once", [ValueError("the first"), OSError("the second")])
        if what == "chain":
            raise ValueError("the consequence") from OSError("the cause")
        if what == "recursion":
            self._raise(what)
        if what == "long":
            raise ValueError("x" * 20_000_000)
        if what == "no character":
            raise ValueError("\udc80")
        if what == "cancelled":
            raise asyncio.CancelledError
        if what == "KeyboardInterrupt":
            raise KeyboardInterrupt


class RaisesCoroutine(Raises):
    """The same, in an event loop."""

    async def process(self, data: RuntimeData) -> RuntimeData:  # type: ignore[override]
        if data.payload == "cancelled":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        await asyncio.sleep(0)
        self._raise(data.payload)
        return data
