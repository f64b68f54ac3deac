"""The built wheels, as the `wheels` environment left them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def wheelhouse() -> Path:
    """The folder with the wheels and constraints.txt."""
    folder = os.environ.get("REMOTEMEDIA_WHEELS")
    if folder is None:
        pytest.skip("REMOTEMEDIA_WHEELS names no folder of built wheels: run this through tox")
    return Path(folder)
