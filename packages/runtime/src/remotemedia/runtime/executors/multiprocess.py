"""The multiprocess executor: every node in a process of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from remotemedia.core.errors import ProcessSpawnError
from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.executors.base import Executor, NodeEvents, NodeLaunch, RunningNode
from remotemedia.runtime.executors.node_process import NodeProcess
from remotemedia.runtime.executors.template import Template, TemplateEnded
from remotemedia.runtime.node_options import OPTIONS

if TYPE_CHECKING:
    from remotemedia.runtime.config import MultiprocessConfig
    from remotemedia.runtime.graph import GraphNode

__all__ = ["MultiprocessExecutor"]

# What a pipe holds can be a hundred thousand lines.
_LOGGED_WITHIN_SECS = 10.0


class MultiprocessExecutor(Executor):
    """Runs every node in a process of its own.

    Args:
        config: How; the runtime's configuration if None.
    """

    node_options: ClassVar[frozenset[str]] = frozenset(OPTIONS)

    def __init__(self, config: MultiprocessConfig | None = None) -> None:
        self.config = config
        self._templates: dict[tuple[str, tuple[str, ...]], Template] = {}
        self._replaced: list[Template] = []  # they end, but may not be gone yet
        self._watches: set[asyncio.Task[None]] = set()

    def check(self, launch: NodeLaunch) -> None:
        """Make sure that the interpreter is there.

        Raises:
            ProcessSpawnError: It is not.
        """
        self._environment(launch.node)

    async def launch(self, launch: NodeLaunch, events: NodeEvents) -> RunningNode:
        """Start a process.

        Raises:
            ProcessSpawnError: The operating system refuses to.
        """
        try:
            return await self._spawn(launch, events)
        except TemplateEnded:  # somebody has killed it; the next one starts now
            return await self._spawn(launch, events)

    async def _spawn(self, launch: NodeLaunch, events: NodeEvents) -> NodeProcess:
        process = NodeProcess(launch, events)
        node = launch.node
        await process.spawn(self._template(self._environment(node), node.options.preload))
        self._watches.add(process.watch)
        process.watch.add_done_callback(self._watches.discard)
        return process

    async def prepare(self) -> None:
        """Start the template process, so that the first nodes start faster.

        Raises:
            ProcessSpawnError: It can't be started.
        """
        await self._template(self._default("")).ready("")

    async def close(self) -> None:
        """Wait until everything is logged that nodes wrote, and end the template processes."""
        if self._watches:
            await asyncio.wait(self._watches, timeout=_LOGGED_WITHIN_SECS)
        templates = [*self._replaced, *self._templates.values()]
        self._templates, self._replaced = {}, []
        await asyncio.gather(*(template.close() for template in templates))

    def _template(self, environment: Environment, preload: tuple[str, ...] = ()) -> Template:
        key = environment.executable, preload
        template = self._templates.get(key)
        if template is None or not template.is_alive:
            self._replaced = [old for old in self._replaced if not old.is_gone]
            if template is not None:
                self._replaced.append(template)
            # What all nodes preload need not be in an environment that one of them has for itself.
            shared = environment.executable == self._default("").executable
            everyones = self.config.preload if shared and self.config is not None else ()
            template = self._templates[key] = Template(environment, (*everyones, *preload))
        return template

    def _environment(self, node: GraphNode) -> Environment:
        """Return where a node runs."""
        own = node.environment
        if own is None:
            return self._default(node.id)
        if shutil.which(own.executable) is None:
            text = f"Python executable not found: {own.executable!r}; it was there a moment ago"
            raise ProcessSpawnError(node.id, text)
        return own

    def _default(self, node_id: str) -> Environment:
        """Return where nodes run that ask for no environment of their own."""
        config = self.config
        if config is not None and config.venv_path is not None:
            wanted = str(Path(config.venv_path) / "bin" / "python")
            setting = "venv_path"
        elif config is not None and config.python_executable is not None:
            wanted, setting = os.fspath(config.python_executable), "python_executable"
        else:
            wanted, setting = sys.executable, "python_executable"
        found = shutil.which(wanted)
        if found is None:
            raise ProcessSpawnError(
                node_id,
                f"Python executable not found: {wanted!r}; set {setting!r} to an interpreter "
                "that has remotemedia-runtime installed",
            )
        return Environment(found)
