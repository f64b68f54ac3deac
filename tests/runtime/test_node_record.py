"""The records of nodes in the ledger: what they count."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.runtime.channels.histogram import BUCKETS, count, quantile_us
from remotemedia.runtime.channels.node_record import NodeRecord


@pytest.fixture
def record() -> NodeRecord:
    return NodeRecord(memoryview(bytearray(8 * 160)).cast("Q"))


def test_a_new_record_is_empty(record: NodeRecord) -> None:
    work = record.read()
    assert (work.items_in, work.items_out, work.items_skipped, work.busy_seconds) == (0, 0, 0, 0)
    assert (work.processing_p50_us, work.item, work.activity) == (0, None, "idle")


def test_the_item_in_work_is_named_by_edge_and_number(record: NodeRecord) -> None:
    record.begin(3, 41)
    item = record.item()
    assert item is not None
    assert (item.number, item.link, item.sequence) == (1, 3, 41)
    assert record.read().activity == "processing"
    record.end()
    assert record.item() is None
    record.begin_finish()
    item = record.item()
    assert item is not None
    assert item.link is None


def test_time_in_items_is_counted(record: NodeRecord) -> None:
    since = time.monotonic()
    for number in range(3):
        record.begin(0, number)
        while time.monotonic() - since < 0.02 * (number + 1):
            pass
        record.end()
    took = time.monotonic() - since
    work = record.read()
    assert work.items_in == 3
    assert took * 0.9 < work.busy_seconds <= took
    assert 10_000 < work.processing_p50_us <= work.processing_p99_us


def test_waiting_for_room_is_no_work(record: NodeRecord) -> None:
    record.begin(0, 0)
    since = time.monotonic_ns()
    record.waiting(since - 10_000_000_000)
    item = record.item()
    assert item is not None
    assert (item.is_waiting, item.seconds, record.read().activity) == (True, 0, "waiting")
    record.waiting(since)
    while time.monotonic_ns() < since + 20_000_000:
        pass
    record.waited(time.monotonic_ns() - since)
    item = record.item()
    assert item is not None
    assert not item.is_waiting
    record.end()
    assert record.read().busy_seconds < 0.01


@given(st.integers(0, 1 << 62))
def test_a_quantile_is_at_most_a_quarter_of_an_octave_above_what_was_counted(ns: int) -> None:
    words = memoryview(bytearray(8 * (BUCKETS + 1))).cast("Q")
    count(words, 1, ns)
    shown = quantile_us(words[1:].tolist(), 0.99) * 1000
    assert sum(words[1:]) == 1
    if ns < 1 << 33:
        assert ns <= shown <= max(ns * 1.25 + 1, 1280)
