"""Writer: one service that an output port writes to, and the consumers that it reaches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from remotemedia.core import wire
from remotemedia.core.errors import ChannelFullError, LoanError
from remotemedia.core.wire import ALIGNMENT
from remotemedia.runtime.channels.consumer import Consumer
from remotemedia.runtime.channels.pages import COUNTED_BYTES, Pages
from remotemedia.runtime.channels.prefault import populate_for_writing
from remotemedia.runtime.channels.ring import Ring
from remotemedia.runtime.channels.space import (
    LOAN_HEAD,
    NoMemoryLeft,
    Space,
    copy_to,
    write,
)

if TYPE_CHECKING:
    from remotemedia.core.wire import Message
    from remotemedia.runtime.channels.bell import Bells
    from remotemedia.runtime.channels.ledger import Ledger
    from remotemedia.runtime.channels.plan import Channel

__all__ = ["Writer"]

# How many messages memory is prepared for, and which part of what the channel may hold: enough
# that a sender finds some although its receivers have not returned the last ones yet.
_PREPARED_MESSAGES, _PREPARED_PART = 4, 8


class Writer:
    """One service of an output port.

    Args:
        space: This process's access to iceoryx2.
        channel: The service, and its consumers.
        ledger: The session's counters.
        bells: The session's bells.

    Attributes:
        channel: The service.
        consumers: Those that it reaches.
        sequence: Number of the next message.
        may_refuse: Whether it has to be asked before each message, by `admits`.
    """

    def __init__(self, space: Space, channel: Channel, ledger: Ledger, bells: Bells) -> None:
        self.channel = channel
        self.consumers = [
            Consumer(link, channel.in_flight_bytes, ledger, bells) for link in channel.links
        ]
        self.sequence = 0
        self._skips = channel.links[0].policy == "drop_newest"
        self._ring = (
            Ring(channel.buffer_size, channel.max_bytes, self.consumers)
            if channel.overflow
            else None
        )
        self.may_refuse = self._skips or self._ring is not None
        usual = LOAN_HEAD + channel.message_bytes
        self._prepared_bytes = usual if usual <= channel.message_limit else wire.PREFIX_SIZE
        publisher = space.publisher(channel, self._prepared_bytes)
        # The public method checks its argument's generic type at each call, which costs as much
        # as the loan itself.
        self._loan = getattr(publisher, "__loan_slice_uninit")
        self._pages = Pages(self._loan, channel.slots, channel.max_bytes)

    def prepare(self) -> None:
        """Provide memory for the first messages, and make it known to every consumer.

        Raises:
            ChannelFullError: The machine has none.
        """
        size = self._prepared_bytes
        room = min(link.capacity for link in self.channel.links) + 1
        count = min(_PREPARED_MESSAGES, room, self.channel.max_bytes // _PREPARED_PART // size)
        samples = [self.take(size) for _ in range(max(count, 1))]
        try:
            for sample in samples:
                populate_for_writing(sample.payload_ptr, size)
        except OSError as error:
            link = self.channel.links[0]
            raise ChannelFullError(
                link.name,
                f"no {size} bytes more",
                link.policy,
                "the size of /dev/shm",
                "shared memory is exhausted",
            ) from error
        while samples:
            self._send_filler(samples.pop(), len(samples))
        for consumer in self.consumers:
            consumer.ring()

    def take(self, nbytes: int) -> Any:  # noqa: ANN401 - iceoryx2 has no types
        """Loan memory: a sample that `publish` sends, or that is given back when dropped.

        Raises:
            LoanError: Too many samples are out.
        """
        pages, is_counted = self._pages, nbytes >= COUNTED_BYTES
        if is_counted and nbytes > pages.largest:
            pages.outgrow(nbytes)
        try:
            sample = self._loan((nbytes + ALIGNMENT - 1) // ALIGNMENT)
        except NoMemoryLeft as error:
            raise LoanError(
                f"output {self.channel.links[0].producer!r} has no memory left ({error})"
            ) from error
        if is_counted or pages.crowded:
            pages.touch(sample.payload_ptr, nbytes)
        return sample

    def admits(self, nbytes: int) -> bool:
        """Say whether a message of this size is to be sent, and push out what it has no room with.

        iceoryx2 pushes out by number, not by size: fillers, which need no memory to speak of, take
        the places that are left in the queues.
        """
        if self._skips and not self.consumers[0].has_room(nbytes):
            self.consumers[0].record.skipped()  # alone in its channel: see `Channel`
            return False
        if self._ring is not None:
            for _ in range(self._ring.fillers_for(nbytes)):
                self._send_filler(self.take(wire.PREFIX_SIZE), 0)
        return True

    def send(self, message: Message) -> None:
        """Write a message and send it, unless it is to be dropped for want of room."""
        size = message.size
        if self.may_refuse and not self.admits(size):
            return
        sample = self.take(size)
        write(sample.payload_ptr, message, self.sequence)
        self.publish(sample, size)

    def publish(self, sample: Any, nbytes: int) -> None:  # noqa: ANN401
        """Send what was taken and written."""
        getattr(sample, "__assume_init")().send()
        nbytes = (nbytes + ALIGNMENT - 1) & -ALIGNMENT  # as its receivers see it
        if self._ring is not None:
            self._ring.pushed(self.sequence, nbytes)
        self.sequence += 1
        for consumer in self.consumers:
            consumer.put(nbytes)

    def end(self) -> None:
        """Send the end of the stream; every queue has a place for it."""
        message = wire.end_of_stream(self.sequence, time.monotonic_ns())
        sample = self.take(len(message))
        copy_to(sample.payload_ptr, message)
        sample.assume_init().send()
        for consumer in self.consumers:
            consumer.ring()

    def _send_filler(self, sample: Any, more: int) -> None:  # noqa: ANN401
        copy_to(sample.payload_ptr, wire.filler(more, time.monotonic_ns()))
        sample.assume_init().send()
        if self._ring is not None:
            self._ring.pushed_filler()
