"""`lfm2_audio` in a process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import ResourceLimitError
from remotemedia.runtime import MultiprocessConfig, Pipeline, Session

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Checkpoints

pytestmark = pytest.mark.anyio
LATE = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def session(checkpoint: Path, *, grace: float = 30, **options: Any) -> Session:
    config = {
        "model": str(checkpoint),
        "text_temperature": 1.0,
        "audio_top_k": 0,
        "cpu_threads": 1,
        "max_reply_tokens": 3000,
    }
    pipeline = Pipeline().add_node("lfm2_audio", "s2s", config, **options)
    limits = MultiprocessConfig(init_timeout_secs=120, cleanup_grace_period_secs=grace)
    return Session("s", pipeline, config=limits)


def question() -> RuntimeData:
    return RuntimeData.audio(np.zeros(16_000, np.int16), 16_000)


async def test_an_answer_arrives_while_it_is_spoken_and_a_session_stops_in_the_middle(
    checkpoints: Checkpoints,
) -> None:
    async with session(checkpoints.never_ends()) as running:
        await running.send("s2s.audio", question())
        frames = [await running.receive("s2s.audio", timeout=LATE) for _ in range(3)]
        assert {frame.metadata.extra["turn"] for frame in frames} == {1}
        pid = (await running.get_status()).nodes["s2s"].pid
        began = time.monotonic()
        await running.cleanup()
        # Not asked nicely and then interrupted, at 70 % of the grace period: it saw it itself.
        assert time.monotonic() - began < 15
        assert not psutil.pid_exists(pid)


async def test_a_reset_calls_off_the_turn_in_work(checkpoints: Checkpoints) -> None:
    async with session(checkpoints.never_ends()) as running:
        await running.send("s2s.text", "Tell me a story without an end.")
        assert (await running.receive("s2s.audio", timeout=LATE)).metadata.extra["turn"] == 1
        await running.send("s2s.reset", "enough")
        await running.send("s2s.text", "Another one.")
        turns = [1]
        while turns[-1] == 1:
            frame = await running.receive("s2s.audio", timeout=LATE)
            turns.append(frame.metadata.extra["turn"])
        assert turns[-1] == 2
        assert len(turns) < 500  # of 3,000
        await running.send("s2s.reset", "enough")


async def test_a_reset_that_was_sent_before_a_turn_does_not_call_it_off(
    checkpoints: Checkpoints,
) -> None:
    async with session(checkpoints.converses()) as running:
        for turn in range(1, 4):
            await running.send("s2s.reset", "begin anew")
            await running.send("s2s.text", "Hello.")
            text = await running.receive("s2s.text", timeout=LATE)
            assert text.metadata.extra["turn"] == turn
            words, frame = "", None
            while frame is None or frame.metadata.extra.get("partial"):
                frame = await running.receive("s2s.audio", timeout=LATE)
                words += frame.metadata.transcript
            while words.strip() != text.payload:
                words += (await running.receive("s2s.audio", timeout=LATE)).metadata.transcript


async def test_too_little_memory_is_told_with_its_setting(checkpoints: Checkpoints) -> None:
    with pytest.raises(ResourceLimitError, match="max_memory") as caught:
        await session(checkpoints.converses(), max_memory="1200 MB").initialize()
    assert caught.value.node_id == "s2s"
