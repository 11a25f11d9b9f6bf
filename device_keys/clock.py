"""Clocks: callables that return an aware UTC instant.

An instant is passed inward; a clock is read only at the edge. The system's clock is looked up when called, so that freezegun works.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from device_keys.encoding import FormatError

Clock = Callable[[], datetime]


class _Genuine:
    """The interpreter's own class, out of freezegun's reach.

    While time is frozen, every module's name `datetime` stands for freezegun's class, whose values and type msgspec can neither encode
    nor decode. So instants are made genuine where they enter, and stored records are typed with `Instant`.
    """

    type: Final[builtins.type[datetime]] = next(cls for cls in datetime.__mro__ if cls.__module__ == "datetime")


if TYPE_CHECKING:
    Instant = datetime
else:
    Instant = Annotated[_Genuine.type, "an aware instant"]

# The instant of a text that this program wrote itself (by `rfc3339` or `isoformat`).
stored_instant: Final[Callable[[str], datetime]] = _Genuine.type.fromisoformat
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 8999
_FIRST: Final = _Genuine.type(FIRST_YEAR, 1, 1, tzinfo=UTC)
_LAST: Final = _Genuine.type(LAST_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC)
LAST_INSTANT: Final[datetime] = _Genuine.type.max.replace(tzinfo=UTC)


def system_clock() -> datetime:
    """Now, in UTC, as the machine (or freezegun) has it."""
    now = datetime.now(UTC)
    return now if type(now) is _Genuine.type else genuine(_frozen_now())


def _frozen_now(depth: int = 5) -> datetime:
    """freezegun gives the real time to callers within five frames of `threading`, where a worker's own work begins: stay below that."""
    return datetime.now(UTC) if depth == 0 else _frozen_now(depth - 1)


def is_frozen() -> bool:
    """Whether freezegun holds the time at this moment."""
    return datetime is not _Genuine.type


def genuine(instant: datetime) -> datetime:
    """The same instant as a value of the interpreter's own class."""
    return _Genuine.type.combine(instant.date(), instant.timetz())


class SteeredClock:
    """A clock that stands still or runs with an offset, as told: for tests and for `--clock`."""

    def __init__(self, start: datetime | None = None, *, source: Clock = system_clock) -> None:
        self._source = source
        self._frozen = start
        self._offset = timedelta()

    def __call__(self) -> datetime:
        return self._frozen if self._frozen is not None else self._source() + self._offset

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def set(self, instant: datetime) -> None:
        """Stand still at `instant`."""
        self._frozen = instant

    def advance(self, seconds: float) -> None:
        """Go forward, standing or running as before."""
        if self._frozen is not None:
            self._frozen += timedelta(seconds=seconds)
        else:
            self._offset += timedelta(seconds=seconds)

    def release(self) -> None:
        """Run again with the source's time."""
        self._frozen, self._offset = None, timedelta()


def within_calendar(instant: datetime, skew: timedelta) -> datetime:
    """`instant + skew`, or the nearest instant that a clock may show."""
    try:
        moved = instant + skew
    except OverflowError:
        return _FIRST if skew < timedelta() else _LAST
    return max(_FIRST, min(moved, _LAST))


def rfc3339(instant: datetime) -> str:
    """UTC with microseconds and `Z`: fixed width, so that text order is time order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"  # its offset, +00:00, told by Z


_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
EXPECTED: Final = "an ISO 8601 instant, such as 2026-01-31T12:00:00Z"


def parse_instant(text: object, field: str = "instant") -> datetime:
    """The UTC instant of an ISO 8601 text, without an offset taken as UTC: the one reader of instants that come from others.

    It takes a date, or a date and a time with `T` or a space between, seconds and up to nine digits of their fraction (of which six are
    kept) being optional. All else, and what no calendar holds in UTC (24:00, leap seconds, the first hours of the year 1 in the east),
    is a `FormatError`.
    """
    if not isinstance(text, str) or _INSTANT.fullmatch(text) is None:
        raise FormatError(field, EXPECTED)
    if text[11:13] == "24":
        raise FormatError(field, EXPECTED)  # later versions of Python take it for the next day
    try:
        instant = stored_instant(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FormatError(field, EXPECTED) from error


def parse_clock(text: object, field: str) -> datetime:
    """As `parse_instant`, for a clock to be set: its years are those of `check_calendar`."""
    return check_calendar(parse_instant(text, field), field)


def check_calendar(instant: datetime, field: str) -> datetime:
    """The instant, if it lies from 1970 to 8999: far enough from the calendar's ends that every lifetime counted from it stays within."""
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise FormatError(field, f"an instant from {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def unix_instant(seconds: object, field: str) -> datetime:
    """The instant of a count of seconds since 1970, of the years that a clock may show."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise FormatError(field, "a number of seconds since 1970")
    try:
        return check_calendar(genuine(_Genuine.type.fromtimestamp(seconds, UTC)), field)
    except (ValueError, OverflowError, OSError) as error:
        raise FormatError(field, f"seconds since 1970, up to the year {LAST_YEAR}") from error
