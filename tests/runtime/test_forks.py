"""A child that the application forks can do what it likes: its parent's session does not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APPLICATION = """
import asyncio, gc, os, sys, warnings
import numpy as np
warnings.simplefilter("ignore")  # forking a process that has threads
from remotemedia.core.errors import SessionClosed
from remotemedia.runtime import Pipeline, Runtime, Session

def echoes():
    pipeline = Pipeline(extra_paths=[NODES])
    pipeline.add_node("samples:Echo", "a").add_node("samples:Echo", "b")
    return pipeline.connect("a", "output", "b", "input")

async def cleans_up(session, runtime):
    await session.cleanup()
    await runtime.shutdown()

async def uses_its_parents_session(session, runtime):
    for call in (
        session.send("a", 1), session.receive("b"), session.close_input(), session.initialize(),
        runtime.create_session("t", echoes()),
    ):
        try:
            await call
        except SessionClosed as error:
            assert "belongs to the parent process" in str(error)
        else:
            raise AssertionError(call)

async def has_a_session_of_its_own(session, runtime):
    async with Session("own", echoes()) as own:
        await own.send("a", "hello")
        assert (await own.receive("b", timeout=10)).payload == "hello"

async def main():
    async with Runtime() as runtime:
        session = await runtime.create_session("s", echoes())
        for child in (cleans_up, uses_its_parents_session, has_a_session_of_its_own, None):
            await session.send("a", np.full(100_000, 7))
            held = await session.receive("b", timeout=10)
            pid = os.fork()
            if pid == 0:
                if child is not None:
                    asyncio.run(child(session, runtime))
                del session, held  # and leave, as the parent would, by what ends the runtime
                gc.collect()
                sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0, child
            for value in range(20):  # which reuse every piece of memory that was given back
                await session.send("a", np.full(100_000, value))
                assert (await session.receive("b", timeout=10)).as_numpy()[0] == value
            assert set(held.as_numpy().tolist()) == {7}
            assert (await session.get_status()).state == "running"
            print(child.__name__ if child else "leaves", "and all is well", flush=True)
        await session.cleanup()

asyncio.run(main())
"""


def test_forked_children_leave_their_parents_session_alone(
    start_program: Callable[..., Any], nodes: Path
) -> None:
    code, output = start_program(APPLICATION.replace("NODES", repr(str(nodes)))).result()
    assert code == 0, output
    assert output.splitlines() == [
        "cleans_up and all is well",
        "uses_its_parents_session and all is well",
        "has_a_session_of_its_own and all is well",
        "leaves and all is well",
    ]
