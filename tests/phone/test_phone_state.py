"""The phone's home: sealed, shared by processes and threads, and its time (DESIGN sections 4 and 6)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from authenticator.approving import fetch, sign
from authenticator.enrolling import enrol
from authenticator.errors import Unreadable
from authenticator.network_time import NetworkTime
from authenticator.phone import STORE_FILE, Phone
from authenticator.state import POSSESSION, Enrolment
from device_keys.clock import SteeredClock
from device_keys.messages import parse_authenticator_data

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_network_time_follows_the_servers_date() -> None:
    source = SteeredClock(NOON)
    clock = NetworkTime(source)
    assert clock() == NOON
    clock.hear("Thu, 01 Jan 2032 00:00:00 GMT")
    assert clock() == datetime(2032, 1, 1, tzinfo=UTC)
    source.advance(2.9)
    assert clock() == datetime(2032, 1, 1, 0, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_an_unreadable_date_changes_nothing(date: str | None) -> None:
    clock = NetworkTime(SteeredClock(NOON))
    clock.hear(date)
    assert clock() == NOON


def test_network_time_never_runs_backwards_between_answers() -> None:
    source = SteeredClock(NOON)
    clock = NetworkTime(source)
    clock.hear("Thu, 01 Jan 2032 00:00:00 GMT")
    source.set(NOON - timedelta(hours=1))
    assert clock() == datetime(2032, 1, 1, tzinfo=UTC)


def test_the_phones_time_is_its_servers_plus_its_skew(phone: Phone, enrolled: Enrolment, bank: Any) -> None:
    """Two clocks; skew is the phone's own (traps 1)."""
    with phone.edit() as state:
        state.skew_seconds = 420
    assert abs(phone.now() - bank.now - timedelta(minutes=7)) < timedelta(seconds=5)


def test_a_given_clock_does_not_follow_the_server(make_phone: Callable[..., Phone], applicant: Any) -> None:
    phone = make_phone(clock=lambda: NOON - timedelta(days=400))
    enrolment = enrol(phone, applicant())
    assert enrolment.enrolled_at.startswith("2025-01-25")


def test_two_processes_see_each_others_changes(make_phone: Callable[..., Phone], bank: Any, applicant: Any) -> None:
    one, two = make_phone(), make_phone()
    enrolment = enrol(one, applicant())
    assert two.enrolment(bank.url, "bank") == enrolment


def test_threads_never_share_a_counter_value(make_phone: Callable[..., Phone], bank: Any, applicant: Any) -> None:
    """Two phones on one home, four threads: every signature has its own counter."""
    phones = [make_phone(), make_phone()]
    enrol(phones[0], applicant())
    bank.pending["t1"] = {"a": 1}
    counts: list[int] = []

    def work(phone: Phone) -> None:
        for _ in range(5):
            enrolment, step_up = fetch(phone, bank.url, "t1")
            assertion = sign(phone, enrolment, step_up, POSSESSION).assertion
            counts.append(parse_authenticator_data(assertion.authenticator_data).sign_count)

    threads = [threading.Thread(target=work, args=(phones[index % 2],)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == list(range(2, 22))


def test_a_change_that_fails_changes_nothing(phone: Phone, enrolled: Enrolment) -> None:
    def fail() -> None:
        with phone.edit() as state:
            state.enrolments.clear()
            phone.hardware.wipe()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert phone.enrolment(enrolled.server, "bank") == enrolled
    assert len(phone.hardware.keys()) == 2


def test_another_secret_does_not_open_the_store(make_phone: Callable[..., Phone], enrolled: Enrolment) -> None:
    """Keys at rest (DESIGN section 4): one clear error, no traceback."""
    with pytest.raises(Unreadable) as refused:
        make_phone(secret=b"x" * 32).state  # noqa: B018
    assert refused.value.exit_code == 3


def test_a_damaged_store_is_named(make_phone: Callable[..., Phone], phone: Phone, enrolled: Enrolment) -> None:
    store: Path = phone.home / STORE_FILE
    store.write_bytes(store.read_bytes()[:-40])
    with pytest.raises(Unreadable, match="truncated or altered"):
        make_phone().state  # noqa: B018


def test_a_wipe_leaves_no_key(phone: Phone, enrolled: Enrolment) -> None:
    phone.wipe()
    assert not phone.hardware.keys()
    assert not phone.state.enrolments
