"""MultiprocessNode: what a node author writes."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from remotemedia.core.data import (
    AUDIO_FORMATS,
    AudioMetadata,
    DataType,
    RuntimeData,
    TensorMetadata,
    VideoMetadata,
)
from remotemedia.core.errors import DataError
from remotemedia.core.loans import ordinary

__all__ = ["MultiprocessNode", "NodeContext", "Output", "ProcessResult", "make_node"]

#: What one call of `process` may give: nothing, one item, or several.
Output: TypeAlias = RuntimeData | Sequence[RuntimeData] | None
#: What `process` may return, whichever way it is written.
ProcessResult: TypeAlias = (
    Output | Awaitable[Output] | Iterator[RuntimeData] | AsyncIterator[RuntimeData]
)

_NO_CONFIG: Mapping[str, Any] = MappingProxyType({})


class NodeContext(Protocol):
    """What the process that runs a node does for it."""

    def report_progress(self, fraction: float, message: str) -> None:
        """Tell the application how far the node is with loading."""

    def loan(self, blank: RuntimeData) -> RuntimeData:
        """Return data of the same kind whose payload lies in the output's shared memory."""

    def waiting(self, port: str) -> int:
        """Return how many items wait on an input."""

    @property
    def stopping(self) -> bool:
        """Whether the node is to stop."""


class _Alone:
    """The context of a node that no runtime runs: progress goes nowhere, loans are ordinary."""

    stopping = False

    def report_progress(self, fraction: float, message: str) -> None:
        del fraction, message

    def loan(self, blank: RuntimeData) -> RuntimeData:
        return ordinary(blank)

    def waiting(self, port: str) -> int:
        del port
        return 0


class MultiprocessNode(ABC):
    """A node: one step of a pipeline, alone in its process.

    The runtime calls `initialize` once, then `process` for one item after the other and in order,
    `finish` when the input has ended, and `cleanup` at last, also when one of the others failed.
    Each may be a coroutine function or a plain one.

    Attributes:
        node_id: The node's name in its pipeline.
        session_id: The session that it works for.
        config: A read-only mapping; or, where the node type declares one, its config struct.
    """

    node_id: str = ""
    session_id: str = ""
    config: Any = _NO_CONFIG  # Any: a mapping, or the struct that the node type declares
    _context: NodeContext = _Alone()

    def initialize(self) -> Awaitable[None] | None:
        """Load models and other resources; `report_progress` tells those who wait."""
        return None

    @abstractmethod
    def process(self, data: RuntimeData) -> ProcessResult:
        """Work on one item.

        May be a coroutine function, a plain function, a generator or an async generator. Plain
        ones may block: the process answers the runtime all the same. Each item leaves when it is
        returned or yielded, by the output that its `port` names or the only one.

        Args:
            data: The item; its arrays are read-only and stay valid as long as they are alive.

        Returns:
            Nothing, one item, several, or an iterator that yields them as they are made.
        """

    def finish(self) -> ProcessResult:
        """Give what is still held back: all input has ended and nothing more will come."""
        return None

    def cleanup(self) -> Awaitable[None] | None:
        """Release what `initialize` took."""
        return None

    # ---- what a node may ask for

    def report_progress(self, fraction: float, message: str = "") -> None:
        """Tell the application how far loading is.

        Args:
            fraction: From 0 to 1.
            message: What is being done, in a few words.
        """
        self._context.report_progress(min(max(float(fraction), 0.0), 1.0), message)

    @property
    def stopping(self) -> bool:
        """Whether the session stops: nobody will take what `process` is still making.

        The runtime looks after each item that `process` yields. What computes for long between two
        items, or returns one at the end, looks here from time to time and returns early.
        """
        return self._context.stopping

    def waiting(self, port: str) -> int:
        """Return how many items wait on an input, without taking one.

        So a node that works on an item for long can tell that another input has news for it, such
        as that the item is not wanted any more. It returns early then, and gets the news next.

        Args:
            port: One of the node's inputs; nothing ever waits where nothing is connected.
        """
        return self._context.waiting(port)

    def loan_audio(
        self,
        frames: int,
        sample_rate: int,
        channels: int = 1,
        *,
        format: str = "f32",  # noqa: A002 - the field's word
        port: str | None = None,
    ) -> RuntimeData:
        """Take audio memory from the output, to be filled in place and returned without a copy.

        Args:
            frames: Samples per channel.
            sample_rate: In Hz.
            channels: Shape is `(frames,)` for one channel, else `(frames, channels)`.
            format: Sample format, as in `AudioMetadata`.
            port: The output that it will leave by; may be left out where there is only one.

        Returns:
            RuntimeData whose `as_numpy()` is writable and uninitialized. Dropped unsent, its
            memory goes back; it has to be sent before the next item is processed.

        Raises:
            LoanError: Too many loans are out at once.
            ChannelFullError: It is larger than the channel may ever hold.
        """
        metadata = AudioMetadata(sample_rate=sample_rate, channels=channels, format=format)
        shape = (frames,) if channels == 1 else (frames, channels)
        array = _shape_only(shape, AUDIO_FORMATS.get(format, np.dtype("<f4")))
        return self._context.loan(RuntimeData(DataType.AUDIO, array, "", None, metadata, port))

    def loan_video(
        self,
        height: int,
        width: int,
        *,
        format: str = "rgb24",  # noqa: A002 - the field's word
        frame_rate: float | None = None,
        port: str | None = None,
    ) -> RuntimeData:
        """Take the memory of one video frame from the output; see `loan_audio`."""
        metadata = VideoMetadata(width=width, height=height, format=format, frame_rate=frame_rate)
        planes = {"rgba": (4,), "gray8": ()}.get(format, (3,))
        array = _shape_only((height, width, *planes), np.dtype("u1"))
        return self._context.loan(RuntimeData(DataType.VIDEO, array, "", None, metadata, port))

    def loan_tensor(
        self,
        shape: Sequence[int] | Mapping[str, tuple[Sequence[int], np.dtype[Any] | str]],
        dtype: np.dtype[Any] | str = "float32",
        *,
        port: str | None = None,
    ) -> RuntimeData:
        """Take the memory of an array from the output, or of several; see `loan_audio`.

        Args:
            shape: The array's shape; or a dict of `name: (shape, dtype)` for several arrays.
            dtype: The array's dtype.
            port: The output that it will leave by.
        """
        # The first question costs a tenth of the second.
        if isinstance(shape, tuple) or not isinstance(shape, Mapping):
            array = _shape_only(shape, dtype)
            blank = RuntimeData._unchecked(  # noqa: SLF001 - the same package
                DataType.TENSOR, array, TensorMetadata(), port
            )
        else:
            arrays = {name: _shape_only(s, d) for name, (s, d) in shape.items()}
            blank = RuntimeData(DataType.TENSOR, arrays, "", None, TensorMetadata(), port)
        return self._context.loan(blank)


def make_node(
    cls: type[MultiprocessNode],
    node_id: str,
    session_id: str,
    config: Any,  # noqa: ANN401 - a mapping, or the struct that the node type declares
    context: NodeContext,
) -> MultiprocessNode:
    """Make a node as a runtime does: all that it knows of itself is there before `__init__`.

    Raises:
        TypeError: Its `__init__` wants arguments.
    """
    node = cls.__new__(cls)
    node.node_id, node.session_id, node.config = node_id, session_id, config
    node._context = context  # noqa: SLF001 - the runtime's side of the contract
    try:
        node.__init__()  # type: ignore[misc]
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # it comes from inside of it
        text = f"{error}; a node is made without arguments, and finds its settings in self.config"
        raise TypeError(text) from None
    return node


def _shape_only(shape: Sequence[int], dtype: np.dtype[Any] | str) -> np.ndarray[Any, Any]:
    """Return an array that has a shape and a dtype and takes no memory for its elements."""
    try:
        return _blank(tuple(shape), dtype)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"impossible shape {shape!r:.80} or dtype {dtype!r}: {error}") from error


@functools.lru_cache(maxsize=64)  # a stream's loans are all alike
def _blank(shape: tuple[int, ...], dtype: np.dtype[Any] | str) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    # np.broadcast_to does the same for six times the price.
    array = np.ndarray(shape, kind, bytes(kind.itemsize), 0, (0,) * len(shape))
    if array.shape != shape or min(shape, default=0) < 0:  # which np.ndarray takes
        raise DataError(f"impossible shape {shape!r:.80}: lengths must not be negative")
    RuntimeData.tensor(array)  # checks the dtype, once for all loans of this kind
    return array
