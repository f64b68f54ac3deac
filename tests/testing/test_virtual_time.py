"""Virtual time: waiting for a timer takes none, waiting for anything else does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import NodeError
from remotemedia.core.node import MultiprocessNode
from remotemedia.core.testing import NodeHarness, NodeTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

HOUR = 3600.0
REAL_SECS = 5.0  # far less than an hour, far more than a loaded machine needs


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < REAL_SECS


def harness_of(work: Callable[[], Awaitable[object]]) -> NodeHarness:
    class Node(MultiprocessNode):
        async def process(self, data: RuntimeData) -> str:
            return str(await work())

    return NodeHarness(Node)


async def sleep() -> None:
    await asyncio.sleep(HOUR)


async def anyio_sleep() -> None:
    await anyio.sleep(HOUR)


async def wait_for() -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), HOUR)


async def move_on_after() -> None:
    with anyio.move_on_after(HOUR):
        await anyio.sleep_forever()


async def call_later() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(HOUR, done.set)
    await done.wait()


@pytest.mark.parametrize("work", [sleep, anyio_sleep, wait_for, move_on_after, call_later])
def test_timers_take_no_time_and_move_the_clock(work: Callable[[], Awaitable[object]]) -> None:
    with harness_of(work) as node:
        before = node.time
        node.feed("x")
        assert HOUR <= node.time - before < HOUR + REAL_SECS


def test_timers_go_off_in_their_order() -> None:
    async def work() -> list[int]:
        order: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number * HOUR)
            order.append(number)

        await asyncio.gather(*map(one, (3, 1, 2)))
        return order

    with harness_of(work) as node:
        assert node.feed("x")[0].payload == "[1, 2, 3]"


@pytest.mark.parametrize("to_thread", [asyncio.to_thread, anyio.to_thread.run_sync])
def test_a_deadline_does_not_pass_while_a_thread_works(to_thread: Callable[..., object]) -> None:
    async def work() -> str:
        with anyio.fail_after(60):
            await to_thread(time.sleep, 0.3)  # type: ignore[misc]
        await asyncio.sleep(HOUR)  # now that the thread is idle
        return "in time"

    with harness_of(work) as node:
        assert node.feed("x")[0].payload == "in time"


def test_a_deadline_does_not_pass_while_a_thread_of_the_node_works() -> None:
    async def work() -> str:
        loop, answer = asyncio.get_running_loop(), asyncio.Event()

        def think() -> None:
            time.sleep(0.3)
            loop.call_soon_threadsafe(answer.set)

        thread = threading.Thread(target=think)
        thread.start()
        await asyncio.wait_for(answer.wait(), 60)
        thread.join()
        return "in time"

    with harness_of(work) as node:
        assert node.feed("x")[0].payload == "in time"


def test_a_deadline_does_not_pass_while_a_socket_is_waited_for() -> None:
    here, there = socket.socketpair()

    async def work() -> bytes:
        reader, writer = await asyncio.open_connection(sock=there)
        try:
            threading.Timer(0.3, here.sendall, (b"late\n",)).start()
            return await asyncio.wait_for(reader.readline(), 60)
        finally:
            writer.close()
            await writer.wait_closed()

    with here, harness_of(work) as node:
        assert node.feed("x")[0].payload == "b'late\\n'"


def test_a_deadline_does_not_pass_while_a_child_process_works() -> None:
    async def work() -> bytes:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import time; time.sleep(0.3); print('done')",
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(child.communicate(), 60)
        return out

    with harness_of(work) as node:
        assert node.feed("x")[0].payload == "b'done\\n'"


def test_a_wait_that_no_timer_ends_has_the_deadline_of_the_step() -> None:
    class Node(MultiprocessNode):
        async def process(self, data: RuntimeData) -> None:
            await asyncio.Event().wait()

    with NodeHarness(Node, deadline=0.2) as node, pytest.raises(NodeTimeout):
        node.feed("x")


def test_tasks_of_the_node_go_on_when_time_is_given_to_them() -> None:
    class Node(MultiprocessNode):
        async def initialize(self) -> None:
            self.ticks = 0
            self.task = asyncio.create_task(self.tick())

        async def tick(self) -> None:
            while True:
                await asyncio.sleep(1)
                self.ticks += 1

        async def process(self, data: RuntimeData) -> str:
            return str(self.ticks)

        async def cleanup(self) -> None:
            self.task.cancel()

    with NodeHarness(Node) as node:
        assert node.node.ticks == 0  # type: ignore[attr-defined]
        node.advance(10.5)
        assert node.feed("x")[0].payload == "10"


def test_time_may_be_real() -> None:
    class Node(MultiprocessNode):
        async def process(self, data: RuntimeData) -> None:
            await asyncio.sleep(HOUR)

    with NodeHarness(Node, virtual_time=False, deadline=0.3) as node, pytest.raises(NodeTimeout):
        node.feed("x")


def test_a_deadline_of_the_node_s_own_passes_at_once() -> None:
    async def work() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), HOUR)

    with harness_of(work) as node, pytest.raises(NodeError, match="TimeoutError"):
        node.feed("x")
