"""The configuration of `acme_gain`."""

from __future__ import annotations

import msgspec


class GainConfig(msgspec.Struct, forbid_unknown_fields=True):
    """How loud.

    Attributes:
        factor: What samples are multiplied with.
    """

    factor: float = 2.0
