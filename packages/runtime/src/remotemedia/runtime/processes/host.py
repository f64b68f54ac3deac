"""NodeHost: runs one node, in a process of its own or in a thread of the application.

The node works in the thread that calls `run`. A second thread listens to the parent, so that the
process answers while the node computes, and ends at once when the parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import inspect
import os
import socket
import tempfile
import threading
import time
import traceback
from types import GeneratorType, MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.runtime.channels.bell import Bell, Bells, BlockingBell, LoopBell
from remotemedia.runtime.channels.inlet import Inlet
from remotemedia.runtime.channels.ledger import Ledger
from remotemedia.runtime.channels.outlet import Outlet
from remotemedia.runtime.channels.space import Space
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.loading import load_node_class, load_object

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from remotemedia.core.node import MultiprocessNode
    from remotemedia.core.plugin import NodeSpec

__all__ = ["ControlLine", "NodeHost"]


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
        """Return the next message, or None when the parent is gone."""
        try:
            head = self._exactly(msg.FRAME_HEAD.size)
            return self._decoder.decode(self._exactly(*msg.FRAME_HEAD.unpack(head)))
        except (OSError, EOFError):
            return None

    def receive_fds(self) -> list[int]:
        """Return the session's descriptors, which the parent sends before everything else."""
        head, fds, _flags, _address = socket.recv_fds(
            self._sock, msg.FRAME_HEAD.size, msg.FDS_AT_ONCE
        )
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
            raise EOFError(f"a frame of {count} bytes")
        parts = bytearray()
        while len(parts) < count:
            part = self._sock.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


class _Stop(BaseException):  # noqa: N818 - not an error
    """Unwinds the node's loop when the session stops."""


class NodeHost:
    """Runs one node from `Init` to `Stopped`.

    Args:
        line: The connection to the parent.
        on_parent_gone: Called, in the listening thread, when the connection breaks.
    """

    def __init__(self, line: ControlLine, on_parent_gone: Callable[[], None]) -> None:
        self._line = line
        self._on_parent_gone = on_parent_gone
        self._started = threading.Event()
        self._stopping = threading.Event()
        self._bells: list[Bell] = []
        self._stage = self._item = ""
        self._init: msg.Init
        self._node: MultiprocessNode
        self._inlets: list[Inlet] = []
        self._outlets: dict[str, Outlet] = {}
        self._idle_loop: asyncio.AbstractEventLoop | None = None
        self._spin_ns = 0

    # ---- the life of a node

    def run(self) -> int:
        """Run the node to its end; returns the exit code that a process of its own should have."""
        ledger_fd, *bell_fds = self._line.receive_fds()
        ledger, bells = Ledger(ledger_fd), Bells(bell_fds)
        ledger.close()
        self._line.send(msg.Hello(msg.Versions.here(), os.getpid()))
        first = self._line.receive()
        if not isinstance(first, msg.Init):
            self._on_parent_gone()
            return 1
        self._init = first
        listener = threading.Thread(target=self._listen, name="remotemedia-control", daemon=True)
        listener.start()
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            code = self._live(loop, ledger, bells)
        except SystemExit as exit_:  # the node's own wish, or SIGTERM: an exit, not an error
            return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        finally:
            self._inlets.clear()
            self._outlets.clear()
            _close(loop)
        self._line.send(msg.Stopped())
        return code

    def _live(self, loop: asyncio.AbstractEventLoop, ledger: Ledger, bells: Bells) -> int:
        """Load the node and work until the session stops; whatever happens, it cleans up."""
        code = 1
        with self._reporting():
            node = self._load()
            try:
                with self._reporting():
                    self._serve(loop, ledger, bells)
                    code = 0
            finally:
                self._stage, self._item = "cleanup", ""
                with self._reporting():
                    self._await(loop, node.cleanup)
        return code

    def _load(self) -> MultiprocessNode:
        self._stage = "import"
        self._progress("loading", 0.0, "importing")
        init = self._init
        cls = load_node_class(
            init.target,
            init.source,
            init.type_name,
            init.paths,
            init.more_paths,
            init.arguments,
        )
        node = self._node = cls.__new__(cls)
        node.node_id, node.session_id = init.node_id, init.session_id
        node.config = _config(cls, init)
        node._context = self  # noqa: SLF001 - the runtime's side of the contract
        node.__init__()  # type: ignore[misc]
        return node

    def _serve(self, loop: asyncio.AbstractEventLoop, ledger: Ledger, bells: Bells) -> None:
        self._stage = "initialize"
        self._await(loop, self._node.initialize)
        self._progress("connecting", 1.0, "")
        data_bell, drive = self._connect(loop, ledger, bells)
        self._line.send(msg.Ready())
        self._started.wait()
        if not self._stopping.is_set():
            self._progress("running", 1.0, "")
            drive(self._work(data_bell))
            self._line.send(msg.Finished())
        self._stopping.wait()

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Report whatever the node raises, at once; a stop is no error, an exit goes on."""
        try:
            yield
        except _Stop:
            pass
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - a node may raise anything
            self._fail(error, fatal=True)

    def _connect(
        self, loop: asyncio.AbstractEventLoop, ledger: Ledger, bells: Bells
    ) -> tuple[Bell, Callable[[Coroutine[Any, Any, None]], None]]:
        """Open the channels; a plain `process` sleeps on its bell, a coroutine shares a loop."""
        endpoint = self._init.endpoint
        is_async = inspect.iscoroutinefunction(self._node.process) or inspect.isasyncgenfunction(
            self._node.process
        )
        data_bell: Bell
        room_bell: Bell
        if is_async:
            data_bell = LoopBell(bells, endpoint.bell, loop)
            room_bell = LoopBell(bells, self._init.room, loop)
        else:
            data_bell = BlockingBell(bells, endpoint.bell)
            room_bell = BlockingBell(bells, self._init.room)
            self._spin_ns = endpoint.spin_us * 1000
        self._bells = [data_bell, room_bell]
        space = Space(endpoint.root, endpoint.prefix)
        self._inlets = [Inlet(space, plan, ledger, bells) for plan in endpoint.inlets]
        self._outlets = {
            plan.port: Outlet(space, plan, ledger, bells, room_bell) for plan in endpoint.outlets
        }
        if self._stopping.is_set():
            raise _Stop
        if is_async:
            return data_bell, loop.run_until_complete
        self._idle_loop = loop
        return data_bell, _run_without_loop

    async def _work(self, bell: Bell) -> None:
        """Process one item after the other, until all input has ended."""
        inlets = self._inlets
        stopping = self._stopping.is_set
        missing = sum(not inlet.plan.link.feedback for inlet in inlets)
        spin_until = 0
        while missing:
            idle = True
            for inlet in inlets:
                if inlet.ended:
                    continue
                self._stage, self._item = "receive", inlet.plan.link.name
                data = inlet.receive()
                if data is not None:
                    idle = False
                    await self._process(inlet, data)
                    del data  # its memory goes back before the next item is waited for
                elif inlet.ended:
                    missing -= not inlet.plan.link.feedback
                if stopping():
                    raise _Stop
            if self._spin_ns:
                now = time.monotonic_ns()
                if not idle:
                    spin_until = now + self._spin_ns
                elif now < spin_until:
                    os.sched_yield()  # the sender may need this core
                    continue
            if idle and missing:
                await bell.wait()
        self._stage, self._item = "finish", ""
        await self._emit(self._node.finish())
        for outlet in self._outlets.values():
            outlet.end()

    async def _process(self, inlet: Inlet, data: RuntimeData) -> None:
        self._stage, self._item = "process", f"{data.port}#{data.sequence}"
        try:
            wanted = inlet.plan.type
            if wanted != "any" and data.type.value != wanted:
                raise DataError(
                    f"input {data.port!r} takes {wanted} data, got {data.type.value}"
                )
            if not data.session_id:
                data.session_id = self._init.session_id
            await self._emit(self._node.process(data))
            for outlet in self._outlets.values():
                outlet.check_loans()
        except Exception as error:
            if self._init.on_error == "stop":
                raise
            self._fail(error, fatal=False)

    async def _emit(self, result: Any) -> None:  # noqa: ANN401
        """Send what `process` gave, in whichever way it gives it."""
        if result is None:
            return
        if result.__class__ is RuntimeData:
            await self._send(result)
        elif result.__class__ is GeneratorType:
            for item in result:
                await self._send(item)
        elif self._idle_loop is not None and (
            inspect.isawaitable(result) or hasattr(result, "__aiter__")
        ):  # `process` is a plain function, but this (say, `finish`) needs the loop
            self._idle_loop.run_until_complete(self._emit_all(result))
        else:
            await self._emit_all(result)

    async def _emit_all(self, result: Any) -> None:  # noqa: ANN401
        if inspect.isawaitable(result):
            result = await result
        if result is None:
            return
        if hasattr(result, "__aiter__"):
            try:
                async for item in result:
                    await self._send(item)
            finally:
                if hasattr(result, "aclose"):
                    await result.aclose()
        elif isinstance(result, (RuntimeData, str, bytes, dict)) or hasattr(result, "dtype"):
            await self._send(result)
        else:
            for item in result:
                await self._send(item)

    async def _send(self, item: Any) -> None:  # noqa: ANN401
        if item is None:
            return
        data = RuntimeData.of(item)
        # What was received names the input that it came on, and may be returned as it is.
        outlet = self._outlet_for(data, returned_input=data.sequence is not None)
        wanted = self._init.outputs[outlet.port]
        if wanted != "any" and data.type.value != wanted:
            raise DataError(f"output {outlet.port!r} gives {wanted} data, not {data.type.value}")
        if not data.session_id:
            data.session_id = self._init.session_id
        await outlet.send(data)
        if self._stopping.is_set():
            raise _Stop

    def _outlet_for(self, data: RuntimeData, *, returned_input: bool = False) -> Outlet:
        outlet = self._outlets.get(data.port or "")
        if outlet is not None:
            return outlet
        only = next(iter(self._outlets.values())) if len(self._outlets) == 1 else None
        if only is not None and (data.port is None or returned_input):
            return only
        names = ", ".join(map(repr, self._outlets)) or "none"
        if data.port is None or returned_input:
            raise DataError(f"the node has the outputs {names}: set port= on what it returns")
        raise DataError(f"the node has no output {data.port!r}; it has {names}")

    # ---- NodeContext

    def report_progress(self, fraction: float, message: str) -> None:
        """Pass the node's own progress on."""
        self._progress("loading", fraction, message)

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Lend memory of the output that `blank` names."""
        return self._outlet_for(blank).loan(blank)

    # ---- the parent

    def _progress(self, status: msg.Stage, fraction: float, message: str) -> None:
        self._line.send(msg.Progress(status, fraction, message))

    def _fail(self, error: BaseException, *, fatal: bool) -> None:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - an exception whose text can't be made
            message = "(the exception has no readable message)"
        self._line.send(
            msg.Failed(self._stage, type(error).__name__, message, text, self._item, fatal)
        )

    def _listen(self) -> None:
        while True:
            message = self._line.receive()
            if message is None:
                self._stop()
                self._on_parent_gone()
                return
            if isinstance(message, msg.Start):
                self._started.set()
            elif isinstance(message, msg.Stop):
                self._stop()
            elif isinstance(message, msg.Dump):
                self._line.send(msg.Stack(_stacks()))

    def _stop(self) -> None:
        self._stopping.set()
        self._started.set()
        for bell in self._bells:
            bell.break_with(_Stop)

    @staticmethod
    def _await(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
        result = call()
        if inspect.isawaitable(result):
            loop.run_until_complete(_as_coroutine(result))


async def _as_coroutine(awaitable: Any) -> Any:  # noqa: ANN401
    return await awaitable


def _run_without_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never suspends, because all it waits for blocks its thread."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError(
        "a node whose process is a plain function awaited something that needs an event loop; "
        "make process a coroutine function"
    )


def _config(cls: type[MultiprocessNode], init: msg.Init) -> Any:  # noqa: ANN401
    """Return the config as the node type declares it: its struct, or a read-only mapping."""
    spec: NodeSpec | None = getattr(cls, "__remotemedia_spec__", None)
    struct = spec.config if spec is not None else None
    if struct is None and init.config_target:
        struct = load_object(init.config_target)
    if struct is None:
        return MappingProxyType(init.config)
    return msgspec.convert(init.config, struct)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close a node's event loop, and with it the tasks that the node has left running."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


def _stacks() -> str:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read()
