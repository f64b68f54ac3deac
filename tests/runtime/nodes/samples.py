"""Nodes for the tests: each does one thing, or one thing wrong."""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.ports import Port


class Echo(MultiprocessNode):
    """Returns what it gets."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data


@register_node("shout", inputs=[Port("text_in", "text")], outputs=[Port("text_out", "text")])
class Shout(MultiprocessNode):
    """Makes text loud."""

    async def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.text(data.payload.upper() + self.config.get("mark", "!"))


# ---- the ways of writing process


class AsCoroutine(MultiprocessNode):
    async def process(self, data: RuntimeData) -> RuntimeData:
        await anyio.lowlevel.checkpoint()
        return RuntimeData.text(data.payload + "+")


class AsFunction(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.text(data.payload + "+")


class AsGenerator(MultiprocessNode):
    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        yield RuntimeData.text(data.payload + "+")


class AsAsyncGenerator(MultiprocessNode):
    async def process(self, data: RuntimeData) -> AsyncIterator[RuntimeData]:
        await anyio.lowlevel.checkpoint()
        yield RuntimeData.text(data.payload + "+")


class AsPlainFunctionThatReturnsACoroutine(MultiprocessNode):
    def process(self, data: RuntimeData) -> object:
        return AsCoroutine.process(self, data)  # type: ignore[arg-type]


class Several(MultiprocessNode):
    """Says each letter on its own."""

    def process(self, data: RuntimeData) -> list[RuntimeData]:
        return [RuntimeData.text(letter) for letter in data.payload]


class OnlyEven(MultiprocessNode):
    """Drops odd numbers."""

    def process(self, data: RuntimeData) -> RuntimeData | None:
        return data if data.payload % 2 == 0 else None


class Delayed(MultiprocessNode):
    """Returns each item when the next one comes."""

    def initialize(self) -> None:
        self.last: RuntimeData | None = None

    def process(self, data: RuntimeData) -> RuntimeData | None:
        last, self.last = self.last, data
        return last

    def finish(self) -> RuntimeData | None:
        return self.last


class TwoStepFinish(MultiprocessNode):
    """Has a plain `process`, and coroutines for the rest."""

    async def initialize(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.count = 0

    def process(self, data: RuntimeData) -> None:
        self.count += 1

    async def finish(self) -> RuntimeData:
        await anyio.lowlevel.checkpoint()
        return RuntimeData.json(self.count)


@register_node("split", outputs=[Port("low"), Port("high")])
class Split(MultiprocessNode):
    """Sends numbers below 10 one way and others the other."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.json(data.payload, port="low" if data.payload < 10 else "high")


class Misnamed(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.text("lost", port="nowhere")


@register_node("two_inputs", inputs=[Port("left"), Port("right", required=False)])
class TwoInputs(MultiprocessNode):
    """Says on which input something came."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.text(f"{data.port}:{data.payload}")


class Settings(msgspec.Struct):
    factor: float
    label: str = "x"


@register_node("typed", config=Settings)
class Typed(MultiprocessNode):
    """Takes a declared config."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.text(
            f"{type(self.config).__name__} {self.config.factor} {self.config.label}"
        )


class Facts(MultiprocessNode):
    """Answers what it knows about itself."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.json(
            {
                "node_id": self.node_id,
                "session_id": self.session_id,
                "config": dict(self.config),
                "pid": os.getpid(),
                "data_session": data.session_id,
                "data_port": data.port,
            }
        )


# ---- memory


class InPlace(MultiprocessNode):
    """Fills loaned audio; never has an array of that size of its own."""

    def process(self, data: RuntimeData) -> RuntimeData:
        out = self.loan_audio(data.payload, 16000)
        out.as_numpy()[:] = 0.25
        return out


class AllLoans(MultiprocessNode):
    """Loans one of each kind."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        audio = self.loan_audio(8, 8000, channels=2, format="i16")
        audio.as_numpy()[:] = 7
        video = self.loan_video(4, 6, format="gray8")
        video.as_numpy()[:] = 8
        tensor = self.loan_tensor({"a": ((2, 3), "int64"), "b": ((), np.dtype("c16"))})
        tensor.as_numpy("a")[:] = 9
        tensor.as_numpy("b")[...] = 1j
        yield from (audio, video, tensor)


class DropsLoans(MultiprocessNode):
    """Takes as many loans as it is told, and sends only the last."""

    def process(self, data: RuntimeData) -> RuntimeData:
        for _ in range(data.payload):
            out = self.loan_tensor((100,))
        out.as_numpy()[:] = 1
        return out


class KeepsLoan(MultiprocessNode):
    def process(self, data: RuntimeData) -> None:
        self.kept = self.loan_audio(10, 16000)


class KeepsArrayOfLoan(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        arrays = [self.loan_audio(10, 16000).as_numpy() for _ in range(20)]
        return RuntimeData.json(len(arrays))


class SendsLoanTwice(MultiprocessNode):
    def process(self, data: RuntimeData) -> list[RuntimeData]:
        out = self.loan_audio(10, 16000)
        out.as_numpy()[:] = 0
        return [out, out]


class ManyLoans(MultiprocessNode):
    def process(self, data: RuntimeData) -> list[RuntimeData]:
        return [self.loan_audio(10, 16000) for _ in range(50)]


class LoanWithMoreMetadata(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        out = self.loan_audio(10, 16000)
        out.as_numpy()[:] = 0.5
        out.metadata.extra = {"note": "x" * data.payload}
        return out


class WritesInput(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        data.as_numpy()[0] = 1
        return data


class KeepsInputs(MultiprocessNode):
    """Keeps every input, and tells the checksum of the first ones."""

    def initialize(self) -> None:
        self.kept: list[np.ndarray] = []

    def process(self, data: RuntimeData) -> RuntimeData:
        self.kept.append(data.as_numpy())
        same = all((array == index).all() for index, array in enumerate(self.kept[:300]))
        return RuntimeData.json(same)


# ---- flow


class Gate(MultiprocessNode):
    """Touches `<config.folder>/<item>.reached`, and waits for `<config.folder>/open`."""

    def process(self, data: RuntimeData) -> RuntimeData:
        folder = Path(self.config["folder"])
        (folder / f"{data.payload}.reached").touch()
        while not (folder / "open").exists():
            time.sleep(0.002)
        return data


class Slow(MultiprocessNode):
    """Needs a moment for each item."""

    def process(self, data: RuntimeData) -> RuntimeData:
        time.sleep(self.config.get("seconds", 0.001))
        return data


class Checksum(MultiprocessNode):
    """Folds all it gets into one number; now and then it is slow."""

    def initialize(self) -> None:
        self.count = self.sum = 0

    def process(self, data: RuntimeData) -> None:
        self.count += 1
        self.sum = zlib.crc32(data.payload, self.sum)
        if self.count % 1000 == 0:
            time.sleep(0.005)

    def finish(self) -> RuntimeData:
        return RuntimeData.json([self.count, self.sum])


class Burst(MultiprocessNode):
    """Sends the numbers below what it gets as fast as it can."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        for number in range(data.payload):
            yield RuntimeData.json(number)


class BurstOfBytes(MultiprocessNode):
    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        for number in range(data.payload):
            yield RuntimeData.bytes(b"%d" % number)


# ---- failures


class FailsIn(MultiprocessNode):
    """Raises ZeroDivisionError in the stage that config names."""

    def __init__(self) -> None:
        self.fail("__init__")

    def fail(self, stage: str) -> None:
        if self.config.get("stage") == stage:
            1 / 0  # noqa: B018

    def initialize(self) -> None:
        self.fail("initialize")

    def process(self, data: RuntimeData) -> RuntimeData:
        if data.payload == "good":
            return data
        self.fail("process")
        return data

    def finish(self) -> None:
        self.fail("finish")

    def cleanup(self) -> None:
        self.fail("cleanup")


class FailsTwice(MultiprocessNode):
    def process(self, data: RuntimeData) -> None:
        raise ValueError("the first")

    def cleanup(self) -> None:
        raise ValueError("the second")


class StrangeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class FailsStrangely(MultiprocessNode):
    def process(self, data: RuntimeData) -> None:
        raise StrangeError


class Leaves(MultiprocessNode):
    """Ends its process in the way that it is told."""

    def process(self, data: RuntimeData) -> None:
        if data.payload == "stay":
            return
        print("famous last words")  # noqa: T201
        if data.payload == "os._exit":
            os._exit(7)
        if data.payload == "sys.exit":
            sys.exit(3)
        if data.payload == "os._exit(0)":
            os._exit(0)
        if data.payload == "segfault":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)


class DiesAfterItsFirst(MultiprocessNode):
    """Sends one message, and is killed before anyone can have received it."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        yield RuntimeData.bytes(bytes(data.payload))
        os.kill(os.getpid(), signal.SIGKILL)


class HangsInInitialize(MultiprocessNode):
    def initialize(self) -> None:
        self.report_progress(0.5, "waiting for Godot")
        time.sleep(60)

    def process(self, data: RuntimeData) -> None:
        return None


class WaitsInInitialize(MultiprocessNode):
    """Waits until somebody writes to the fifo that config names."""

    def initialize(self) -> None:
        self.report_progress(0.5, "waiting for the test")
        Path(self.config["fifo"]).read_text(encoding="utf-8")

    def process(self, data: RuntimeData) -> None:
        return None


class HangsInProcess(MultiprocessNode):
    def process(self, data: RuntimeData) -> None:
        time.sleep(60)


def _read_line(fifo: str) -> None:
    with Path(fifo).open(encoding="utf-8") as file:
        file.readline()


class Held(MultiprocessNode):
    """Returns what it gets; a name is that of a FIFO, of which it reads a line first."""

    def process(self, data: RuntimeData) -> RuntimeData:
        if isinstance(data.payload, str):
            _read_line(data.payload)
        return data


class Repeats(MultiprocessNode):
    """Says what it gets, and then numbers."""

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        yield RuntimeData.text(data.payload)
        for number in range(self.config["times"]):
            yield RuntimeData.json(number)


class Burn(MultiprocessNode):
    """Uses as many seconds of CPU time as it is told."""

    def process(self, data: RuntimeData) -> RuntimeData:
        until = time.process_time() + data.payload
        while time.process_time() < until:
            pass
        return data


class SlowIn(MultiprocessNode):
    """Takes its time, but not for items."""

    def initialize(self) -> None:
        if self.config["when"] == "initialize":
            time.sleep(self.config["seconds"])

    def process(self, data: RuntimeData) -> RuntimeData:
        return data

    def cleanup(self) -> None:
        if self.config["when"] == "cleanup":
            time.sleep(self.config["seconds"])


class HeldInLoop(MultiprocessNode):
    """The same as a coroutine that gives way to others."""

    async def process(self, data: RuntimeData) -> RuntimeData:
        if isinstance(data.payload, str):
            await anyio.to_thread.run_sync(_read_line, data.payload)
        return data


class HeldInFinish(MultiprocessNode):
    """Reads a line of a FIFO after all input."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data

    def finish(self) -> None:
        _read_line(self.config["fifo"])


class IgnoresEverything(MultiprocessNode):
    """Blocks or ignores every signal that can be, and never gives up."""

    def process(self, data: RuntimeData) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another thread would take it
        while True:
            pass


_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


class StartsHelper(MultiprocessNode):
    """Starts a process that outlives it unless somebody cares; returns its id.

    The input says how: `plain`, in a `session` of its own, as a `daemon` (forked twice, with a
    session of its own), or as a `fork` of the same kind that never becomes another program.
    """

    def process(self, data: RuntimeData) -> RuntimeData:
        how = data.payload
        if how in ("plain", "session"):
            return RuntimeData.json(
                subprocess.Popen(_SLEEP, start_new_session=how == "session").pid
            )
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(write, b"%d" % os.getpid())
                if how == "daemon":
                    os.execv(_SLEEP[0], _SLEEP)  # noqa: S606
                time.sleep(60)
            os._exit(0)
        os.waitpid(child, 0)
        helper = int(os.read(read, 20))
        os.close(read)
        os.close(write)
        return RuntimeData.json(helper)


class Talks(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        print("hello from", self.node_id)  # noqa: T201
        print("a warning", file=sys.stderr)  # noqa: T201
        return data


class Prints(MultiprocessNode):
    """Writes what it gets to a descriptor, so many times, in C or as it is; then may die of it."""

    def process(self, data: RuntimeData) -> RuntimeData:
        order = data.payload
        if order.get("by_c"):
            ctypes.CDLL(None).printf(order["text"].encode())
        content = bytes.fromhex(order["hex"]) if "hex" in order else order["text"].encode()
        for _ in range(order.get("times", 0)):
            rest = content
            while rest:
                rest = rest[os.write(order.get("fd", 1), rest) :]
        if order.get("numbers"):
            for number in range(order["numbers"]):
                print("line", number)  # noqa: T201
        if order.get("end") == "exit":
            os._exit(3)
        if order.get("end"):
            os.kill(os.getpid(), signal.Signals[order["end"]])
        return data


def _refuse() -> None:
    raise ValueError("two\nlines")


class Logs(MultiprocessNode):
    """Logs one line at each level, and an exception."""

    def process(self, data: RuntimeData) -> RuntimeData:
        logger = logging.getLogger("acme.model")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logger.log(level, "at level %d", level)
        try:
            _refuse()
        except ValueError:
            logger.exception("it failed")
        return data


class Progress(MultiprocessNode):
    def initialize(self) -> None:
        self.report_progress(0.25, "a quarter")
        self.report_progress(7, "too much")

    def process(self, data: RuntimeData) -> RuntimeData:
        return data


class LeavesTask(MultiprocessNode):
    """Starts a task, and forgets it."""

    async def process(self, data: RuntimeData) -> RuntimeData:
        import asyncio

        self.task = asyncio.create_task(asyncio.sleep(60))
        return data


class SaysGoodbye(MultiprocessNode):
    """Writes a file when it cleans up."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return data

    def cleanup(self) -> None:
        Path(self.config["file"]).write_text(self.node_id, encoding="utf-8")


class TellsAboutItself(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.json(
            {
                "environment": dict(os.environ),
                "directory": str(Path.cwd()),
                "cores": sorted(os.sched_getaffinity(0)),
                "nice": os.getpriority(os.PRIO_PROCESS, 0),
            }
        )


class Allocates(MultiprocessNode):
    """Takes memory in the way that it is told, and keeps it."""

    def initialize(self) -> None:
        self.kept: list[object] = []

    def process(self, data: RuntimeData) -> RuntimeData:
        way, megabytes = data.payload
        size = megabytes << 20
        if way == "array":
            self.kept.append(np.ones(size, np.uint8))
        elif way == "objects":
            self.kept.append([bytes(1024) for _ in range(size // 1024)])
        elif way == "shared":
            self.kept.append(mmap.mmap(-1, size))
            self.kept[-1][::4096] = bytes(size // 4096)  # type: ignore[index]
        elif way == "bad_alloc":
            os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
            os.abort()
        elif way == "abort":
            os.abort()
        return RuntimeData.json("done")


class HoldsTheGil(MultiprocessNode):
    """Is in C code that never lets go of the GIL."""

    def process(self, data: RuntimeData) -> None:
        ctypes.PyDLL(None).sleep(60)


class HoldsTheGilInInitialize(HoldsTheGil):
    def initialize(self) -> None:
        self.report_progress(0.5, "waiting for Godot")
        ctypes.PyDLL(None).sleep(60)


@register_node(
    "thinks_long",
    inputs=[Port("text", "text", required=False), Port("enough", required=False)],
    outputs=[Port("text", "text")],
)
class Rambler(MultiprocessNode):
    """Thinks about a text, and says nothing until it is stopped or told that it is enough."""

    def process(self, data: RuntimeData) -> RuntimeData:
        if data.port == "enough":
            return RuntimeData.text("sorry")
        while not self.stopping and not self.waiting("enough"):
            time.sleep(0.001)  # at work
        return RuntimeData.text(f"{data.payload}: {self.waiting('enough')}, {self.waiting('text')}")


class HasModule(MultiprocessNode):
    """Passes the name of a module on, if this process has imported it."""

    def process(self, data: RuntimeData) -> RuntimeData:
        if data.payload not in sys.modules:
            raise LookupError(data.payload)
        return data
