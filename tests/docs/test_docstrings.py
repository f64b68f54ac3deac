"""Examples in docstrings, which the reference shows, do what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import remotemedia.core
import remotemedia.runtime


def with_examples() -> list[str]:
    return sorted(
        ".".join((package.__name__, *file.relative_to(folder).with_suffix("").parts))
        for package in (remotemedia.core, remotemedia.runtime)
        for folder in map(Path, package.__path__)
        for file in folder.rglob("*.py")
        if ">>> " in file.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("module", with_examples())
def test_examples_in_docstrings_are_right(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried
    assert failed == 0
