"""The ledger: one page of counters that all processes of a session share.

Each edge has a record. Its producer writes one half and its consumer the other, so no counter has
two writers. Each node has one too, which it writes alone (see `NodeRecord`). The ledger holds the
credits that make `block` lossless, and it is all that statistics need: they are read without asking
or disturbing anyone. It is an anonymous memfd, so nothing is left behind, however processes end.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import msgspec

from remotemedia.runtime.channels import histogram
from remotemedia.runtime.channels.node_record import NodeRecord

if TYPE_CHECKING:
    from remotemedia.runtime.channels.plan import Link

__all__ = ["ChannelStats", "Ledger", "Record"]

_WORDS = 160  # u64 words of a record; the two halves lie on different cache lines
_SENT, _SENT_BYTES, _BLOCKED_NS, _WAITING_SINCE, _SKIPPED, _PUSHED_OUT = 0, 1, 2, 3, 4, 5
_RECEIVED, _RETURNED_BYTES, _DROPPED, _RECEIVED_BYTES = 16, 17, 18, 19
_LATENCY = 32
_LOOKS = 10


class ChannelStats(msgspec.Struct, frozen=True):
    """What has happened on one edge so far.

    Attributes:
        message_count: Messages that the consumer has received.
        bytes_transferred: Bytes of shared memory that they took, headers included.
        sent: Messages that the producer has sent.
        current_occupancy: Messages that wait to be received; with `drop_oldest` it may be one more
            than the capacity, the one that goes next.
        capacity: How many may wait.
        dropped: Messages that were dropped by the edge's policy.
        blocked_seconds: How long the producer has waited for room in all.
        latency_p50_us: Median time from being written to being taken, in microseconds.
        latency_p99_us: The same for the slowest of a hundred.
    """

    message_count: int
    bytes_transferred: int
    sent: int
    current_occupancy: int
    capacity: int
    dropped: int
    blocked_seconds: float
    latency_p50_us: float
    latency_p99_us: float


class Ledger:
    """The shared counters of a session.

    Args:
        fd: A memfd made by `create`; owned from here on. `close` closes it; the mapping stays.
        access: `mmap.ACCESS_READ` for whoever only watches.
    """

    #: How the kernel shows it in `/proc`.
    NAME = "remotemedia-ledger"
    #: Another number for each change of what its words mean.
    LAYOUT = 1

    def __init__(self, fd: int, access: int = mmap.ACCESS_WRITE) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size, access=access)
        self.words: memoryview[int] = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls, records: int) -> Ledger:
        """Make a ledger with room for this many edges and nodes together."""
        fd = os.memfd_create(cls.NAME)
        os.ftruncate(fd, max(records, 1) * _WORDS * 8)
        return cls(fd)

    def record(self, index: int) -> Record:
        """Return the record of the edge with this index."""
        return Record(self.words[index * _WORDS : (index + 1) * _WORDS])

    def node(self, index: int) -> NodeRecord:
        """Return the record of the node with this index; edges have other ones."""
        return NodeRecord(self.words[index * _WORDS : (index + 1) * _WORDS])

    def close(self) -> None:
        """Close the descriptor; the mapping goes when the last record does."""
        os.close(self.fd)


class Record:
    """The counters of one edge, each with one writer."""

    __slots__ = ("_words",)

    def __init__(self, words: memoryview) -> None:
        self._words = words

    # ---- the producer's half

    def put(self, sent: int, sent_bytes: int) -> None:
        """Note that `sent` messages of `sent_bytes` in all have been sent."""
        self._words[_SENT] = sent
        self._words[_SENT_BYTES] = sent_bytes

    def waiting(self, since_ns: int) -> None:
        """Note that the producer waits for room; 0 means that it does not."""
        self._words[_WAITING_SINCE] = since_ns

    def blocked(self, ns: int) -> None:
        """Add to the time that the producer has waited."""
        self._words[_BLOCKED_NS] += ns

    def skipped(self) -> None:
        """Count a message that was not sent because the consumer had no room."""
        self._words[_SKIPPED] += 1

    def pushed_out_before(self, sequence: int) -> None:
        """Note that every message before this one has been taken, or pushed out."""
        self._words[_PUSHED_OUT] = sequence

    # ---- the consumer's half

    def holds(self, received_bytes: int) -> None:
        """Note the bytes of all that was taken, before the last message counts as received."""
        self._words[_RECEIVED_BYTES] = received_bytes

    def took(self, received: int, received_bytes: int, latency_ns: int) -> bool:
        """Note that `received` messages of `received_bytes` in all have been taken.

        Args:
            received: How many messages.
            received_bytes: What they took.
            latency_ns: How long the last one was on its way.

        Returns:
            Whether the producer waits for room.
        """
        words = self._words
        words[_RECEIVED] = received
        words[_RECEIVED_BYTES] = received_bytes
        histogram.count(words, _LATENCY, latency_ns)
        return words[_WAITING_SINCE] != 0

    def dropped(self, count: int) -> None:
        """Add to the messages that were sent and never arrived."""
        self._words[_DROPPED] += count

    def gave_back(self, nbytes: int) -> bool:
        """Note the bytes of shared memory that the consumer no longer holds, in all.

        Returns:
            Whether the producer waits for room.
        """
        words = self._words
        words[_RETURNED_BYTES] = nbytes
        return words[_WAITING_SINCE] != 0

    # ---- for both, and for whoever watches

    @property
    def is_waiting(self) -> bool:
        """Whether the producer waits for room."""
        return self._words[_WAITING_SINCE] != 0

    @property
    def waiting_since(self) -> int:
        """Since when it does, in monotonic nanoseconds; 0 if it does not."""
        return self._words[_WAITING_SINCE]

    def room(self) -> tuple[int, int]:
        """Return the messages that no longer occupy the queue, and the bytes not held any more."""
        words = self._words
        return words[_RECEIVED] + words[_DROPPED], words[_RETURNED_BYTES]

    @property
    def taken(self) -> int:
        """Messages that no longer occupy the queue: received, or pushed out of it."""
        return self._words[_RECEIVED] + self._words[_DROPPED]

    @property
    def sent(self) -> int:
        """Messages that were sent."""
        return self._words[_SENT]

    @property
    def received(self) -> int:
        """Messages that were received."""
        return self._words[_RECEIVED]

    def occupancy(self, capacity: int) -> int:
        """Return how many messages wait to be received, of those that the link has room for."""
        gone = max(self.taken, self._words[_PUSHED_OUT])
        return min(max(self._words[_SENT] - gone, 0), capacity)

    @property
    def held_bytes(self) -> int:
        """Bytes of shared memory that the consumer has taken and still holds."""
        return self._words[_RECEIVED_BYTES] - self._words[_RETURNED_BYTES]

    def stats(self, link: Link, now_ns: int) -> ChannelStats:
        """Return what has happened so far."""
        words = self._words
        since = words[_WAITING_SINCE]
        blocked = words[_BLOCKED_NS] + (max(now_ns - since, 0) if since else 0)
        for _ in range(_LOOKS):  # both sides go on meanwhile: what is read has to be of one moment
            sent, pushed_out = words[_SENT], words[_PUSHED_OUT]
            received, gaps = words[_RECEIVED], words[_DROPPED]
            if (sent, received) == (words[_SENT], words[_RECEIVED]):
                break
        # What was pushed out is known of before the consumer finds it missing.
        dropped = max(gaps, pushed_out - received)
        latency = words[_LATENCY : _LATENCY + histogram.BUCKETS].tolist()
        return ChannelStats(
            message_count=received,
            bytes_transferred=words[_RECEIVED_BYTES],
            sent=sent,
            current_occupancy=max(sent - received - dropped, 0),
            capacity=link.capacity,
            dropped=dropped + words[_SKIPPED],
            blocked_seconds=blocked / 1e9,
            latency_p50_us=histogram.quantile_us(latency, 0.5),
            latency_p99_us=histogram.quantile_us(latency, 0.99),
        )
