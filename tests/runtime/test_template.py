"""The template process dies: its nodes with it, and it is said what has happened."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime import Pipeline

pytestmark = pytest.mark.anyio


async def test_it_is_told_from_a_node_that_was_killed_and_the_next_session_has_another(
    chain: Callable[..., Pipeline],
) -> None:
    async with Runtime() as runtime:
        session = await runtime.create_session("s", chain("Echo", "Echo"))
        nodes = (await session.get_status()).nodes
        template = psutil.Process(nodes["a"].pid).parent()
        assert template is not None
        template.send_signal(signal.SIGKILL)
        with pytest.raises(ProcessCrashError) as caught:
            await session.receive(timeout=15)
        assert f"the template process {template.pid}" in caught.value.hint
        assert "was ended by signal 9" in caught.value.hint
        assert "memory" not in str(caught.value)
        await session.cleanup()
        session = await runtime.create_session("t", chain("Echo"))
        await session.send("a", "again")
        assert (await session.receive(timeout=15)).payload == "again"
        await session.cleanup()
