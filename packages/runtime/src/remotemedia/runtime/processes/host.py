"""NodeHost: runs one node, in a process of its own or in a thread of the application.

The node works in the thread that calls `run`. A second thread listens to the parent, so that the
process answers while the node computes, and ends at once when the parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from remotemedia.core.config import make_config
from remotemedia.core.errors import NodeError
from remotemedia.core.loans import too_early
from remotemedia.core.loops import close_loop, complete, needs_loop, run_without_loop
from remotemedia.core.node import make_node
from remotemedia.core.outputs import Stopped
from remotemedia.core.plugin import load_object
from remotemedia.core.text import sendable
from remotemedia.runtime.channels.bell import Bell, Bells, BlockingBell
from remotemedia.runtime.channels.inlet import Inlet
from remotemedia.runtime.channels.ledger import Ledger
from remotemedia.runtime.channels.loop_bell import BellLoop, LoopBell
from remotemedia.runtime.channels.outlet import Outlet
from remotemedia.runtime.channels.space import Space
from remotemedia.runtime.processes import messages as msg
from remotemedia.runtime.processes.loading import load_node_class
from remotemedia.runtime.processes.memory import MemoryLimit
from remotemedia.runtime.processes.rehearsal import rehearse
from remotemedia.runtime.processes.worker import Place, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    import msgspec

    from remotemedia.core.data import RuntimeData
    from remotemedia.core.node import MultiprocessNode
    from remotemedia.core.plugin import NodeSpec
    from remotemedia.runtime.processes.control import ControlLine

__all__ = ["NodeHost"]


class NodeHost:
    """Runs one node from `Init` to `Stopped`.

    Args:
        line: The connection to the parent.
        on_parent_gone: Called, in the listening thread, when the connection breaks.
        settle: Called first, while there is only one thread: takes on what the pipeline says of
            the process.
        memory: The limit of the process.
    """

    def __init__(
        self,
        line: ControlLine,
        on_parent_gone: Callable[[], None],
        settle: Callable[[], None] = lambda: None,
        memory: MemoryLimit | None = None,
    ) -> None:
        self._line = line
        self._on_parent_gone, self._settle = on_parent_gone, settle
        self._memory = memory or MemoryLimit()
        self._may_prepare = threading.Event()
        self._started = threading.Event()
        self._stopping = threading.Event()
        self._bells: list[Bell] = []
        self._place = Place()
        self._init: msg.Init
        self._node: MultiprocessNode
        self._worker: Worker

    # ---- the life of a node

    def run(self) -> int:
        """Run the node to its end; returns the exit code that a process of its own should have."""
        ledger_fd, *bell_fds = self._line.receive_fds()
        ledger, bells = Ledger(ledger_fd), Bells(bell_fds)
        ledger.close()
        self._line.send(msg.Hello(msg.Versions.here(), os.getpid()))
        first = self._line.receive()
        if isinstance(first, msg.Stop):  # before it has begun
            self._line.send(msg.Stopped())
            return 0
        if not isinstance(first, msg.Init):
            self._on_parent_gone()
            return 1
        self._init = first
        try:
            self._place.stage = "start"
            self._settle()
        except (OSError, MemoryError) as error:
            self._fail(error, fatal=True)
            return 1
        listener = threading.Thread(target=self._listen, name="remotemedia-control", daemon=True)
        listener.start()
        loop = BellLoop()
        asyncio.set_event_loop(loop)
        try:
            code = self._live(loop, ledger, bells)
        except SystemExit as exit_:  # the node's own wish, or SIGTERM: an exit, not an error
            if exit_.code is None or isinstance(exit_.code, int):
                return exit_.code or 0
            print(exit_.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
            return 1
        finally:
            vars(self).pop("_worker", None)  # closes the channels
            close_loop(loop)
        self._line.send(msg.Stopped())
        return code

    def _live(self, loop: BellLoop, ledger: Ledger, bells: Bells) -> int:
        """Load the node and work until the session stops; whatever happens, it cleans up."""
        code = 1
        with self._reporting():
            node = self._load()
            try:
                with self._reporting():
                    self._serve(loop, ledger, bells)
                    code = 0
            finally:
                self._place.enter("cleanup")
                with self._reporting():
                    complete(loop, node.cleanup)
        return code

    def _load(self) -> MultiprocessNode:
        self._place.enter("import")
        self._progress("loading", 0.0, "importing")
        init = self._init
        cls = load_node_class(
            init.target,
            init.source,
            init.type_name,
            init.paths,
            init.more_paths,
            init.arguments,
            script=init.script,
        )
        config = make_config(init.config, _config_struct(cls, init))
        self._node = make_node(cls, init.node_id, init.session_id, config, self)
        return self._node

    def _serve(self, loop: BellLoop, ledger: Ledger, bells: Bells) -> None:
        self._place.enter("initialize")
        self._progress("loading", 0.0, "initializing")
        complete(loop, self._node.initialize)
        self._progress("connecting", 1.0, "")
        self._place.stage = "connect"
        run, bell = self._connect(loop, ledger, bells)
        self._line.send(msg.Connected())
        self._may_prepare.wait()
        if not self._stopping.is_set():
            run(self._worker.prepare(bell))
            self._line.send(msg.Ready())
        self._started.wait()
        if not self._stopping.is_set():
            self._progress("running", 1.0, "")
            run(self._worker.run(bell))
            self._line.send(msg.Finished())
        self._stopping.wait()

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Report whatever the node raises, at once; a stop is no error, an exit goes on."""
        try:
            yield
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - a node may raise anything
            if not isinstance(error, Stopped):
                self._fail(error, fatal=True)
            # Its frames hold the channels, and an inline node may have given it to a library.
            error.__traceback__ = None

    def _connect(
        self, loop: BellLoop, ledger: Ledger, bells: Bells
    ) -> tuple[Callable[[Coroutine[Any, Any, None]], None], Bell]:
        """Open the channels; returns what runs the worker, and the bell that wakes it.

        A plain `process` sleeps on its bell, a coroutine shares an event loop.
        """
        init = self._init
        endpoint = init.endpoint
        is_async = needs_loop(self._node)
        data_bell: Bell
        room_bell: Bell
        if is_async:
            data_bell = LoopBell(bells, endpoint.bell, loop)
            room_bell = LoopBell(bells, init.room, loop)
        else:
            data_bell, room_bell = (
                BlockingBell(bells, endpoint.bell),
                BlockingBell(bells, init.room),
            )
        self._bells = [data_bell, room_bell]
        space = Space(endpoint.space, endpoint.prefix)
        record = ledger.node(endpoint.record or 0)
        inlets = [Inlet(space, plan, ledger, bells) for plan in endpoint.inlets]
        outlets = {
            plan.port: Outlet(space, plan, ledger, bells, room_bell, record)
            for plan in endpoint.outlets
        }
        self._worker = Worker(
            self._node, init, inlets, outlets, record, self._place, self._stopping
        )
        if init.on_error == "continue":
            self._worker.on_skipped = partial(self._fail, fatal=False)
        if self._stopping.is_set():
            raise Stopped
        if is_async:
            rehearse(init, loop.run_until_complete, is_async=True)
            return loop.run_until_complete, data_bell
        self._worker.outputs.idle_loop = loop
        self._worker.spin_ns = endpoint.spin_us * 1000
        rehearse(init, run_without_loop, is_async=False)
        return run_without_loop, data_bell

    # ---- NodeContext

    def report_progress(self, fraction: float, message: str) -> None:
        """Pass the node's own progress on."""
        status: msg.Stage = "running" if self._started.is_set() else "loading"
        self._progress(status, fraction, sendable(str(message)))

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Lend memory of the output that `blank` names."""
        try:
            outputs = self._worker.outputs
        except AttributeError:
            raise too_early() from None
        return outputs.outlet_for(blank).loan(blank)

    def waiting(self, port: str) -> int:
        """Return how many items wait on an input; none before there is one."""
        return self._worker.waiting(port) if "_worker" in vars(self) else 0

    @property
    def stopping(self) -> bool:
        """Whether the parent has asked the node to stop, or is gone."""
        return self._stopping.is_set()

    # ---- the parent

    def _progress(self, status: msg.Stage, fraction: float, message: str) -> None:
        self._line.send(msg.Progress(status, fraction, message))

    def _fail(self, error: BaseException, *, fatal: bool) -> None:
        place = self._place
        with self._memory.lifted():
            said = NodeError.of(error, self._init.node_id, place.stage, place.item)
            self._line.send(
                msg.Failed(
                    said.stage,
                    said.remote_type,
                    said.remote_message,
                    said.remote_traceback,
                    said.item,
                    fatal,
                    self._memory.use_of(said.remote_traceback),
                )
            )

    def _listen(self) -> None:
        while True:
            message = self._line.receive()
            if message is None:
                self._on_parent_gone()
                self._stop()  # where that has not ended the process
                return
            if isinstance(message, msg.Prepare):
                self._may_prepare.set()
            elif isinstance(message, msg.Start):
                self._started.set()
            elif isinstance(message, msg.Stop):
                self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        self._may_prepare.set()
        self._started.set()
        for bell in self._bells:
            bell.break_with(Stopped)


def _config_struct(cls: type[MultiprocessNode], init: msg.Init) -> type[msgspec.Struct] | None:
    """Return the struct that the node type declares, if it does."""
    spec: NodeSpec | None = getattr(cls, "__remotemedia_spec__", None)
    if spec is not None and spec.config is not None:
        return spec.config
    struct: type[msgspec.Struct] | None = (
        load_object(init.config_target) if init.config_target else None
    )
    return struct
