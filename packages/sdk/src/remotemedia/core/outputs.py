"""Outputs: takes apart what a node's `process` gave, and sends each item by its port."""

from __future__ import annotations

import inspect
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from remotemedia.core.data import RuntimeData
from remotemedia.core.errors import DataError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from remotemedia.core.loans import Loans

__all__ = ["Outlet", "Outputs", "Stopped", "check_type"]


class Stopped(BaseException):
    """Unwinds a node that is to stop."""


class Outlet(Protocol):
    """Where the items of one output go."""

    port: str
    loans: Loans

    async def send(self, data: RuntimeData) -> None:
        """Send an item; waits for room."""

    def send_now(self, data: RuntimeData) -> bool:
        """Send an item if nobody has to be waited for; returns whether it was sent."""


_Outlet = TypeVar("_Outlet", bound=Outlet)


class Outputs(Generic[_Outlet]):
    """The outputs of one node.

    Args:
        outlets: By port.
        types: The type of data that each port gives, or `any`.
        session_id: What items get that name no session.
        stopping: Says, after each item, whether the node is to stop.

    Attributes:
        idle_loop: An event loop that does not run, for what needs one although `process` is a
            plain function.
    """

    def __init__(
        self,
        outlets: Mapping[str, _Outlet],
        types: Mapping[str, str],
        session_id: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._outlets, self._types, self._session_id = outlets, types, session_id
        self._stopping = stopping
        self.idle_loop: asyncio.AbstractEventLoop | None = None

    def send_now(self, result: Any) -> bool:  # noqa: ANN401 - whatever a node returns
        """Send what `process` gave, if it is one item or none, and nobody has to be waited for.

        Returns:
            Whether that was done; if not, `emit` can.

        Raises:
            DataError: The item can't be sent, or the port that it names does not take it.
        """
        if result.__class__ is not RuntimeData:
            return result is None
        return self._addressed(result).send_now(result)

    async def emit(self, result: Any) -> None:  # noqa: ANN401 - whatever a node returns
        """Send what `process` gave, in whichever way it gives it.

        Raises:
            DataError: It is nothing that can be sent, or the port that it names does not take it.
            Stopped: The node is to stop.
        """
        if result.__class__ is CoroutineType and self.idle_loop is None:
            result = await result
        if self.send_now(result):
            if self._stopping():
                raise Stopped
        elif result.__class__ is RuntimeData:
            await self._send(result)
        elif result.__class__ is GeneratorType:
            try:
                for item in result:
                    if not self.send_now(item):
                        await self._send(item)
                    elif self._stopping():
                        raise Stopped
            finally:
                result.close()  # before the node cleans up, where this ends early
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
            if isinstance(result, (list, tuple)) and len(self._outlets) > 1:
                _check_distinct(result)
            for item in result:
                await self._send(item)
        else:
            raise DataError(
                f"process returned {result.__class__.__name__}; return None, RuntimeData, a list "
                "of them, or yield them (RuntimeData.json(…) holds numbers)"
            )

    async def _send(self, item: Any) -> None:  # noqa: ANN401
        if not self.send_now(item):
            data = RuntimeData.of(item)
            await self._addressed(data).send(data)
        if self._stopping():
            raise Stopped

    def _addressed(self, data: RuntimeData) -> _Outlet:
        """Return the output that an item leaves by, once it says all that it has to."""
        outlet = self._outlets.get(data.port or "")
        if outlet is None:
            # What was received names the input that it came on, and may be returned as it is.
            outlet = self.outlet_for(data, returned_input=data.sequence is not None)
        wanted = self._types[outlet.port]
        if wanted != "any":
            check_type(f"output {outlet.port!r} gives", wanted, data)
        if not data.session_id:
            data.session_id = self._session_id
        return outlet

    def outlet_for(self, data: RuntimeData, *, returned_input: bool = False) -> _Outlet:
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

    def check_loans(self) -> None:
        """Make sure that no loan outlives the item that it was taken for.

        Raises:
            LoanError: One does.
        """
        for outlet in self._outlets.values():
            if outlet.loans.out:
                outlet.loans.check_none()


def _check_distinct(items: Sequence[Any]) -> None:
    """Make sure that a list names no item twice: its port is one, and the last that was set."""
    seen: set[int] = set()
    for at, item in enumerate(items):
        if id(item) in seen and item.__class__ is RuntimeData:
            raise DataError(
                f"item {at + 1} of what process returned is the same RuntimeData as one before, "
                f"and an item leaves by one port ({item.port!r} is what it names last): return "
                "copy.copy(item) with another port, which shares the payload; or yield it once "
                "for each port"
            )
        seen.add(id(item))


def check_type(port: str, wanted: str, data: RuntimeData) -> None:
    """Make sure that data has the type of the port that it goes by.

    Args:
        port: For the message, as `input 'speech' takes`.
        wanted: The port's type.
        data: What is to pass.

    Raises:
        DataError: It has another one.
    """
    given = data.type.value
    if given != wanted:
        raise DataError(f"{port} {wanted} data, got {given}")
