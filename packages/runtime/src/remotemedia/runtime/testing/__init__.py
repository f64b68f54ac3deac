"""What tests with real processes need; the fixtures are in the pytest plugin of the SDK.

`remotemedia.core.testing` holds what needs no runtime.
"""

from __future__ import annotations

from remotemedia.runtime.testing.leftovers import Machine as Machine
from remotemedia.runtime.testing.live_session import LiveSession as LiveSession
from remotemedia.runtime.testing.live_session import LiveTimeout as LiveTimeout

__all__ = ["LiveSession", "LiveTimeout", "Machine"]
