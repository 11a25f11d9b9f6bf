"""The relying party that phone and server speak for, unless told otherwise (RFC 2606 keeps `.test` for this)."""

from __future__ import annotations

from typing import Final

DEFAULT_RP_ID: Final = "stepup-simulator.test"
DEFAULT_ORIGIN: Final = "https://stepup-simulator.test"
