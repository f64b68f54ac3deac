"""Seeds: one that is always the same, and a new one for each run; both are in the tests' names."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_TEST_SECS = 60
# To see a failure again: REMOTEMEDIA_STRESS_SEED=<the seed in the test's name>
# Processes that share a run's tests have to agree on their names.
_RUN = int(os.environ.get("PYTEST_XDIST_TESTRUNUID", "0"), 16) or secrets.randbits(64)
_NEW_SEED = int(os.environ.get("REMOTEMEDIA_STRESS_SEED", _RUN % 1_000_000))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TEST_SECS))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, seeds in (("seed", [_NEW_SEED]), ("each_seed", [1, _NEW_SEED])):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, seeds, ids=lambda seed: f"seed={seed}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
