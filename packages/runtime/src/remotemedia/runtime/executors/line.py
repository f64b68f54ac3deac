"""The parent's end of the socket to a node."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.errors import ProcessSpawnError
from remotemedia.runtime.processes import messages as msg

if TYPE_CHECKING:
    from collections.abc import Callable

    from remotemedia.runtime.executors.base import NodeLaunch

__all__ = ["NodeLine", "give_descriptors", "init_message"]


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
        self._on_message = on_message
        self._decoder = msgspec.msgpack.Decoder(msg.FromNode)
        self._writer: asyncio.StreamWriter | None = None
        self._early: list[msg.ToNode] = []
        self.greeted = False

    async def run(self, init: msg.Init) -> None:
        """Read until the node closes its end.

        Raises:
            ProcessSpawnError: The node's environment does not fit this one, or what it says makes
                no sense.
        """
        reader, self._writer = await asyncio.open_connection(sock=self._sock)
        try:
            for early in self._early:
                self.send(early)
            while True:
                try:
                    (size,) = msg.FRAME_HEAD.unpack(await reader.readexactly(4))
                    if size > msg.MAX_FRAME:
                        raise ProcessSpawnError(self._node_id, f"it sent a frame of {size} bytes")
                    message = self._decoder.decode(await reader.readexactly(size))
                except (asyncio.IncompleteReadError, ConnectionError):
                    return
                except msgspec.MsgspecError as error:
                    text = f"it sent a message that makes no sense: {error}"
                    raise ProcessSpawnError(self._node_id, text) from error
                if isinstance(message, msg.Hello):
                    self._greet(message, init)
                self._on_message(message)
        finally:
            self._writer.close()

    def _greet(self, hello: msg.Hello, init: msg.Init) -> None:
        clash = msg.Versions.here().clash(hello.versions)
        if clash:
            text = f"versions don't fit: {clash}; install the same ones in both environments"
            raise ProcessSpawnError(self._node_id, text)
        if not self.greeted:
            self.greeted = True
            self.send(init)

    def send(self, message: msg.ToNode) -> None:
        """Send, unless the node is gone."""
        if self._writer is None:
            self._early.append(message)
        elif not self._writer.is_closing():
            self._writer.write(msg.frame(message))
