"""Clocks: callables that return an aware UTC instant.

An instant is passed inward; a clock is read only at the edge. The system's clock is looked up when called, so that freezegun works.
"""

from __future__ import annotations

import builtins
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


def skewed(clock: Clock, skew: timedelta) -> Clock:
    """The same clock, wrong by `skew`: a phone's clock need not agree with its server's."""
    return lambda: clock() + skew


def rfc3339(instant: datetime) -> str:
    """UTC with microseconds and `Z`: fixed width, so that text order is time order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"  # its offset, +00:00, told by Z


def parse_instant(text: str, field: str = "instant") -> datetime:
    """The instant of an ISO 8601 text; without an offset it is taken as UTC."""
    try:
        instant = stored_instant(text)
    except (ValueError, TypeError) as error:
        raise FormatError(field, "an ISO 8601 instant, such as 2026-01-31T12:00:00Z") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
