"""NodeLife: a node from its making to its cleanup, in a thread instead of a process."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from remotemedia.core.config import check_config, make_config, to_plain
from remotemedia.core.configured import configured, why_absent
from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import NodeError, PipelineError, ProcessCrashError, SessionError
from remotemedia.core.loans import too_early
from remotemedia.core.loops import complete, needs_loop, run_without_loop
from remotemedia.core.node import make_node
from remotemedia.core.outputs import Outputs, Stopped, check_type
from remotemedia.core.ports import match_port
from remotemedia.core.testing.channel import MemoryOutlet, Transfer, transfer
from remotemedia.core.testing.subject import load_class
from remotemedia.core.testing.thread import NodeThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from remotemedia.core.node import MultiprocessNode
    from remotemedia.core.ports import Port
    from remotemedia.core.testing.stream import Stream
    from remotemedia.core.testing.subject import Subject

__all__ = ["NodeLife", "Reported"]

_T = TypeVar("_T")


class Reported(NamedTuple):
    """What a node has said with `report_progress`.

    Attributes:
        fraction: From 0 to 1.
        message: What is being done.
        stage: When: `import` (its `__init__`), `initialize`, `process`, `finish`, `cleanup`, or
            `closed` where it still reports after its cleanup.
    """

    fraction: float
    message: str
    stage: str


class NodeLife:
    """A node's life, step by step: what a test asks for is done in the node's own thread.

    Args:
        subject: The node type.
        config: As in a pipeline, or the declared struct.
        node_id: The node's name.
        session_id: The session's.
        virtual_time: Whether waiting for a timer takes no time.

    Attributes:
        node: None until it is made.
        outputs: What it gave, by port.
        progress: What it reported.
        stage: What it does, as in `Reported`.
        item: The identity of the input in work (`port#sequence`), or an empty string.
        on_progress: Called with each report; what it raises, `report_progress` raises.
        loaned_late: Whether it took a loan after its cleanup.

    Raises:
        PipelineError: The config is not what the node type declares.
    """

    def __init__(
        self,
        subject: Subject,
        config: Mapping[str, Any] | msgspec.Struct | None,
        node_id: str,
        session_id: str,
        *,
        virtual_time: bool,
    ) -> None:
        plain = to_plain(config) if isinstance(config, msgspec.Struct) else config
        self._config, mistakes = check_config({} if plain is None else plain, subject.spec.config)
        if mistakes:
            raise PipelineError([f"node {node_id!r}: {mistake.text}" for mistake in mistakes])
        self.spec, self._absent = configured(subject.spec, self._config)
        self._subject: Subject = subject
        self.node_id: str = node_id
        self.session_id: str = session_id
        self.node: MultiprocessNode | None = None
        self.outputs: dict[str, list[RuntimeData]] = {port.name: [] for port in self.spec.outputs}
        self.progress: list[Reported] = []
        self.on_progress: Callable[[Reported], None] | None = None
        self.stage: str = ""
        self.item: str = ""
        self.loaned_late: bool = False
        self._sequences = {port.name: 0 for port in self.spec.inputs}
        self._waiting = {port.name: 0 for port in self.spec.inputs}
        self._received: list[tuple[str, Transfer, int]] = []
        self._given: list[RuntimeData] = []
        self._stream: Stream | None = None
        self._outlets = {
            port.name: MemoryOutlet(port.name, self._deliver) for port in self.spec.outputs
        }
        self._emission = Outputs(
            self._outlets,
            {port.name: port.type for port in self.spec.outputs},
            session_id,
            lambda: self.stopping,
        )
        self.thread: NodeThread = NodeThread(
            f"remotemedia-node-{node_id}", virtual_time=virtual_time
        )
        self._began = self.thread.loop.time()

    @property
    def time(self) -> float:
        """Seconds since it began, by the clock of its event loop."""
        return self.thread.loop.time() - self._began

    # ---- what a test asks for

    def make(self) -> Future[None]:
        """Have the node made."""
        return self.thread.do(self._make)

    def initialize(self) -> Future[None]:
        """Have the node initialized."""
        return self.thread.do(self._initialize)

    def process(
        self,
        value: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
        port: str | None,
        stream: Stream | None = None,
    ) -> Future[list[RuntimeData]]:
        """Have an item processed; gives what came of it.

        Raises:
            DataError: The value is nothing that can be sent.
            SessionError: There is no such input, or it has to be named.
        """
        given = RuntimeData.of(value)
        given.check()
        target = self._input(port)
        number = self._sequences[target.name]
        sent = transfer(given, target.name, number)
        self._sequences[target.name] += 1
        item = f"{target.name}#{number}"
        self._received.append((item, sent, zlib.crc32(sent.memory)))
        self._waiting[target.name] += 1
        return self.thread.do(lambda: self._process(target, item, sent.data, stream))

    def finish(self) -> Future[list[RuntimeData]]:
        """Say that all input has ended; gives what it held back."""
        return self.thread.do(
            lambda: self._emit("finish", "", lambda node: self._emission.emit(node.finish()))
        )

    def advance(self, seconds: float) -> Future[None]:
        """Let the tasks in its event loop run for so long."""
        loop = self.thread.loop
        return self.thread.do(lambda: complete(loop, lambda: asyncio.sleep(seconds)))

    def cleanup(self) -> Future[None]:
        """Have it clean up; a stream that is still open ends where it is."""
        stream = self._stream
        if stream is not None:
            stream.stop()
        return self.thread.do(self._cleanup)

    def modified(self) -> list[str]:
        """Return the inputs whose memory is not as it was sent."""
        return [item for item, sent, crc in self._received if zlib.crc32(sent.memory) != crc]

    # ---- in the node's thread

    def _make(self) -> None:
        def make() -> MultiprocessNode:
            config = make_config(self._config, self.spec.config)
            cls = load_class(self._subject)
            return make_node(cls, self.node_id, self.session_id, config, self)

        self.node = self._reporting("import", "", make)

    def _initialize(self) -> None:
        node, loop = self.node, self.thread.loop
        if node is None:
            return
        self._reporting("initialize", "", lambda: complete(loop, node.initialize))
        self._emission.idle_loop = None if needs_loop(node) else loop

    def _process(
        self, port: Port, item: str, data: RuntimeData, stream: Stream | None
    ) -> list[RuntimeData]:
        self._waiting[port.name] -= 1

        async def work(node: MultiprocessNode) -> None:
            if port.type != "any":
                check_type(f"input {port.name!r} takes", port.type, data)
            if not data.session_id:
                data.session_id = self.session_id
            await self._emission.emit(node.process(data))
            self._emission.check_loans()

        if stream is None:
            return self._emit("process", item, work)
        self._stream = stream
        stream.begin()
        error: BaseException | None = None
        try:
            return self._emit("process", item, work)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._stream = None
            stream.end(error)

    def _emit(
        self,
        stage: str,
        item: str,
        work: Callable[[MultiprocessNode], Coroutine[Any, Any, None]],
    ) -> list[RuntimeData]:
        """Have the node give items as a worker does; returns them."""
        node = self.node
        assert node is not None  # noqa: S101 - the harness does not ask before it is ready
        given = self._given = []

        def run() -> None:
            if needs_loop(node):
                self.thread.loop.run_until_complete(work(node))
            else:
                run_without_loop(work(node))

        try:
            self._reporting(stage, item, run)
        except NodeError:
            for outlet in self._outlets.values():
                outlet.forgive_loans()
            raise
        return given

    def _cleanup(self) -> None:
        node, loop = self.node, self.thread.loop
        if node is not None:
            self._reporting("cleanup", "", lambda: complete(loop, node.cleanup))
        self.stage = "closed"

    def _reporting(self, stage: str, item: str, work: Callable[[], _T]) -> _T:
        """Do what a node does in a stage; what it raises becomes what a session would raise."""
        self.stage = stage
        self.item = item
        try:
            return work()
        except Stopped:
            raise
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            raise ProcessCrashError(self.node_id, code, stage) from error
        except BaseException as error:
            raise NodeError.of(error, self.node_id, stage, item) from error

    def _deliver(self, data: RuntimeData) -> None:
        self.outputs[data.port or ""].append(data)
        self._given.append(data)
        if self._stream is not None:
            self._stream.offer(data)

    def _input(self, name: str | None) -> Port:
        ports = self.spec.inputs
        found = match_port(name, ports, "input") if name is not None else None
        if found is None and name is None and len(ports) == 1:
            found = ports[0]
        if found is None:
            gone = why_absent(name, self._absent, "input") if name is not None else None
            if gone is not None:
                raise SessionError(f"node {self.node_id!r} has {gone}")
            known = ", ".join(repr(port.name) for port in ports) or "none"
            what = "several inputs" if name is None else f"no input {name!r}"
            raise SessionError(f"node {self.node_id!r} has {what}; name one of: {known}")
        return found

    # ---- NodeContext

    def report_progress(self, fraction: float, message: str) -> None:
        """Keep what the node reports."""
        report = Reported(fraction, message, self.stage)
        self.progress.append(report)
        if self.on_progress is not None:
            self.on_progress(report)

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Lend memory of the output that `blank` names."""
        if self.stage in ("import", "initialize"):
            raise too_early()
        self.loaned_late = self.loaned_late or self.stage == "closed"
        return self._emission.outlet_for(blank).loan(blank)

    def waiting(self, port: str) -> int:
        """Return how many items were fed to an input that the node has not begun."""
        return self._waiting.get(port, 0)

    @property
    def stopping(self) -> bool:
        """Whether the test has left the stream of what it gives."""
        return self._stream is not None and self._stream.stopped
