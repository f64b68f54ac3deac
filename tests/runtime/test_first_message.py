"""The first message of a session finds everything that it needs in memory already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remotemedia.runtime import Pipeline, Session

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def page_faults(pid: int) -> int:
    """Return how often a process has waited for a page that was in memory."""
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[7])


@pytest.mark.parametrize("node", ["Echo", "Shout"])
async def test_a_node_takes_few_page_faults_with_its_first_message(
    chain: Callable[..., Pipeline], node: str
) -> None:
    """A forked node that has rehearsed nothing takes forty."""
    async with Session("s", chain(node)) as session:
        pid = (await session.get_status()).nodes["a"].pid
        assert pid is not None
        before = page_faults(pid)
        await session.send("a", "first")
        await session.receive("a")
        assert page_faults(pid) - before < 20
