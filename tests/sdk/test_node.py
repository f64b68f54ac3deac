"""MultiprocessNode without a runtime: a node can be tried out alone."""

from __future__ import annotations

import numpy as np
import pytest

from remotemedia.core.data import DataType, RuntimeData
from remotemedia.core.errors import DataError
from remotemedia.core.node import MultiprocessNode


class Node(MultiprocessNode):
    def process(self, data: RuntimeData) -> RuntimeData:
        return data


def test_a_node_needs_a_process() -> None:
    with pytest.raises(TypeError, match="process"):
        MultiprocessNode()  # type: ignore[abstract]


def test_alone_it_has_an_empty_config_that_can_not_be_written() -> None:
    node = Node()
    assert node.config.get("rate", 5) == 5
    with pytest.raises(TypeError):
        node.config["rate"] = 1


def test_alone_progress_goes_nowhere() -> None:
    Node().report_progress(0.5, "half")


@pytest.mark.parametrize(
    ("fmt", "channels", "dtype", "shape"),
    [("f32", 1, "<f4", (8,)), ("i16", 2, "<i2", (8, 2)), ("f64", 1, "<f8", (8,))],
)
def test_loaned_audio_has_the_shape_that_was_asked_for(
    fmt: str, channels: int, dtype: str, shape: tuple[int, ...]
) -> None:
    data = Node().loan_audio(8, 16000, channels, format=fmt)
    array = data.as_numpy()
    assert (data.type, array.dtype, array.shape) == (DataType.AUDIO, np.dtype(dtype), shape)
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("fmt", "shape"), [("rgb24", (4, 6, 3)), ("rgba", (4, 6, 4)), ("gray8", (4, 6))]
)
def test_loaned_video_has_the_shape_of_its_format(fmt: str, shape: tuple[int, ...]) -> None:
    assert Node().loan_video(4, 6, format=fmt).as_numpy().shape == shape


def test_loaned_tensors_may_be_several() -> None:
    data = Node().loan_tensor({"a": ((2, 3), "int64"), "b": ((), "f4")})
    assert {name: (a.shape, a.dtype.str) for name, a in data.payload.items()} == {
        "a": ((2, 3), "<i8"),
        "b": ((), "<f4"),
    }
    data.as_numpy("a")[:] = 1


@pytest.mark.parametrize("frames", [-1, 2.5, "8"])
def test_a_loan_of_an_impossible_size_is_an_error(frames: object) -> None:
    with pytest.raises(DataError, match=r"frames|shape"):
        Node().loan_audio(frames, 16000)  # type: ignore[arg-type]


def test_a_loan_in_an_unknown_format_is_an_error() -> None:
    with pytest.raises(DataError, match="'mp3' is unknown"):
        Node().loan_audio(8, 16000, format="mp3")


@pytest.mark.parametrize("dtype", ["O", "U3", "M8[s]", "no dtype"])
@pytest.mark.parametrize("several", [False, True])
def test_a_loan_of_a_dtype_that_can_not_be_shared_is_an_error(dtype: str, *, several: bool) -> None:
    node = Node()
    with pytest.raises(DataError, match=r"can't be shared|or dtype 'no dtype'"):
        node.loan_tensor({"a": ((2,), dtype)} if several else (2,), dtype)
