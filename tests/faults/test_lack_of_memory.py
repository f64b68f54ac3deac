"""The kernel's OOM killer takes a node: reported at once, with the hint about memory."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from remotemedia.core.errors import NodeError, ProcessCrashError
from remotemedia.runtime import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotemedia.runtime import Runtime

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nobody_else_notices")]

_LIMIT = 64 << 20
# Of the two kinds of control groups that Linux has: where they are, and the file of the limit.
_KINDS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))

HUNGRY = """
from pathlib import Path

from remotemedia.core.node import MultiprocessNode


class Hungry(MultiprocessNode):
    def process(self, data):
        Path(self.config["group"], "cgroup.procs").write_text("0", encoding="ascii")
        print("eating", flush=True)
        eaten = [b"x" * (1 << 20) for _ in range(512)]
        raise RuntimeError(f"the limit does not hold: {len(eaten)} MB")
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes get 64 MB."""
    for parent, limit in _KINDS:
        made = Path(parent) / f"remotemedia-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            (made / limit).write_text(str(_LIMIT), encoding="ascii")
        except OSError:
            made.rmdir()
            continue
        with contextlib.suppress(OSError):  # else what is too much would go there, if there is any
            (made / "memory.swap.max").write_text("0", encoding="ascii")
        yield made
        for pid in (made / "cgroup.procs").read_text(encoding="ascii").split():
            with contextlib.suppress(psutil.NoSuchProcess):  # only where the test has failed
                process = psutil.Process(int(pid))
                process.kill()
                process.wait(10)
        made.rmdir()
        return
    pytest.skip("this user may not make a control group with a memory limit")


async def test_a_node_that_the_kernel_kills_for_lack_of_memory_is_reported_at_once(
    runtime: Runtime,
    group: Path,
    tmp_path: Path,
    measured: Callable[[str, float], None],
) -> None:
    (tmp_path / "hungry.py").write_text(HUNGRY, encoding="utf-8")
    pipeline = Pipeline(extra_paths=[tmp_path])
    pipeline.add_node("hungry:Hungry", "a", {"group": str(group)})
    session = await runtime.create_session("hungry", pipeline)
    pid = (await session.get_status()).nodes["a"].pid
    assert pid is not None
    await session.send("a", "go")
    died: list[float] = []

    async def watch(end: int) -> None:
        await anyio.wait_readable(end)
        died.append(time.monotonic())
        os.close(end)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, os.pidfd_open(pid))
        with pytest.raises((ProcessCrashError, NodeError)) as caught:
            await session.receive("a", timeout=30)
        heard = time.monotonic()
    if isinstance(caught.value, NodeError):
        pytest.skip(f"control groups here only look like it: {caught.value.remote_message}")
    assert (caught.value.exit_code, caught.value.signal) == (137, "SIGKILL")
    assert "the kernel did for lack of memory" in caught.value.hint
    assert caught.value.last_output == ("eating",)
    measured("the OOM killer", max(heard - died[0], 0.0))
    assert heard - died[0] < 5.0
    await session.cleanup()
