"""Writer: one service that an output port writes to, and the consumers that it reaches."""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any

from remotemedia.core import wire
from remotemedia.core.errors import LoanError
from remotemedia.runtime.channels.pages import COUNTED_BYTES, Pages
from remotemedia.runtime.channels.space import NoMemoryLeft, Space, write

if TYPE_CHECKING:
    from remotemedia.core.wire import Message
    from remotemedia.runtime.channels.bell import Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.plan import Channel, Link

__all__ = ["Consumer", "Writer"]


class Consumer:
    """One consumer, as its producer sees it.

    Attributes:
        link: The edge to it.
        record: Its counters.
        is_counted: It never loses anything: it gets a message only when it has room.
    """

    def __init__(self, link: Link, max_bytes: int, ledger: Ledger, bells: Bells) -> None:
        self.link = link
        self.record = ledger.record(link.index)
        self.is_counted = link.policy in ("block", "error")
        self._bells, self._max_bytes, self._capacity = bells, max_bytes, link.capacity
        self._sent = self._sent_bytes = 0

    def has_room(self, nbytes: int) -> bool:
        """Say whether a message of this size may be sent now."""
        record = self.record
        if self._sent - record.taken >= self._capacity:
            return False
        in_flight = self._sent_bytes - record.returned_bytes
        return in_flight + nbytes <= self._max_bytes or in_flight == 0

    def put(self, nbytes: int) -> None:
        """Note that a message of this size was sent, and wake the consumer."""
        self._sent += 1
        self._sent_bytes += nbytes
        self.record.put(self._sent, self._sent_bytes)
        self.ring()

    def ring(self) -> None:
        """Wake the consumer."""
        self._bells.ring(self.link.bell)


class Writer:
    """One service of an output port.

    Args:
        space: This process's access to iceoryx2.
        channel: The service, and its consumers.
        ledger: The session's counters.
        bells: The session's bells.

    Attributes:
        sequence: Number of the next message.
    """

    def __init__(self, space: Space, channel: Channel, ledger: Ledger, bells: Bells) -> None:
        self.channel = channel
        self.max_bytes = channel.max_bytes
        self.consumers = [Consumer(link, self.max_bytes, ledger, bells) for link in channel.links]
        self.sequence = 0
        self._skips = channel.links[0].policy == "drop_newest"
        publisher = space.publisher(channel)
        # The public method checks its argument's generic type at each call, which costs as much
        # as the loan itself.
        self._loan = getattr(publisher, "__loan_slice_uninit")
        self._pages = Pages(self._loan, channel.slots, channel.max_bytes)

    def take(self, nbytes: int) -> Any:  # noqa: ANN401 - iceoryx2 has no types
        """Loan memory: a sample that `publish` sends, or that is given back when dropped.

        Raises:
            LoanError: Too many samples are out.
        """
        try:
            sample = self._loan(nbytes)
        except NoMemoryLeft as error:
            raise LoanError(
                f"output {self.channel.links[0].producer!r} has no memory left ({error})"
            ) from error
        if nbytes >= COUNTED_BYTES or self._pages.crowded:
            self._pages.touch(sample.payload_ptr, nbytes)
        return sample

    def admits(self, nbytes: int) -> bool:
        """Say whether a message is to be sent; else it is counted as dropped for want of room."""
        if self._skips and not self.consumers[0].has_room(nbytes):
            self.consumers[0].record.skipped()  # alone in its channel: see `Channel`
            return False
        return True

    def send(self, message: Message) -> None:
        """Write a message and send it, unless it is to be dropped for want of room."""
        size = message.size
        if not self.admits(size):
            return
        sample = self.take(size)
        write(sample.payload_ptr, message, message.head(self.sequence, time.monotonic_ns()))
        self.publish(sample, size)

    def publish(self, sample: Any, nbytes: int) -> None:  # noqa: ANN401
        """Send what was taken and written."""
        getattr(sample, "__assume_init")().send()
        self.sequence += 1
        for consumer in self.consumers:
            consumer.put(nbytes)

    def end(self) -> None:
        """Send the end of the stream; every queue has a place for it."""
        message = wire.end_of_stream(self.sequence, time.monotonic_ns())
        sample = self.take(len(message))
        ctypes.memmove(sample.payload_ptr, message, len(message))
        sample.assume_init().send()
        for consumer in self.consumers:
            consumer.ring()
