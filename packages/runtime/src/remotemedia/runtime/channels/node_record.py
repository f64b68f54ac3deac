"""NodeRecord: what a node tells of its work in the ledger, for whoever watches.

The node's process writes it, but for its state, which is the application's word. It costs a few
stores for each item, and no message: what a node is doing can be read also while it computes, when
it hangs, and after it has died.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.channels import histogram

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["NodeRecord", "NodeWork", "WorkItem"]

_IN, _OUT, _SKIPPED, _BUSY_NS = 0, 1, 2, 3
_LINK, _SEQUENCE, _START, _WAITING_SINCE = 4, 5, 6, 7
_STATE, _PID, _SINCE = 16, 17, 18  # another writer, another cache line
_PROCESSING = 32
_NO_LINK = (1 << 64) - 1
_LOOKS = 10


class WorkItem(msgspec.Struct, frozen=True):
    """What a node has in work.

    Attributes:
        number: How many items the node had begun with this one.
        link: Index of the edge that it came by; None for `finish`, after all input.
        sequence: Its number on that edge.
        seconds: How long it has been in work, without the time that the node waited for room to
            send what came of it.
        is_waiting: The node waits for room now.
    """

    number: int
    link: int | None
    sequence: int
    seconds: float
    is_waiting: bool

    @property
    def identity(self) -> tuple[int, int | None]:
        """What tells it from all other items of the node."""
        return self.number, self.link


class NodeWork(msgspec.Struct, frozen=True):
    """What a node has done so far.

    Attributes:
        items_in: Items that it has begun.
        items_out: Items that it has sent.
        items_skipped: Items that it gave up because `process` raised.
        busy_seconds: Time in items that are done, without waiting for room.
        processing_p50_us: Median time for an item, in microseconds.
        processing_p99_us: The same for the slowest of a hundred.
        item: What it has in work, if anything.
    """

    items_in: int
    items_out: int
    items_skipped: int
    busy_seconds: float
    processing_p50_us: float
    processing_p99_us: float
    item: WorkItem | None

    @property
    def activity(self) -> Literal["idle", "processing", "waiting"]:
        """`idle` without an item, `waiting` while it has no room to send; else `processing`."""
        if self.item is None:
            return "idle"
        return "waiting" if self.item.is_waiting else "processing"


class NodeRecord:
    """The counters of one node."""

    __slots__ = ("_words",)

    def __init__(self, words: memoryview) -> None:
        self._words = words

    # ---- the node

    def begin(self, link: int, sequence: int) -> None:
        """Note that an item is in work."""
        words = self._words
        words[_LINK] = link
        words[_SEQUENCE] = sequence
        words[_IN] += 1
        words[_START] = time.monotonic_ns()  # last: whoever sees it sees all of the item

    def begin_finish(self) -> None:
        """Note that the node finishes: its input has ended."""
        self._words[_LINK] = _NO_LINK
        self._words[_START] = time.monotonic_ns()

    def end(self) -> None:
        """Note that the item is done."""
        words = self._words
        ns = time.monotonic_ns() - words[_START]
        words[_START] = 0
        words[_BUSY_NS] += ns
        histogram.count(words, _PROCESSING, ns)

    def end_finish(self) -> None:
        """Note that nothing more will come; what finishing took is not an item's time."""
        self._words[_START] = 0

    def skip(self) -> None:
        """Count the item in work as given up."""
        self._words[_SKIPPED] += 1

    def sent(self) -> None:
        """Count an item that was sent."""
        self._words[_OUT] += 1

    def waiting(self, since_ns: int) -> None:
        """Note that the node waits for room to send."""
        self._words[_WAITING_SINCE] = since_ns

    def waited(self, ns: int) -> None:
        """Note that it has room again; the item counts as if it had begun that much later."""
        words = self._words
        if words[_START]:
            words[_START] += ns
        words[_WAITING_SINCE] = 0

    # ---- the application, which alone knows of the process

    def put_place(self, state: int, pid: int, since_ns: int) -> None:
        """Note the node's state by number, its process (0 for none), and since when."""
        words = self._words
        words[_STATE], words[_PID], words[_SINCE] = state, pid, since_ns

    # ---- whoever watches

    def place(self) -> tuple[int, int, int]:
        """Return what `put_place` has noted."""
        words = self._words
        return words[_STATE], words[_PID], words[_SINCE]

    def item(self, until_ns: int | None = None) -> WorkItem | None:
        """Return what is in work.

        Args:
            until_ns: When the node ended, where it did; else it goes on.
        """
        words = self._words
        for _ in range(_LOOKS):  # the node goes on meanwhile: what is read has to be of one item
            start, number = words[_START], words[_IN]
            link, sequence, waiting = words[_LINK], words[_SEQUENCE], words[_WAITING_SINCE]
            if words[_START] == start:
                break
        if not start:
            return None
        until = waiting or until_ns or time.monotonic_ns()
        return WorkItem(
            number,
            None if link == _NO_LINK else link,
            sequence,
            max(until - start, 0) / 1e9,
            waiting != 0,
        )

    def read(self) -> NodeWork:
        """Return what was done so far."""
        words = self._words
        item = self.item()
        took = words[_PROCESSING : _PROCESSING + histogram.BUCKETS].tolist()
        return NodeWork(
            items_in=words[_IN],
            items_out=words[_OUT],
            items_skipped=words[_SKIPPED],
            busy_seconds=words[_BUSY_NS] / 1e9,
            processing_p50_us=histogram.quantile_us(took, 0.5),
            processing_p99_us=histogram.quantile_us(took, 0.99),
            item=item,
        )
