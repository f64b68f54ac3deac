"""The parent's end of the socket to a node."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.errors import ProcessSpawnError
from remotemedia.runtime.processes import messages as msg

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.executors.base import NodeLaunch

__all__ = ["NodeLine", "Nonsense", "give_descriptors", "init_message"]

_READ_BYTES = 1 << 16


def init_message(
    launch: NodeLaunch, *, source: str = "", script: str = "", more_paths: tuple[str, ...] = ()
) -> msg.Init:
    """Return what tells a node who it is."""
    node = launch.node
    spec = node.type.spec
    return msg.Init(
        node_id=node.id,
        session_id=launch.session_id,
        target=spec.target,
        source=source,
        script=script,
        type_name=spec.name,
        config=node.config,
        config_target=node.type.config_target,
        inputs=tuple(port.name for port in spec.inputs),
        outputs={port.name: port.type for port in spec.outputs},
        paths=node.type.paths,
        more_paths=more_paths,
        arguments=tuple(sys.argv[1:]) if spec.target.startswith("__main__:") else (),
        on_error=node.on_error,
        endpoint=launch.endpoint,
        room=launch.room,
    )


def give_descriptors(sock: socket.socket, launch: NodeLaunch) -> None:
    """Send the session's descriptors: the first thing on the socket, before the node runs."""
    fds = [launch.ledger, *launch.bells]
    head = msg.FRAME_HEAD.pack(len(fds))
    for at in range(0, len(fds), msg.FDS_AT_ONCE):
        socket.send_fds(sock, [head if at == 0 else b"\0"], fds[at : at + msg.FDS_AT_ONCE])


class Nonsense(Exception):
    """A node has said what no node says."""


class NodeLine:
    """Speaks with one node.

    Args:
        node_id: For messages.
        sock: The connected socket; owned from here on.
        on_message: Called with each message of the node.
    """

    def __init__(
        self, node_id: str, sock: socket.socket, on_message: Callable[[msg.FromNode], None]
    ) -> None:
        self._node_id = node_id
        self._sock = sock
        self._sock.setblocking(False)  # noqa: FBT003 - as the standard library has it
        self._on_message = on_message
        self._decoder = msgspec.msgpack.Decoder(msg.FromNode)
        self._outgoing: asyncio.Queue[msg.ToNode] = asyncio.Queue()
        self.greeted = False

    async def run(self, init: msg.Init) -> None:
        """Read until the node closes its end.

        Raises:
            ProcessSpawnError: The node's environment does not fit this one.
            Nonsense: What it says makes no sense.
        """
        loop = asyncio.get_running_loop()
        # Apart from reading: a node that can't be told anything any more may have said something.
        writing = loop.create_task(self._write())
        buffer = bytearray()
        try:
            while data := await loop.sock_recv(self._sock, _READ_BYTES):
                buffer += data
                while (frame := self._frame(buffer)) is not None:
                    self._take(frame, init)
                await asyncio.sleep(0)  # a node that says a lot is not the only one
        except ConnectionError:
            return
        finally:
            writing.cancel()
            await asyncio.wait([writing])
            self._sock.close()

    def send(self, message: msg.ToNode) -> None:
        """Send, unless the node is gone."""
        self._outgoing.put_nowait(message)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while True:
                await loop.sock_sendall(self._sock, msg.frame(await self._outgoing.get()))

    def _frame(self, buffer: bytearray) -> bytes | None:
        """Take the first frame's body out of what was read, if it is complete."""
        head = msg.FRAME_HEAD.size
        if len(buffer) < head:
            return None
        (size,) = msg.FRAME_HEAD.unpack_from(buffer)
        if size > msg.MAX_FRAME:
            raise Nonsense(f"a frame of {size} bytes")
        if len(buffer) < head + size:
            return None
        body = bytes(buffer[head : head + size])
        del buffer[: head + size]
        return body

    def _take(self, frame: bytes, init: msg.Init) -> None:
        try:
            message = self._decoder.decode(frame)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Nonsense(f"a message that makes no sense: {error}") from error
        if isinstance(message, msg.Hello):
            self._greet(message, init)
        self._on_message(message)

    def _greet(self, hello: msg.Hello, init: msg.Init) -> None:
        clash = msg.Versions.here().clash(hello.versions)
        if clash:
            text = f"versions don't fit: {clash}; install the same ones in both environments"
            raise ProcessSpawnError(self._node_id, text)
        if not self.greeted:
            self.greeted = True
            self.send(init)
