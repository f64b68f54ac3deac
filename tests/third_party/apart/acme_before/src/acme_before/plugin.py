"""What the runtime asks; imports neither the node nor its libraries."""

from __future__ import annotations

import msgspec

from remotemedia.core.plugin import NodeSpec, hookimpl


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """What else it says.

    Attributes:
        greeting: Comes first.
    """

    greeting: str = "hello"


@hookimpl
def remotemedia_nodes() -> list[NodeSpec]:
    """Return the node types of this package."""
    summary = "Says which libraries it got."
    return [NodeSpec("acme_before", "acme_before.node:Node", config=Config, summary=summary)]
