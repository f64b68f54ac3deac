"""Nodes that tell where in shared memory their arrays lie, and what goes on while they wait."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from remotemedia.core.data import RuntimeData
from remotemedia.core.node import MultiprocessNode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray


def place_of(array: NDArray[Any]) -> list[int] | None:
    """Return the file and the offset in it that an array lies at; None if it is private memory.

    Whatever lies at the same place of the same file is the same memory, in every process.
    """
    address = array.ctypes.data
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        span, _, offset, _, inode, *name = line.split()
        begin, end = (int(part, 16) for part in span.split("-"))
        if begin <= address < end and name and name[0].startswith("/dev/shm/"):  # noqa: S108
            return [int(inode), int(offset, 16) + address - begin]
    return None


class FillsLoans(MultiprocessNode):
    """Fills two arrays in place, and tells where."""

    def process(self, data: RuntimeData) -> RuntimeData:
        out = self.loan_tensor({"audio": ((1000,), "f4"), "features": ((20, 80), "f8")})
        for array in out.payload.values():
            array[:] = data.payload
        out.metadata.extra = {name: place_of(array) for name, array in out.payload.items()}
        return out


class ReturnsArrays(MultiprocessNode):
    """Returns two arrays of its own."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.tensor(
            {"audio": np.full(1000, data.payload, "f4"), "features": np.ones((20, 80))}
        )


class TellsPlaces(MultiprocessNode):
    """Tells where it was sent, where it arrived, and whether it could write there."""

    def process(self, data: RuntimeData) -> RuntimeData:
        return RuntimeData.json(
            {
                "sent": data.metadata.extra,
                "got": {name: place_of(array) for name, array in data.payload.items()},
                "writeable": any(array.flags.writeable for array in data.payload.values()),
            }
        )


class LoansMuch(MultiprocessNode):
    """Writes one value in each page of as many bytes as it is told."""

    def process(self, data: RuntimeData) -> RuntimeData:
        out = self.loan_tensor((data.payload,), "u1")
        out.as_numpy()[::4096] = 1
        return out


class TellsSize(MultiprocessNode):
    """Tells how many bytes have arrived, the sum of one in each page, and where they lie."""

    def process(self, data: RuntimeData) -> RuntimeData:
        array = data.as_numpy()
        shared = place_of(array) is not None
        return RuntimeData.json([array.nbytes, int(array[::4096].sum(dtype="u8")), shared])


def count(path: Path, number: int) -> None:
    """Let the test see a number at any time."""
    path.with_suffix(".new").write_text(str(number), "utf-8")
    path.with_suffix(".new").rename(path)


class TaskBesideSending(MultiprocessNode):
    """Sends as many items as it is told; a task of its event loop counts meanwhile."""

    async def initialize(self) -> None:
        self.task = asyncio.ensure_future(self.tick())

    async def tick(self) -> None:
        number = 0
        while True:
            number += 1
            count(Path(self.config["ticks"]), number)
            await asyncio.sleep(0.002)

    async def process(self, data: RuntimeData) -> AsyncIterator[RuntimeData]:
        for number in range(data.payload):
            yield RuntimeData.json(number)

    async def cleanup(self) -> None:
        self.task.cancel()


class ThreadBesideSending(MultiprocessNode):
    """The same with a plain generator, and a thread that needs the GIL."""

    def initialize(self) -> None:
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.tick)
        self.thread.start()

    def tick(self) -> None:
        number = 0
        while not self.ends.wait(0.002):
            number += 1
            count(Path(self.config["ticks"]), number)

    def process(self, data: RuntimeData) -> Iterator[RuntimeData]:
        for number in range(data.payload):
            yield RuntimeData.json(number)

    def cleanup(self) -> None:
        self.ends.set()
        self.thread.join()


class TakesLonger(MultiprocessNode):
    """Takes `config.seconds` for each item; for the first one `config.stall`."""

    def initialize(self) -> None:
        self.next = self.config.get("stall", self.config["seconds"])

    def process(self, data: RuntimeData) -> RuntimeData:
        time.sleep(self.next)
        self.next = self.config["seconds"]
        return data
