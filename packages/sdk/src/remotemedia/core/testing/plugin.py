"""The pytest plugin: fixtures for tests of nodes. Nothing is imported before one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remotemedia.core.testing.harness import NodeHarness


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
