"""The baseline: iceoryx2 alone, as its public Python API is used, with a blocking Listener."""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any

import iceoryx2 as iox
import numpy as np

from remotemedia.runtime.bench.pair import End, Side, Transport
from remotemedia.runtime.bench.payload import COPIED, IN_PLACE, blank, read, touch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remotemedia.runtime.bench.payload import Mode

__all__ = ["RawIceoryx2"]

_QUEUE = 100  # as the framework's channel_capacity
_CONNECT_SECS = 10.0


class RawIceoryx2(Transport):
    """Publish-subscribe for the data, an event for each message.

    Args:
        root: A directory for iceoryx2's management files.
        prefix: Prefix of its files in shared memory.
    """

    name = "raw iceoryx2"
    modes = (COPIED, IN_PLACE)

    def __init__(self, root: str, prefix: str) -> None:
        self._root, self._prefix = root, prefix

    def open(self, side: Side) -> End:
        """Open one end, and wait for the other."""
        return _RawEnd(self._root, self._prefix, side)


class _RawEnd(End):
    def __init__(self, root: str, prefix: str, side: Side) -> None:
        iox.set_log_level(iox.LogLevel.Fatal)
        config = iox.config.default()
        config.global_cfg.root_path = iox.Path.new(root)
        config.global_cfg.prefix = iox.FileName.new(prefix)
        self._node = (
            iox.NodeBuilder.new()
            .config(config)
            .signal_handling_mode(iox.SignalHandlingMode.Disabled)
            .create(iox.ServiceType.Ipc)
        )
        other = "far" if side == "near" else "near"
        self._listener = self._event(side).listener_builder().create()
        self._subscriber = self._data(side).subscriber_builder().buffer_size(_QUEUE).create()
        outgoing = self._data(other)
        self._publisher = (
            outgoing.publisher_builder()
            .initial_max_slice_len(4096)
            .allocation_strategy(iox.AllocationStrategy.PowerOfTwo)
            .backpressure_strategy(iox.BackpressureStrategy.DiscardData)
            .create()
        )
        self._wait_for_other(outgoing, other)
        self._source = blank(1)
        self._views: dict[int, Any] = {}

    def _event(self, side: str) -> Any:  # noqa: ANN401 - iceoryx2 has no types
        name = iox.ServiceName.new(f"ring_{side}")
        return self._node.service_builder(name).event().open_or_create()

    def _data(self, side: str) -> Any:  # noqa: ANN401
        return (
            self._node.service_builder(iox.ServiceName.new(f"to_{side}"))
            .publish_subscribe(iox.Slice[ctypes.c_uint8])
            .payload_alignment(iox.Alignment.new(64))
            .enable_safe_overflow(False)  # noqa: FBT003 - the builder's way
            .subscriber_max_buffer_size(_QUEUE)
            .open_or_create()
        )

    def _wait_for_other(self, outgoing: Any, other: str) -> None:  # noqa: ANN401
        event = self._event(other)
        deadline = time.monotonic() + _CONNECT_SECS
        while not (
            event.dynamic_config.number_of_listeners
            and outgoing.dynamic_config.number_of_subscribers
        ):
            if time.monotonic() > deadline:
                raise TimeoutError("the other process of the raw iceoryx2 baseline didn't connect")
            time.sleep(0.01)
        self._notifier = event.notifier_builder().create()

    def send(self, size: int, mode: Mode) -> None:
        """Loan, write, send, notify."""
        sample = self._publisher.loan_slice_uninit(size)
        if mode == COPIED:
            if self._source.shape[0] != size:
                self._source = blank(size)
            ctypes.memmove(sample.payload_ptr, self._source.__array_interface__["data"][0], size)
        else:
            touch(self._view(sample.payload_ptr, size))
        while not sample.assume_init().send():  # it is full, and nobody says when it no longer is
            time.sleep(0)
            sample = self._publisher.loan_slice_uninit(size)
        self._notifier.notify()

    def receive(self) -> None:
        """Sleep on the Listener until there is a message."""
        while True:
            sample = self._subscriber.receive()
            if sample is not None:
                read(self._view(sample.payload_ptr, getattr(sample, "__slice_len")))
                sample.delete()
                return
            self._listener.blocking_wait()

    def _view(self, address: int, size: int) -> NDArray[np.uint8]:
        kind = self._views.get(size)
        if kind is None:
            kind = self._views[size] = ctypes.c_uint8 * size
        return np.frombuffer(kind.from_address(address), np.uint8)
