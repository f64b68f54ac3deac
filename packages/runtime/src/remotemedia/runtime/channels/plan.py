"""What connects to what: the plan of a session's channels, as it travels to each process."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "MAX_BORROWED",
    "MAX_CAPACITY",
    "POLICIES",
    "Channel",
    "Endpoint",
    "InletPlan",
    "Link",
    "OutletPlan",
    "Policy",
]

Policy = Literal["block", "drop_oldest", "drop_newest", "error"]
POLICIES: tuple[Policy, ...] = ("block", "drop_oldest", "drop_newest", "error")
#: Messages that a consumer may hold in shared memory at once; beyond, it gets private copies.
MAX_BORROWED = 64
#: More messages than this can't wait in a channel: iceoryx2 keeps a place for each.
MAX_CAPACITY = 10_000


class Link(msgspec.Struct, frozen=True):
    """One consumer of a channel.

    Attributes:
        index: Its record in the ledger.
        name: Its name for people, as `asr_to_s2s`.
        producer: Output port, as `asr.text`.
        consumer: Input port, as `s2s.input`.
        policy: What happens when the consumer has no room.
        capacity: How many messages may wait.
        bell: Which of the session's bells wakes the consumer.
        feedback: It closes a cycle, so the consumer's input can end before it.
    """

    index: int
    name: str
    producer: str
    consumer: str
    policy: Policy
    capacity: int
    bell: int
    feedback: bool = False


class Channel(msgspec.Struct, frozen=True):
    """One iceoryx2 service: one writer, and every consumer that takes the same kind of delivery.

    `block` and `error` edges of a port share one, and so do `drop_oldest` edges of one capacity; a
    `drop_newest` edge has its own, because a message can't be withheld from a single subscriber.

    Attributes:
        service: The service's name.
        overflow: A new message pushes out the oldest one (`drop_oldest`); else a full consumer is
            waited for or skipped.
        links: The consumers.
        max_bytes: What may be in flight, in bytes (`shm_segment_size`).
        message_bytes: The payload of a message for which memory is prepared before the session
            starts.
    """

    service: str
    overflow: bool
    links: tuple[Link, ...]
    max_bytes: int
    message_bytes: int = 0

    @property
    def buffer_size(self) -> int:
        """Messages that a subscriber's queue holds: the capacity, and the end of the stream."""
        return max(link.capacity for link in self.links) + 1

    @property
    def message_limit(self) -> int:
        """Bytes that one message may take: it fits beside what consumers hold."""
        return self.max_bytes // 2

    @property
    def held_bytes(self) -> int:
        """Bytes that each consumer may hold, of what it has taken."""
        return self.max_bytes // 2 // len(self.links)

    @property
    def in_flight_bytes(self) -> int:
        """Bytes that may wait for a consumer and be held by it, beside what others hold."""
        return self.max_bytes - (len(self.links) - 1) * self.held_bytes

    @property
    def slots(self) -> int:
        """Messages that consumers can have at once: waiting, and held."""
        return len(self.links) * (self.buffer_size + MAX_BORROWED)


class OutletPlan(msgspec.Struct, frozen=True):
    """An output port of a process.

    Attributes:
        port: Name of the port.
        room: The bell that consumers ring when they have taken something.
        channels: One for each kind of delivery.
    """

    port: str
    room: int
    channels: tuple[Channel, ...]


class InletPlan(msgspec.Struct, frozen=True):
    """One incoming edge of a process.

    Attributes:
        port: The input port it arrives at.
        type: The only type that may arrive, or `any`.
        link: This consumer.
        channel: The channel it belongs to.
        room: The bell that wakes the producer when it waits for room.
    """

    port: str
    type: str
    link: Link
    channel: Channel
    room: int


class Endpoint(msgspec.Struct, frozen=True):
    """All that one process has to open.

    Attributes:
        root: The runtime's directory.
        space: The directory of its iceoryx2.
        prefix: Prefix of its files in shared memory.
        bell: The bell that wakes this process when data has arrived.
        inlets: Its incoming edges.
        outlets: Its output ports.
        spin_us: How long it looks for more data before it sleeps, in microseconds.
        record: A node's record in the ledger; None for the application.
    """

    root: str
    space: str
    prefix: str
    bell: int
    inlets: tuple[InletPlan, ...]
    outlets: tuple[OutletPlan, ...]
    spin_us: int = 0
    record: int | None = None
