"""A process that dies, in whichever way and at whichever stage: reported at once, nothing left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest

from remotemedia.core.errors import ProcessCrashError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remotemedia.runtime import Pipeline, Runtime, Session

    Row = Callable[..., Pipeline]
    Measured = Callable[[str, float], None]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nobody_else_notices")]

#: What a loaded machine may take; `docs/faults.md` says what a quiet one does.
SOON_SECS = 5.0
LAST_WORDS = "famous last words, at "

#: Exit code and signal of each way to die that `nodes/faulty.py` knows.
FAULTS = {
    "kill": (137, "SIGKILL"),
    "segfault": (139, "SIGSEGV"),
    "abort": (134, "SIGABRT"),
    "stack overflow": (139, "SIGSEGV"),
    "terminate": (143, "SIGTERM"),
    "_exit": (7, None),
    "exit": (3, None),
    "exit with a message": (1, None),
}
STAGES = {
    "import": "loading",
    "__init__": "loading",
    "initialize": "loading",
    "process": "running",
    "finish": "running",
    "cleanup": "stopping",
}


def check(error: ProcessCrashError, fault: str, stage: str) -> float:
    """Make sure that an error tells it all; returns how long it took to get here."""
    seconds = time.monotonic()
    code, signal = FAULTS[fault]
    assert (error.node_id, error.exit_code, error.signal) == ("b", code, signal)
    assert error.stage == STAGES[stage]
    last_words = next(line for line in error.last_output if line.startswith(LAST_WORDS))
    seconds -= float(last_words.removeprefix(LAST_WORDS))
    assert seconds < SOON_SECS
    assert ("memory" in str(error)) == (signal == "SIGKILL")
    if fault == "exit with a message":
        assert "that was it" in error.last_output
    if signal in ("SIGSEGV", "SIGABRT"):
        assert any("in commit" in line for line in error.last_output)  # where in the node
    return seconds


async def meet(session: Session, stage: str) -> None:
    """Bring a node to a stage, and wait until it is over."""
    if stage == "process":
        await session.send("a", "an item")
    elif stage == "finish":
        await session.close_input()
    async for _ in session.stream("c"):
        pass


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "cleanup"])
async def test_a_process_that_dies_is_reported_at_once(
    runtime: Runtime, row: Row, tmp_path: Path, measured: Measured, stage: str, fault: str
) -> None:
    pipeline = row("Echo", "Faulty", "Echo", config={"stage": stage, "fault": fault})
    if stage == "import":
        source = f"import faulty\nfaulty.commit({fault!r})\n\nclass Never(faulty.Faulty): ..."
        (tmp_path / "fatal.py").write_text(source, encoding="utf-8")
        pipeline = row("Echo", "fatal:Never", "Echo", paths=[tmp_path])
    with anyio.fail_after(2 * SOON_SECS), pytest.raises(ProcessCrashError) as caught:
        async with await runtime.create_session("s", pipeline) as session:
            await meet(session, stage)
    measured(fault, check(caught.value, fault, stage))


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_process_that_dies_while_the_session_ends_is_reported_too(
    runtime: Runtime, row: Row, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    pipeline = row("Echo", "Faulty", "Echo", config={"stage": "cleanup", "fault": fault})
    session = await runtime.create_session("s", pipeline)
    crashes: list[ProcessCrashError] = []
    session.on_process_crash(crashes.append)
    with anyio.fail_after(2 * SOON_SECS):
        await session.cleanup()
    (crash,) = crashes
    check(crash, fault, "cleanup")
    assert f"session 's': {crash}" in caplog.text
