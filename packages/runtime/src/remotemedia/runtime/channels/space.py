"""Space: this process's access to the runtime's part of iceoryx2."""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any

import iceoryx2 as iox
import numpy as np

from remotemedia.core.loans import MAX_LOANS_OUT
from remotemedia.core.wire import ALIGNMENT
from remotemedia.runtime.channels.plan import MAX_BORROWED
from remotemedia.runtime.forks import left_behind

if TYPE_CHECKING:
    from remotemedia.core.wire import Message
    from remotemedia.runtime.channels.plan import Channel

__all__ = ["LOAN_HEAD", "MAX_LOANS", "Space", "Window", "copy_to", "view_of", "write"]

#: Loans that a node may have out, and the one that a copy is written into.
MAX_LOANS = MAX_LOANS_OUT + 1
#: Where a loan's payload lies: whatever header it will get has to fit before it.
LOAN_HEAD = 512

# Below this many bytes, putting a message together first is faster than writing its parts.
_SMALL = 4096
# Above this many bytes, a copy takes long enough to be worth releasing the GIL.
_MEDIUM = 256 * 1024

# What a slice is allocated for at first, where nothing is known of the messages.
_FIRST_SLICE = 4096


class Window(ctypes.Array[ctypes.c_char]):
    """Memory at an address, which what is made of it keeps alive: its owner is a subclass.

    Larger than any message: a type for each size would cost ten times as much to make as it takes
    to use.
    """

    _type_, _length_ = ctypes.c_char, 1 << 46


#: What iceoryx2 raises when a producer has too many samples out.
NoMemoryLeft: type[Exception] = iox.LoanError


class Block(ctypes.Structure):
    """What slices consist of: with an alignment of 64, iceoryx2 reserves 64 bytes per element."""

    _fields_ = (("data", ctypes.c_uint8 * ALIGNMENT),)


iox.set_log_level(iox.LogLevel.Fatal)


@left_behind
class Space:
    """A node of iceoryx2 under a root and prefix of one runtime.

    Args:
        root: Directory for iceoryx2's management files; exists, and belongs to this user.
        prefix: Prefix of its files in shared memory.
    """

    def __init__(self, root: str, prefix: str) -> None:
        config = iox.config.default()
        config.global_cfg.root_path = iox.Path.new(root)
        config.global_cfg.prefix = iox.FileName.new(prefix)
        self._node = (
            iox.NodeBuilder.new()
            .config(config)
            .signal_handling_mode(iox.SignalHandlingMode.Disabled)
            .create(iox.ServiceType.Ipc)
        )

    def publisher(self, channel: Channel, slice_bytes: int = 0) -> Any:  # noqa: ANN401 - no types
        """Open the channel for writing; slices of up to `slice_bytes` need no new segment."""
        first = max(slice_bytes, _FIRST_SLICE)
        return (
            self._service(channel)
            .publisher_builder()
            .initial_max_slice_len(1 << ((first - 1) // ALIGNMENT).bit_length())
            .allocation_strategy(iox.AllocationStrategy.PowerOfTwo)
            .backpressure_strategy(iox.BackpressureStrategy.DiscardData)
            .max_loaned_samples(MAX_LOANS + channel.slots)
            .create()
        )

    def subscriber(self, channel: Channel, capacity: int) -> Any:  # noqa: ANN401
        """Open the channel for reading; `capacity` messages and the end of the stream fit."""
        return self._service(channel).subscriber_builder().buffer_size(capacity + 1).create()

    def _service(self, channel: Channel) -> Any:  # noqa: ANN401
        return (
            self._node.service_builder(iox.ServiceName.new(channel.service))
            .publish_subscribe(iox.Slice[Block])
            .payload_alignment(iox.Alignment.new(ALIGNMENT))
            .enable_safe_overflow(channel.overflow)
            .history_size(0)
            .subscriber_max_buffer_size(channel.buffer_size)
            .subscriber_max_borrowed_samples(MAX_BORROWED)
            .max_publishers(1)
            .max_subscribers(len(channel.links))
            .max_nodes(len(channel.links) + 2)
            .open_or_create()
        )

    def reclaim(self) -> None:
        """Free what processes that died have left in this space."""
        self._node.try_cleanup_dead_nodes()


def write(address: int, message: Message, sequence: int) -> None:
    """Write a message to an address; large copies release the GIL.

    Going by address saves making arrays of the target, which costs more than a small copy does.

    Args:
        address: Where.
        message: What.
        sequence: Number of the message in its channel.
    """
    if message.size <= _SMALL:
        whole = message.head(sequence, time.monotonic_ns())
        for part, at in message.parts:
            content = part.tobytes() if isinstance(part, np.ndarray) else part
            whole = whole.ljust(message.payload_offset + at, b"\0") + content
        copy_to(address, whole)
        return
    message.write_head(Window.from_address(address), sequence, time.monotonic_ns())
    address += message.payload_offset
    for part, at in message.parts:
        if isinstance(part, np.ndarray):
            if part.flags.c_contiguous and part.nbytes <= _MEDIUM:
                copy_to(address + at, part)
            elif part.flags.c_contiguous:
                source = part.__array_interface__["data"][0]
                ctypes.memmove(address + at, source, part.nbytes)
            else:
                target = view_of(address + at, part.nbytes)
                np.copyto(np.ndarray(part.shape, part.dtype, target), part)
        elif part:
            source = part if isinstance(part, bytes) else bytes(part)
            ctypes.memmove(address + at, source, len(part))


def copy_to(address: int, source: Any) -> None:  # noqa: ANN401 - any buffer
    """Copy a buffer to an address, with the GIL held: a third of what `memmove` costs to call."""
    window: Any = Window.from_address(address)  # Any: mypy fails on the `raw` of a subclass
    window.raw = source


def view_of(address: int, nbytes: int) -> memoryview:
    """Return writable memory; a third of what an array costs to make."""
    return memoryview(Window.from_address(address))[:nbytes]
