"""Worker: takes items from a node's inputs, has them processed, and sends what comes of them."""

from __future__ import annotations

import inspect
import os
import threading
import time
from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from remotemedia.core.node import MultiprocessNode
    from remotemedia.runtime.channels.bell import Bell
    from remotemedia.runtime.channels.inlet import Inlet
    from remotemedia.runtime.channels.outlet import Outlet
    from remotemedia.runtime.processes.messages import Init

__all__ = ["Place", "Stopped", "Worker"]


class Stopped(BaseException):
    """Unwinds a node's loop when the session stops."""


@dataclass
class Place:
    """Where a node is, for the errors that it raises.

    Attributes:
        stage: `import`, `initialize`, `receive`, `process`, `finish` or `cleanup`.
        item: The identity of the input in work (`port#sequence`), or an empty string.
    """

    stage: str = ""
    item: str = ""


class Worker:
    """Runs a node's loop.

    Args:
        node: The node.
        init: What its parent has said of it.
        inlets: Its incoming edges.
        outlets: Its outputs, by port.
        place: Kept up to date.
        stopping: Set when the session stops.

    Attributes:
        idle_loop: An event loop that does not run, for what needs one although `process` is a
            plain function.
        spin_ns: How long it looks for the next item before it sleeps.
        on_skipped: Called with what `process` raised, where the item is to be skipped; if None,
            the exception goes on.
    """

    def __init__(
        self,
        node: MultiprocessNode,
        init: Init,
        inlets: Sequence[Inlet],
        outlets: Mapping[str, Outlet],
        place: Place,
        stopping: threading.Event,
    ) -> None:
        self._node, self._init, self._place = node, init, place
        self._open, self._outlets = list(inlets), outlets
        self._stopping = stopping.is_set
        self.idle_loop: asyncio.AbstractEventLoop | None = None
        self.spin_ns = 0
        self.on_skipped: Callable[[Exception], None] | None = None

    async def run(self, bell: Bell) -> None:
        """Process one item after the other, until all input has ended.

        Args:
            bell: Rings when something has arrived.
        """
        missing = sum(not inlet.plan.link.feedback for inlet in self._open)
        spin_until = 0
        while missing:
            took, ended = await self._take_turns()
            missing -= ended
            if self.spin_ns:
                now = time.monotonic_ns()
                if took:
                    spin_until = now + self.spin_ns
                elif now < spin_until:
                    os.sched_yield()  # the sender may need this core
                    continue
            if missing and not took:
                await bell.wait()
        self._place.stage, self._place.item = "finish", ""
        await self._emit(self._node.finish())
        for outlet in self._outlets.values():
            outlet.end()

    async def _take_turns(self) -> tuple[bool, int]:
        """Process an item of each input that has one.

        Returns:
            Whether there was any, and how many inputs that had to be waited for have ended.
        """
        took, ended = False, []
        for inlet in self._open:
            if await self._process(inlet):
                took = True
            elif inlet.ended:
                ended.append(inlet)
            if self._stopping():
                raise Stopped
        for inlet in ended:
            self._open.remove(inlet)
        return took, sum(not inlet.plan.link.feedback for inlet in ended)

    async def _process(self, inlet: Inlet) -> bool:
        """Take an item of an input, and process it; returns whether there was one."""
        self._place.stage, self._place.item = "receive", inlet.plan.link.name
        data = inlet.receive()
        if data is None:
            return False
        self._place.stage, self._place.item = "process", f"{data.port}#{data.sequence}"
        try:
            if inlet.plan.type != "any":
                _check_type(f"input {data.port!r} takes", inlet.plan.type, data)
            if not data.session_id:
                data.session_id = self._init.session_id
            result = self._node.process(data)
            del data  # its memory goes back now, not when the answer has found room
            await self._emit(result)
            for outlet in self._outlets.values():
                outlet.check_loans()
        except Exception as error:
            if self.on_skipped is None:
                raise
            self.on_skipped(error)
        return True

    async def _emit(self, result: Any) -> None:  # noqa: ANN401
        """Send what `process` gave, in whichever way it gives it."""
        if result is None:
            return
        if result.__class__ is RuntimeData:
            await self._send(result)
        elif result.__class__ is GeneratorType:
            for item in result:
                await self._send(item)
        elif self.idle_loop is not None and (
            inspect.isawaitable(result) or hasattr(result, "__aiter__")
        ):  # `process` is a plain function, but this (say, `finish`) needs the loop
            self.idle_loop.run_until_complete(self._emit_all(result))
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
        elif hasattr(result, "__iter__"):
            for item in result:
                await self._send(item)
        else:
            raise DataError(
                f"process returned {result.__class__.__name__}; return None, RuntimeData, a list "
                "of them, or yield them (RuntimeData.json(…) holds numbers)"
            )

    async def _send(self, item: Any) -> None:  # noqa: ANN401
        if item is None:
            return
        data = RuntimeData.of(item)
        # What was received names the input that it came on, and may be returned as it is.
        outlet = self.outlet_for(data, returned_input=data.sequence is not None)
        wanted = self._init.outputs[outlet.port]
        if wanted != "any":
            _check_type(f"output {outlet.port!r} gives", wanted, data)
        if not data.session_id:
            data.session_id = self._init.session_id
        await outlet.send(data)
        if self._stopping():
            raise Stopped

    def outlet_for(self, data: RuntimeData, *, returned_input: bool = False) -> Outlet:
        """Return the output that data is to leave by.

        Raises:
            DataError: There is no such output, or it has to be named.
        """
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


def _check_type(port: str, wanted: str, data: RuntimeData) -> None:
    given = data.type.value
    if given != wanted:
        raise DataError(f"{port} {wanted} data, got {given}")
