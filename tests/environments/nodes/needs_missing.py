"""A node whose module can't be imported: whoever only looks must not try."""

from __future__ import annotations

import a_library_that_nobody_has  # noqa: F401

from remotemedia.core.multiprocessing import MultiprocessNode, register_node


@register_node("needs_missing", requirements=["packaging==23.0"])
class NeedsMissing(MultiprocessNode):
    """Can't even be imported."""
