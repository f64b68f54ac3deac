"""pyzmq: two sockets of type PAIR over a Unix socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from remotemedia.runtime.bench.pair import End, Side, Transport
from remotemedia.runtime.bench.payload import COPIED, blank, read

if TYPE_CHECKING:
    from pathlib import Path

    from remotemedia.runtime.bench.payload import Mode

__all__ = ["Pyzmq"]


class Pyzmq(Transport):
    """ZeroMQ over ipc.

    Args:
        directory: For the socket.
    """

    name = "pyzmq"
    modes = (COPIED,)

    def __init__(self, directory: Path) -> None:
        self._address = f"ipc://{directory}/zmq"

    def open(self, side: Side) -> End:
        """Open one end."""
        return _ZmqEnd(self._address, side)


class _ZmqEnd(End):
    def __init__(self, address: str, side: Side) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.SNDHWM, 100)
        self._socket.setsockopt(zmq.RCVHWM, 100)
        (self._socket.bind if side == "near" else self._socket.connect)(address)
        self._source = blank(1)

    def send(self, size: int, mode: Mode) -> None:
        """Send a copy of an array."""
        del mode
        if self._source.shape[0] != size:
            self._source = blank(size)
        self._socket.send(self._source)

    def receive(self) -> None:
        """Receive without a further copy."""
        read(np.frombuffer(self._socket.recv(copy=False).buffer, np.uint8))

    def close(self) -> None:
        """Close the socket; drop what is in it."""
        self._context.destroy(linger=0)
