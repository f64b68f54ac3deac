"""The node's end of the socket to its parent."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

import msgspec

from remotemedia.runtime.processes import messages as msg

__all__ = ["ControlLine"]


class ControlLine:
    """The node's end of the socket to its parent.

    Args:
        sock: A connected stream socket; owned from here on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._send_lock = threading.Lock()
        self._decoder = msgspec.msgpack.Decoder(msg.ToNode)

    def send(self, message: msg.FromNode) -> None:
        """Send, or do nothing if the parent is gone: then the listening thread ends the node."""
        with self._send_lock, contextlib.suppress(OSError):
            self._sock.sendall(msg.frame(message))

    def receive(self) -> msg.ToNode | None:
        """Return the next message, or None when the parent is gone, or says what none says."""
        try:
            head = self._exactly(msg.FRAME_HEAD.size)
            message: msg.ToNode = self._decoder.decode(self._exactly(*msg.FRAME_HEAD.unpack(head)))
        except (OSError, EOFError):
            return None
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            print(f"the application said what no application says: {error}", file=sys.stderr)  # noqa: T201 - into its log
            return None
        return message

    def receive_fds(self) -> list[int]:
        """Return the session's descriptors, which the parent sends before everything else."""
        head, fds, _flags, _address = socket.recv_fds(
            self._sock, msg.FRAME_HEAD.size, msg.FDS_AT_ONCE
        )
        if len(head) < msg.FRAME_HEAD.size:
            raise EOFError("the parent has closed the connection")
        (count,) = msg.FRAME_HEAD.unpack(head)
        while len(fds) < count:
            data, more, _flags, _address = socket.recv_fds(self._sock, 1, msg.FDS_AT_ONCE)
            if not data:
                raise EOFError("the parent has closed the connection")
            fds += more
        return fds

    def close(self) -> None:
        """Close the socket; wakes a thread that is in `receive`."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _exactly(self, count: int) -> bytes:
        if count > msg.MAX_FRAME:
            raise ValueError(f"a frame of {count} bytes")
        parts = bytearray()
        while len(parts) < count:
            part = self._sock.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)
