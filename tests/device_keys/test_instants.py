"""Instants that come from others: one reader, total over any text."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_keys.clock import check_calendar, parse_clock, parse_instant, rfc3339, unix_instant, within_calendar
from device_keys.encoding import FormatError

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DIGITS = st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{0,10})?)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


@given(st.text(max_size=40) | DIGITS | st.none() | st.integers() | st.lists(st.text(max_size=3)))
def test_any_value_is_an_instant_or_a_format_error_that_names_the_field(text: Any) -> None:
    instant = read_or_name("device.signedAt", parse_instant, text)
    if instant is not None:
        assert instant.tzinfo is UTC
        assert parse_instant(rfc3339(instant)) == instant


def read_or_name(field: str, read: Callable[[Any, str], datetime], value: Any) -> datetime | None:
    """What `read` makes of a value; None for a format error, which must name the field, and for nothing else."""
    with suppress(FormatError):
        return read(value, field)
    with pytest.raises(FormatError) as caught:
        read(value, field)
    assert str(caught.value).startswith(f"{field}: expected ")
    return None


@given(st.datetimes(timezones=ZONES))
def test_every_instant_with_an_offset_is_read_exactly_if_utc_has_it(moment: datetime) -> None:
    since = moment.replace(tzinfo=UTC) - (moment.utcoffset() or timedelta()) if _in_utc(moment) else None
    if since is None:
        with pytest.raises(FormatError):
            parse_instant(moment.isoformat())
    else:
        assert parse_instant(moment.isoformat()) == since


def _in_utc(moment: datetime) -> bool:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-12-31T23:59:60Z",
        "2026-01-01T24:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-01-31T12:00:00z",
        "2026-01-31t12:00:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:00:30",
        "2026-01-31T12:00:00Z\n",
        "2026-W05-6T12:00:00Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "+2026-01-31T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "now",
        "",
    ],
)
def test_what_the_calendar_or_an_offset_cannot_hold_is_a_format_error(text: str) -> None:
    with pytest.raises(FormatError, match="signedAt"):
        parse_instant(text, "signedAt")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-31", 0),
        ("2026-01-31T00:00", 0),
        ("2026-01-31 00:00:00", 0),
        ("2026-01-31T00:00:00Z", 0),
        ("2026-01-31T01:00:00+01:00", 0),
        ("2026-01-30T23:00:00-0100", 0),
        ("2026-01-31T00:00:00-00:00", 0),
        ("2026-01-31T00:00:00.5Z", 0.5),
        ("2026-01-31T00:00:00.123456789Z", 0.123456),
    ],
)
def test_the_usual_forms_are_read(text: str, seconds: float) -> None:
    assert parse_instant(text) == datetime(2026, 1, 31, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_clock_stays_where_every_lifetime_is_in_the_calendar(text: str) -> None:
    with pytest.raises(FormatError, match="--clock: expected an instant from 1970 to 8999"):
        parse_clock(text, "--clock")


@given(st.integers() | st.floats() | st.text(max_size=3) | st.booleans())
def test_any_count_of_seconds_is_an_instant_or_a_format_error(seconds: Any) -> None:
    instant = read_or_name("timestamp", unix_instant, seconds)
    if instant is not None:
        assert check_calendar(instant, "timestamp") == instant


@given(st.datetimes(datetime(1970, 1, 1), datetime(8999, 12, 31)), st.timedeltas())  # noqa: DTZ001  # made aware below
def test_a_skewed_clock_stops_at_the_ends_of_the_years_that_clocks_show(instant: datetime, skew: timedelta) -> None:
    moved = within_calendar(instant.replace(tzinfo=UTC), skew)
    assert 1970 <= moved.year <= 8999
    if moved.year not in (1970, 8999):
        assert moved == instant.replace(tzinfo=UTC) + skew
