"""The time as the phone's server tells it: every answer's `Date` sets it, the machine's clock carries it on.

It moves in whole seconds, as `Date` does; so a run against a server whose clock stands still repeats byte for byte.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from device_keys.clock import Clock, check_calendar, genuine, system_clock


class NetworkTime:
    """A clock that follows the last `Date` heard; before the first it is the machine's own."""

    def __init__(self, source: Clock = system_clock) -> None:
        self._source = source
        self._heard: tuple[datetime, datetime] | None = None

    def __call__(self) -> datetime:
        if self._heard is None:
            return self._source()
        date, at = self._heard
        return date + timedelta(seconds=max(0, int((self._source() - at).total_seconds())))

    def hear(self, date: str | None) -> None:
        """Follow this `Date` header; an absent or unreadable one changes nothing."""
        try:
            instant = parsedate_to_datetime(date or "")
            heard = check_calendar(instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC), "Date")
        except (ValueError, TypeError, OverflowError):
            return
        self._heard = (genuine(heard), self._source())
