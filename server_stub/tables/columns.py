"""How values stand in columns: instants as RFC 3339, all else that has structure as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from device_keys.clock import rfc3339, stored_instant


def maybe_instant(text: str | None) -> datetime | None:
    """An instant, where the column holds one."""
    return None if text is None else stored_instant(text)


def maybe_text(instant: datetime | None) -> str | None:
    """The column for an instant that may be missing."""
    return None if instant is None else rfc3339(instant)


def json_text(value: Any) -> str:
    """The column for a document."""
    return msgspec.json.encode(value).decode()
