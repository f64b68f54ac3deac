"""What tests of nodes need: a harness, data, and the contract that every node keeps.

The names are imported when they are used, so that the pytest plugin beside them costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotemedia.core.testing.async_harness import AsyncNodeHarness as AsyncNodeHarness
    from remotemedia.core.testing.contract import check_node_contract as check_node_contract
    from remotemedia.core.testing.harness import NodeHarness as NodeHarness
    from remotemedia.core.testing.report import ContractError as ContractError
    from remotemedia.core.testing.samples import chunks as chunks
    from remotemedia.core.testing.samples import long_text as long_text
    from remotemedia.core.testing.samples import silence as silence
    from remotemedia.core.testing.samples import speech as speech
    from remotemedia.core.testing.samples import tensor as tensor
    from remotemedia.core.testing.samples import texts as texts
    from remotemedia.core.testing.samples import video as video
    from remotemedia.core.testing.steps import NodeTimeout as NodeTimeout
    from remotemedia.core.testing.strange import garbage as garbage

_HOMES = {
    "AsyncNodeHarness": "async_harness",
    "ContractError": "report",
    "NodeHarness": "harness",
    "NodeTimeout": "steps",
    "check_node_contract": "contract",
    "chunks": "samples",
    "garbage": "strange",
    "long_text": "samples",
    "silence": "samples",
    "speech": "samples",
    "tensor": "samples",
    "texts": "samples",
    "video": "samples",
}

__all__ = [
    "AsyncNodeHarness",
    "ContractError",
    "NodeHarness",
    "NodeTimeout",
    "check_node_contract",
    "chunks",
    "garbage",
    "long_text",
    "silence",
    "speech",
    "tensor",
    "texts",
    "video",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
