"""The pytest plugin: fixtures for tests of nodes. Nothing is imported before one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from remotemedia.core.testing.harness import NodeHarness
    from remotemedia.runtime.testing import LiveSession, Machine


@pytest.fixture
def node_harness() -> Iterator[Callable[..., NodeHarness]]:
    """Run a node without processes: `node_harness(GainNode, {"factor": 2}).feed(audio)`.

    Arguments are those of `remotemedia.core.testing.NodeHarness`. The node is initialized when
    this returns, and cleans up when the test ends.
    """
    from contextlib import ExitStack

    from remotemedia.core.testing.harness import NodeHarness

    with ExitStack() as started:
        yield lambda *args, **options: started.enter_context(NodeHarness(*args, **options))


@pytest.fixture
def node_contract() -> Callable[..., None]:
    """Check what every node must keep: `node_contract(GainNode)`.

    Arguments are those of `remotemedia.core.testing.check_node_contract`.
    """
    from remotemedia.core.testing.contract import check_node_contract

    return check_node_contract


@pytest.fixture
def node_samples() -> Any:  # noqa: ANN401 - a module
    """Data for tests: `node_samples.speech(2.0)`; see `remotemedia.core.testing.samples`."""
    from remotemedia.core.testing import samples

    return samples


# ---- with real processes: for those who have the runtime

_FAILED = pytest.StashKey[bool]()
_LEFT_WITHIN_SECS = 5.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note whether the test itself has failed, for `remotemedia_leaks`."""
    report = yield
    if report.when != "teardown":
        item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def remotemedia_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """What this run has on the machine; gives the run a TMPDIR of its own, to tell it by."""
    import tempfile

    try:
        from remotemedia.runtime.background import Background
        from remotemedia.runtime.testing import Machine
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("remotemedia"):
            raise
        need = "real processes need the runtime: pip install remotemedia-runtime"
        pytest.fail(need, pytrace=False)
    tmp = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp))
        patch.setattr(tempfile, "tempdir", None)
        Background.shared()  # a thread that stays, before anything is compared
        yield Machine(tmp)


@pytest.fixture
def remotemedia_leaks(
    remotemedia_machine: Machine, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Fail a test that leaves processes, threads, descriptors or shared memory behind."""
    before = remotemedia_machine.look()
    yield
    # The traceback of a test that has failed keeps alive what it has used.
    failed = request.node.stash.get(_FAILED, False)
    left = remotemedia_machine.left_since(before, 0.0 if failed else _LEFT_WITHIN_SECS)
    if left:
        remotemedia_machine.remove(before)
    if left and not failed:
        pytest.fail("left behind:\n" + "\n".join(sorted(left)))


@pytest.fixture
def remotemedia_session(
    remotemedia_leaks: None,  # noqa: ARG001 - what it leaves is looked at after it has ended
) -> Iterator[Callable[..., LiveSession]]:
    """Run a pipeline in real processes: `remotemedia_session("gain", {"factor": 2})`.

    Arguments are those of `remotemedia.runtime.testing.LiveSession`. The session is ready when
    this returns; it ends with the test, and nothing may be left of it then.
    """
    from contextlib import ExitStack

    from remotemedia.runtime.testing import LiveSession

    with ExitStack() as started:
        yield lambda *args, **options: started.enter_context(LiveSession(*args, **options))
