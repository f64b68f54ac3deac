"""What importing costs, and what is imported only when it is used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HEAVY = ("numpy", "iceoryx2", "asyncio", "psutil", "anyio", "rich", "click")


def imported_by(run_program: Callable[..., str], statement: str) -> set[str]:
    source = f"import sys\n{statement}\nprint(*sys.modules)"
    return {name.partition(".")[0] for name in run_program(source).split()}


def test_a_plugin_module_imports_no_numpy(run_program: Callable[..., str]) -> None:
    statement = "from remotemedia.core.plugin import NodeSpec, Port, hookimpl"
    found = imported_by(run_program, statement)
    assert found.isdisjoint(HEAVY)


def test_a_node_module_imports_no_runtime(run_program: Callable[..., str]) -> None:
    statement = "from remotemedia.core.multiprocessing import MultiprocessNode, register_node"
    source = f"import sys\n{statement}\nprint(*sys.modules)"
    assert not any(name.startswith("remotemedia.runtime") for name in run_program(source).split())


def test_the_runtime_imports_nothing_heavy_by_itself(run_program: Callable[..., str]) -> None:
    assert imported_by(run_program, "import remotemedia.runtime").isdisjoint(HEAVY)


def test_session_and_pipeline_are_those_of_the_runtime() -> None:
    from remotemedia import runtime
    from remotemedia.core import multiprocessing

    assert multiprocessing.Session is runtime.Session
    assert multiprocessing.Pipeline is runtime.Pipeline


def test_without_the_runtime_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import remotemedia
    from remotemedia.core import multiprocessing

    monkeypatch.delattr(remotemedia, "runtime", raising=False)
    monkeypatch.setitem(sys.modules, "remotemedia.runtime", None)
    with pytest.raises(ImportError, match=r"pip install 'remotemedia-sdk\[multiprocess\]'"):
        multiprocessing.Session  # noqa: B018


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    from remotemedia import runtime
    from remotemedia.core import multiprocessing

    for module in (multiprocessing, runtime):
        with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
            module.Sesion  # noqa: B018


@pytest.mark.parametrize("module", ["remotemedia.core.multiprocessing", "remotemedia.runtime"])
def test_everything_that_is_promised_is_there(module: str) -> None:
    import importlib

    found = importlib.import_module(module)
    assert all(hasattr(found, name) for name in found.__all__)
    assert list(found.__all__) == sorted(found.__all__)
