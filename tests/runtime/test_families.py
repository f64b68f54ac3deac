"""Whatever a node has started ends with it, wherever it has got to."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import Pipeline, Runtime, Session
from remotemedia.runtime.space_files import reclaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

pytestmark = pytest.mark.anyio

WAYS = ["plain", "session", "daemon", "fork"]

APPLICATION = """
import asyncio, os, signal, sys, warnings
from remotemedia.runtime import Session, Pipeline
warnings.simplefilter("ignore")  # forking a process that has threads

async def main():
    pipeline = Pipeline(extra_paths=[NODES])
    pipeline.add_node("samples:StartsHelper", "helper").add_node("samples:HoldsTheGil", "held")
    session = Session("s", pipeline)
    await session.initialize()
    await session.start()
    await session.send("held", 1)
    nodes = (await session.get_status()).nodes
    print(os.getpid(), *(nodes[node].pid for node in nodes), flush=True)
    for way in WAYS:
        await session.send("helper", way)
        print((await session.receive("helper")).payload, flush=True)
    BEFORE
    await asyncio.sleep(60)

asyncio.run(main())
"""


def application(nodes: Path, before: str = "") -> str:
    source = APPLICATION.replace("NODES", repr(str(nodes))).replace("WAYS", repr(WAYS))
    return source.replace("BEFORE", before)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_within(
    seconds: float, pids: Iterable[int], is_there: Callable[[int], bool] = is_alive
) -> bool:
    """Wait for processes that are not this one's children: they can only be looked at."""
    left = set(pids)
    deadline = time.monotonic() + seconds
    while (left := {pid for pid in left if is_there(pid)}) and time.monotonic() < deadline:
        time.sleep(0.002)
    return not left


async def pids_of(session: Session) -> list[int]:
    """Return the processes of the nodes; each is one that may be signalled alone."""
    pids = [node.pid for node in (await session.get_status()).nodes.values()]
    return [pid for pid in pids if pid is not None and pid > 1]


def template_of(pid: int) -> int:
    return psutil.Process(pid).ppid()


async def helpers_of(session: Session) -> list[int]:
    """Have a chain that begins with `StartsHelper` start a helper in each way."""
    for way in WAYS:
        await session.send("a", way)
    helpers = [(await session.receive(timeout=10)).payload for _ in WAYS]
    assert all(map(is_alive, helpers))
    return helpers


async def test_helpers_end_with_a_node_that_stops(chain: Callable[..., Pipeline]) -> None:
    async with Session("s", chain("StartsHelper")) as session:
        helpers = await helpers_of(session)
    assert gone_within(1.0, helpers)


async def test_helpers_end_with_a_node_that_is_killed_and_those_of_others_stay(
    chain: Callable[..., Pipeline],
) -> None:
    async with Runtime() as runtime:
        other = await runtime.create_session("other", chain("StartsHelper"))
        kept = await helpers_of(other)
        session = await runtime.create_session("s", chain("StartsHelper"))
        helpers = await helpers_of(session)
        os.kill((await pids_of(session))[0], signal.SIGKILL)
        with pytest.raises(ProcessCrashError):
            await session.receive(timeout=10)
        assert gone_within(1.0, helpers)
        assert all(map(is_alive, kept))
        await other.cleanup()
        assert gone_within(1.0, kept)
        await session.cleanup()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
async def test_a_template_that_is_killed_takes_nodes_and_helpers_along(
    chain: Callable[..., Pipeline], number: signal.Signals
) -> None:
    async with Runtime() as runtime:
        session = await runtime.create_session("s", chain("StartsHelper", "Echo"))
        helpers = await helpers_of(session)
        pids = await pids_of(session)
        os.kill(template_of(pids[0]), number)
        with pytest.raises(ProcessCrashError):
            await session.receive(timeout=10)
        assert gone_within(1.0, [*pids, *helpers])
        await session.cleanup()
        again = await runtime.create_session("s", chain("Echo"))  # by a template of its own
        await again.send("a", "alive")
        assert (await again.receive(timeout=10)).payload == "alive"


@pytest.mark.parametrize(
    ("before", "number"),
    [
        ("", signal.SIGKILL),
        ("signal.signal(signal.SIGTERM, signal.SIG_DFL)", signal.SIGTERM),
        # A child that lives on holds all descriptors of the application open.
        (
            "print(os.fork() or [os.close(1), os.close(2), signal.pause()], flush=True)",
            signal.SIGKILL,
        ),
    ],
    ids=["killed", "terminated", "killed with a forked child that lives on"],
)
def test_an_application_that_is_killed_takes_everything_along_within_a_second(
    start_program: Callable[..., Any], nodes: Path, before: str, number: signal.Signals
) -> None:
    program = start_program(application(nodes, before))
    _, *pids = map(int, program.line().split())
    pids += [int(program.line()) for _ in WAYS]
    pids.append(template_of(pids[0]))
    child = int(program.line()) if "fork" in before else None
    assert all(map(is_alive, pids))
    os.kill(program.pid, number)
    assert gone_within(1.0, pids)
    program.process.wait(5)
    if child is not None:
        os.kill(child, signal.SIGKILL)
        assert gone_within(5.0, [child])
    reclaim()


async def test_a_helper_that_ends_leaves_no_zombie_while_its_node_lives(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("StartsHelper")) as session:
        await session.send("a", "daemon")
        helper = (await session.receive(timeout=10)).payload
        os.kill(helper, signal.SIGKILL)
        assert gone_within(5.0, [helper], psutil.pid_exists)  # not even a zombie
