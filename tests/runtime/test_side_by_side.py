"""Sessions that start at the same moment don't disturb each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from remotemedia.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime import Pipeline


@pytest.mark.anyio
@pytest.mark.timeout(60)
async def test_ten_sessions_of_three_nodes(chain: Callable[..., Pipeline]) -> None:
    async with Runtime() as runtime:

        async def use(number: int) -> None:
            pipeline = chain("Echo", "AsFunction", "Echo")
            async with await runtime.create_session(f"s{number}", pipeline) as session:
                for item in range(20):
                    await session.send("a", f"{number}.{item}")
                for item in range(20):
                    assert (await session.receive("c")).payload == f"{number}.{item}+"

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(use, number)
