"""A raid: traffic of which one node is killed at a random moment."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import anyio
import psutil

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime.bench.traffic.inspector import BadTraffic
from remotemedia.runtime.bench.traffic.layout import Layout
from remotemedia.runtime.bench.traffic.traffic import Traffic

if TYPE_CHECKING:
    from remotemedia.runtime.runtime import Runtime

__all__ = ["raid"]

_NODES = 4
_MAX_SIZE = 1 << 20
_KILLED_WITHIN_SECS = 0.5


async def raid(runtime: Runtime, seed: int, name: str = "raid") -> str:
    """Start a small session of traffic, and kill one of its nodes while it flows.

    Returns:
        The node that was killed.

    Raises:
        BadTraffic: The session did not end with a report of this crash, or left a process.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    layout = Layout.random(seed, _NODES, _MAX_SIZE)
    victim = dice.choice(layout.nodes)
    async with Traffic(runtime, layout, name) as traffic:
        nodes = (await traffic.session.get_status()).nodes
        pids = {node: status.pid for node, status in nodes.items() if status.pid is not None}

        async def kill() -> None:
            await anyio.sleep(dice.random() * _KILLED_WITHIN_SECS)
            os.kill(pids[victim], signal.SIGKILL)

        told = "nothing at all"
        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            try:
                await traffic.run(lambda _made: True)
            except ProcessCrashError as error:
                told = f"{error.node_id} by {error.signal}"
    if told != f"{victim} by SIGKILL":
        raise BadTraffic(f"raid of seed {seed}: {victim} was killed, but {told} was reported")
    left = [node for node, pid in pids.items() if psutil.pid_exists(pid)]
    if left:
        raise BadTraffic(f"raid of seed {seed}: {victim} was killed, but {left} live on")
    return victim
