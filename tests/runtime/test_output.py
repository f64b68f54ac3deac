"""What nodes write: line by line in the application's logging, all of it, and never too much."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remotemedia.core.errors import ProcessCrashError
from remotemedia.runtime import Session
from remotemedia.runtime.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotemedia.runtime import Pipeline

pytestmark = pytest.mark.anyio


class Collector(logging.Handler):
    """Keeps what nodes write."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def log() -> Iterator[Collector]:
    collector = Collector()
    logger = logging.getLogger("remotemedia.node")
    before = logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    yield collector
    logger.removeHandler(collector)
    logger.setLevel(before)


async def _after(chain: Callable[..., Pipeline], **order: Any) -> None:
    """Have a node write, and the session end."""
    async with Session("s", chain("Prints")) as session:
        await session.send("a", {"text": "", **order})
        await session.receive()


async def test_lines_come_with_node_session_and_level(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    async with Session("talk", chain("Talks")) as session:
        await session.send("a", 1)
        await session.receive()
    found = {
        (record.name, record.levelname, record.getMessage(), record.node, record.session)  # type: ignore[attr-defined]
        for record in log.records
    }
    assert found == {
        ("remotemedia.node.a", "INFO", "hello from a", "a", "talk"),
        ("remotemedia.node.a", "WARNING", "a warning", "a", "talk"),
    }


@pytest.mark.parametrize("end", ["exit", "SIGKILL", "SIGSEGV", "SIGABRT"])
@pytest.mark.parametrize("writer", [{"times": 1}, {"by_c": True}], ids=["python", "c"])
async def test_the_last_lines_survive_every_death(
    chain: Callable[..., Pipeline], log: Collector, end: str, writer: dict[str, object]
) -> None:
    order = {"text": "one\ntwo\n", "end": end, **writer}
    async with Session("s", chain("Prints")) as session:
        await session.send("a", order)
        with pytest.raises(ProcessCrashError) as caught:
            await session.receive()
    assert log.lines[:2] == ["one", "two"]
    assert caught.value.last_output[:2] == ("one", "two")


async def test_a_line_that_was_not_finished_is_there_after_a_crash(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    async with Session("s", chain("Prints")) as session:
        await session.send("a", {"text": "halfw", "times": 1, "end": "SIGKILL"})
        with pytest.raises(ProcessCrashError) as caught:
            await session.receive()
    assert log.lines == ["halfw"]
    assert caught.value.last_output == ("halfw",)


async def test_a_flood_arrives_whole_and_in_order(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    await _after(chain, numbers=5_000)
    assert log.lines == [f"line {number}" for number in range(5_000)]


async def test_a_flood_leaves_the_runtime_free_for_others(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    async def nothing() -> None:
        await asyncio.sleep(0)

    waits = []
    async with Session("s", chain("Prints")) as session:
        await session.send("a", {"text": "\n", "times": 10_000})
        while not log.records:
            await Background.shared().call(nothing())
        while len(log.records) < 10_000:
            before = time.monotonic()
            await Background.shared().call(nothing())
            waits.append(time.monotonic() - before)
        await session.receive()
    # A pipe full of empty lines takes half a second to log; nobody waits for all of them.
    assert len(waits) > 40
    assert sorted(waits)[len(waits) // 2] < 0.1


async def test_a_crash_in_a_flood_is_reported_with_its_last_lines(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    async with Session("s", chain("Prints")) as session:
        await session.send("a", {"text": "\n", "times": 15_000, "numbers": 50, "end": "SIGKILL"})
        with pytest.raises(ProcessCrashError) as caught:
            await session.receive()
        assert caught.value.last_output[-1] == "line 49"
        while not log.records or log.records[-1].getMessage() != "line 49":
            await asyncio.sleep(0.01)  # all is logged, be it after the report
    assert log.lines == [""] * 15_000 + [f"line {number}" for number in range(50)]


async def test_a_line_without_end_comes_in_pieces(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    await _after(chain, text="aé€😀" * 25_000, times=4)
    assert "".join(log.lines) == "aé€😀" * 100_000
    assert all(8000 < len(line.encode()) <= 8192 for line in log.lines[:-1])


async def test_garbage_is_shown_and_steers_no_terminal(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    await _after(
        chain, hex="1b5b324a ff00 9b c285 e280a8 07 7f 09 c3a4 0a".replace(" ", ""), times=1
    )
    assert log.lines == [r"\x1b[2J\xff\x00\x9b\x85\u2028\x07\x7f" + "\tä"]


async def test_megabytes_of_garbage_are_no_trouble(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    every_byte = bytes(range(256)).hex()
    await _after(chain, hex=every_byte, times=2048)
    assert sum(line.count(r"\xfe") for line in log.lines) == 2048


async def test_progress_bars_are_lines_as_they_move(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    await _after(chain, text="\r 10%\r 20%\r100%\ndone\r\n\r\n", times=1)
    assert log.lines == [" 10%", " 20%", "100%", "done", ""]


async def test_output_that_nobody_listens_to_is_kept_for_the_report_of_a_crash(
    chain: Callable[..., Pipeline],
) -> None:
    async with Session("s", chain("Prints")) as session:
        await session.send("a", {"text": "x\n", "times": 30_000, "numbers": 5, "end": "exit"})
        with pytest.raises(ProcessCrashError) as caught:
            await session.receive()
    assert caught.value.last_output[-1] == "line 4"


async def test_what_a_node_logs_keeps_its_level(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    async with Session("s", chain("Logs")) as session:
        await session.send("a", 1)
        await session.receive()
    seen = [(record.levelname, record.getMessage()) for record in log.records]
    assert seen[:4] == [
        ("INFO", "acme.model: at level 20"),
        ("WARNING", "acme.model: at level 30"),
        ("ERROR", "acme.model: at level 40"),
        ("ERROR", "acme.model: it failed"),
    ]
    assert {level for level, _ in seen[4:]} == {"ERROR"}
    assert [line for _, line in seen[-2:]] == ["ValueError: two", "lines"]


async def test_what_only_looks_like_a_level_is_a_line(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    await _after(chain, hex=b"\x1dloud 1\n\x1d1000 2\n\x1d\n\x1d40 3\n".hex(), times=1)
    seen = [(record.levelno, record.getMessage()) for record in log.records]
    assert seen == [
        (logging.INFO, "\\x1dloud 1"),
        (logging.INFO, "\\x1d1000 2"),
        (logging.INFO, "\\x1d"),
        (logging.ERROR, "3"),
    ]


async def test_a_filter_that_raises_loses_its_line_only(
    chain: Callable[..., Pipeline], log: Collector
) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        if record.getMessage() == "line 1":
            raise ValueError("no")
        return True

    logger = logging.getLogger("remotemedia.node.a")
    logger.addFilter(refuse)
    try:
        await _after(chain, numbers=3)
    finally:
        logger.removeFilter(refuse)
    assert log.lines == ["line 0", "line 2"]


def test_what_was_written_before_the_program_ends_is_logged(
    run_program: Callable[..., str], nodes: Path
) -> None:
    output = run_program(_PROGRAM.replace("NODES", str(nodes)))
    lines = output.splitlines()
    lines.remove("session 's' has ended; dropped: input#0 in node 'a'")
    assert lines[-1] == "line 49"
    assert len(lines) == 8_050


_PROGRAM = """
import asyncio, logging, sys
from remotemedia.runtime import Pipeline, Session

class Print(logging.Handler):
    def emit(self, record):
        print(record.getMessage())

logging.getLogger("remotemedia.node").setLevel(logging.INFO)
logging.getLogger("remotemedia").addHandler(Print())

async def main():
    pipeline = Pipeline(extra_paths=["NODES"]).add_node("samples:Prints", "a")
    session = Session("s", pipeline)
    await session.initialize()
    await session.start()
    order = {"text": "\\n", "times": 8_000, "numbers": 50, "end": "SIGKILL"}
    await session.send("a", order)
    try:
        await session.receive()
    except Exception:
        return

asyncio.run(main())
"""
