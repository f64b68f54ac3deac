"""vibe_voice in a process of its own: it stops between two frames, and memory is limited."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import ResourceLimitError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Runtime

if TYPE_CHECKING:
    from remotemedia.runtime import Session

pytestmark = pytest.mark.anyio

#: The engine is imported in each node's process.
CONFIG = MultiprocessConfig(init_timeout_secs=240)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def private_megabytes(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmData"))
    return int(kilobytes) // 1024


async def all_of(session: Session) -> None:
    while True:
        await session.receive("tts", timeout=120)


async def test_a_session_that_stops_ends_a_turn_between_two_frames(endless: Path) -> None:
    config = {"model": str(endless), "device": "cpu", "max_turn_secs": 3600}
    pipeline = Pipeline().add_node("vibe_voice", "tts", config)
    async with Runtime(CONFIG) as runtime:
        session = await runtime.create_session("stops", pipeline)
        await session.send("tts.text", "This has no end.")
        assert len((await session.receive("tts", timeout=120)).as_numpy()) == 3200
        pid = (await session.get_status()).nodes["tts"].pid
        begin = time.monotonic()
        await session.cleanup()
        # By itself, and not by the signals that follow the grace period.
        assert time.monotonic() - begin < 0.7 * CONFIG.cleanup_grace_period_secs
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_memory_that_a_turn_takes_is_told(endless: Path) -> None:
    config = {"model": str(endless), "device": "cpu"}
    pipeline = Pipeline().add_node("vibe_voice", "tts", config)
    async with Runtime(CONFIG) as runtime, await runtime.create_session("free", pipeline) as free:
        pid = (await free.get_status()).nodes["tts"].pid
        limit = private_megabytes(pid) + 60
    pipeline = Pipeline().add_node("vibe_voice", "tts", config, max_memory=f"{limit} MB")
    async with Runtime(CONFIG) as runtime:
        session = await runtime.create_session("short", pipeline)
        await session.send("tts.text", "word " * 6000)
        with pytest.raises(ResourceLimitError, match=r"memory of node 'tts'.*'max_memory'"):
            await all_of(session)
        await session.cleanup()
