"""Runtime: executors, configuration and shared memory that sessions of an application use."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from remotemedia.core.errors import BrokenPluginsError, SessionClosed
from remotemedia.runtime import configuration
from remotemedia.runtime.background import Background
from remotemedia.runtime.config import MultiprocessConfig
from remotemedia.runtime.environments.placement import EnvironmentsNeeded, Places
from remotemedia.runtime.environments.store import Store
from remotemedia.runtime.executors.inline import InlineExecutor
from remotemedia.runtime.executors.multiprocess import MultiprocessExecutor
from remotemedia.runtime.forks import left_behind
from remotemedia.runtime.graph import resolve
from remotemedia.runtime.plugins import Catalog, PluginPolicy, discover
from remotemedia.runtime.processes.loading import stop_if_loading_script
from remotemedia.runtime.space_files import RuntimeFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from remotemedia.core.errors import ProcessCrashError
    from remotemedia.runtime.channels.space import Space
    from remotemedia.runtime.environments.placement import Placement, Wish
    from remotemedia.runtime.executors.base import Executor
    from remotemedia.runtime.graph import Graph
    from remotemedia.runtime.node_status import Progress
    from remotemedia.runtime.pipeline import Pipeline
    from remotemedia.runtime.session import Session
    from remotemedia.runtime.supervisor import SessionSupervisor

__all__ = ["Runtime"]

_logger = logging.getLogger(__name__)


class Runtime:
    """What the sessions of an application share. Also an async context manager.

    Args:
        config: How nodes are run; from `runtime.toml` and the environment if None.
        plugins: Which installed plugins may be used; from there too if None.
    """

    def __init__(
        self, config: MultiprocessConfig | None = None, *, plugins: PluginPolicy | None = None
    ) -> None:
        stop_if_loading_script()
        self.config: MultiprocessConfig
        self.plugins: PluginPolicy
        self.config, self.plugins = configuration.load(config, plugins)
        multiprocess = MultiprocessExecutor(self.config)
        self._executors: dict[str, Executor] = {
            "multiprocess": multiprocess,
            "python": multiprocess,
            "inline": InlineExecutor(),
        }
        self._on_crash: list[Callable[[ProcessCrashError], object]] = []
        self._state = _State(self._executors, self._places())
        self._catalog: Catalog | None = None

    def register_executor(self, name: str, executor: Executor) -> Runtime:
        """Make an executor known to pipelines under a name."""
        if isinstance(executor, MultiprocessExecutor):
            if executor.config is None:
                executor.config = self.config
            else:  # the quick start configures the runtime through its executor
                self.config = executor.config
                self._state.places = self._places()
        self._executors[name] = executor
        return self

    def on_process_crash(self, callback: Callable[[ProcessCrashError], object]) -> None:
        """Have `callback` called, in the runtime's thread, when a node's process crashes."""
        self._on_crash.append(callback)

    async def create_session(
        self,
        session_id: str,
        pipeline: Pipeline,
        progress_callback: Callable[[Progress], object] | None = None,
    ) -> Session:
        """Start a session: when this returns, all its nodes are ready and data can be sent.

        Args:
            session_id: Letters, digits, `_` and `-`.
            pipeline: What it runs.
            progress_callback: Called with each step of each node.

        Raises:
            RemoteMediaError: The pipeline has mistakes, or a node could not be started.
        """
        from remotemedia.runtime.session import Session

        session = Session(session_id, pipeline, runtime=self)
        await session.initialize(progress_callback=progress_callback)
        await session.start()
        return session

    async def start(self) -> None:
        """Prepare everything that sessions share, so that the first one starts faster."""
        await anyio.to_thread.run_sync(self._prepare)
        await Background.shared().call(self._executors["multiprocess"].prepare())

    async def shutdown(self) -> None:
        """End all sessions, and remove everything that the runtime has made.

        In a forked child, which has none of it, this does nothing.
        """
        if self._state.is_here:
            await Background.until_done(Background.shared().submit(self.close()))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._state.is_here:  # a forked child may have no event loop
            with anyio.CancelScope(shield=True):
                await self.shutdown()

    # ---- for sessions

    @property
    def executors(self) -> Mapping[str, Executor]:
        """The executors by name."""
        return self._executors

    @property
    def crash_callbacks(self) -> list[Callable[[ProcessCrashError], object]]:
        """What `on_process_crash` was given."""
        return self._on_crash

    def check(
        self,
        pipeline: Pipeline,
        progress_callback: Callable[[Progress], object] | None = None,
    ) -> Graph:
        """Check a pipeline without starting any of its nodes.

        Environments of their own that nodes ask for are made, if they are not there: only they
        can tell whether the node is in them.

        Args:
            pipeline: What to check.
            progress_callback: Called, in the runtime's thread, while an environment is made.

        Raises:
            PipelineError: With every mistake.
            BrokenPluginsError: There are broken plugins, and the policy is strict.
            NodeEnvironmentError: An environment can't be made.
        """
        try:
            return self.resolve(pipeline)
        except EnvironmentsNeeded as needed:
            finding = self.find_environments(needed.wishes, progress_callback)
        return self.resolve(pipeline, Background.shared().wait(finding))

    def resolve(
        self, pipeline: Pipeline, placements: Mapping[str, Placement] | None = None
    ) -> Graph:
        """Check a pipeline, with the environments of its nodes where that is known.

        Raises:
            PipelineError: With every mistake.
            BrokenPluginsError: There are broken plugins, and the policy is strict.
            EnvironmentsNeeded: There is no mistake, but nodes ask for environments.
        """
        return resolve(pipeline, self.catalog(), self.config, self._executors, placements)

    async def find_environments(
        self, wishes: Mapping[str, Wish], on_progress: Callable[[Progress], object] | None = None
    ) -> dict[str, Placement]:
        """Make the environments that nodes ask for, in the runtime's thread.

        Raises:
            NodeEnvironmentError: One can't be made, or nodes can't run in it.
        """
        from remotemedia.runtime.node_status import Progress

        def step(node: str, fraction: float, message: str) -> None:
            if on_progress is not None:
                on_progress(Progress(node, "preparing", fraction, message))

        return await self._state.places.find(wishes, step)

    def catalog(self) -> Catalog:
        """Return what is installed; looked up once, and what is broken is logged then.

        Raises:
            BrokenPluginsError: There are broken plugins, and the policy is strict.
        """
        if self._catalog is None:
            self._catalog = discover(policy=self.plugins)
            if not self.plugins.strict:
                for problem in self._catalog.problems:
                    _logger.warning("%s", problem)
        if self.plugins.strict and self._catalog.problems:
            raise BrokenPluginsError(self._catalog.problems)
        return self._catalog

    def _places(self) -> Places:
        config = self.config
        return Places(Store(config.environments_dir), self.plugins, config.init_timeout_secs)

    def _prepare(self) -> None:
        self._state.open()
        self.catalog()

    def open_space(self) -> tuple[RuntimeFiles, Space]:
        """Return the runtime's part of shared memory."""
        return self._state.open()

    async def close(self) -> None:
        """Do what `shutdown` does, in the runtime's thread."""
        await self._state.shutdown()

    def reclaim(self) -> None:
        """Free shared memory that nodes which crashed have left."""
        self._state.reclaim()

    def next_name(self) -> str:
        """Return a name for a session's channels that no other session of this runtime has."""
        return self._state.next_name()

    def adopt(self, supervisor: SessionSupervisor) -> None:
        """Take on a session, so that it ends with the runtime."""
        self._state.adopt(supervisor)


@left_behind
class _State:
    """What has to be removed at the end; outlives a Runtime that was just dropped."""

    def __init__(self, executors: Mapping[str, Executor], places: Places) -> None:
        self._executors, self.places = executors, places
        self._lock = threading.Lock()
        self._sessions: weakref.WeakSet[SessionSupervisor] = weakref.WeakSet()
        self._count = 0
        self._opened: tuple[RuntimeFiles, Any] | None = None
        self._closed = False
        self._shutting_down = asyncio.Lock()
        self._forget: Callable[[], None] = lambda: None
        self.is_here = True  # and not in the process that this one was forked from

    def open(self) -> tuple[RuntimeFiles, Space]:
        from remotemedia.runtime.channels.space import Space

        with self._lock:
            if self._closed:
                raise SessionClosed("the runtime was shut down; make a new one")
            if not self.is_here:
                raise SessionClosed("the runtime belongs to the parent process; make a new one")
            if self._opened is None:
                files = RuntimeFiles.create()
                self._opened = files, Space(str(files.space), files.prefix)
                files.make_private()
                self._forget = Background.shared().at_exit(self.shutdown)
            return self._opened

    def reclaim(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened[1].reclaim()

    def next_name(self) -> str:
        with self._lock:
            self._count += 1
            return str(self._count)

    def adopt(self, supervisor: SessionSupervisor) -> None:
        with self._lock:
            self._sessions.add(supervisor)

    def _leave_behind(self) -> None:
        self._lock = threading.Lock()  # the parent may have held it at that moment
        self.is_here, self._opened = False, None

    async def shutdown(self) -> None:
        async with self._shutting_down:  # whoever comes second returns when all is gone, too
            with self._lock:
                self._closed = True
                sessions, self._sessions = list(self._sessions), weakref.WeakSet()
            await asyncio.gather(*(session.stop() for session in sessions))
            await asyncio.gather(*(executor.close() for executor in {*self._executors.values()}))
            self.places.close()
            with self._lock:
                opened, self._opened = self._opened, None
            if opened is not None:
                self._forget()
                files, space = opened
                opened = None
                del space  # closes its node of iceoryx2
                files.remove()
