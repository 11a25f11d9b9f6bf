"""What befalls a phone as a whole (issue 3, "Behaviour"): enrolment of biometrics, lock removal, reboot, backup and restore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from authenticator import device_events as events
from authenticator.errors import Unreadable
from authenticator.locks import Result, enter_credential, present_biometric
from authenticator.phone import Phone
from authenticator.sensor import DEFAULT_PIN
from authenticator.state import Credential, Enrolment, Session
from device_keys.clock import SteeredClock
from device_keys.entropy import SeededEntropy
from device_keys.secure_hardware import Gate, KeyInvalidated, KeyUnknown

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRETS = ("device-token-value", "access-token-value", "refresh-token-value", "api-key-value")


def new_phone(home: Path) -> Phone:
    return Phone(home, clock=SteeredClock(NOW), entropy=SeededEntropy(home.name), secret=bytes(32))


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    """A phone with a possession key and a biometric key for one bank."""
    made = new_phone(tmp_path / "phone")
    with made.edit() as state:
        keys = [made.hardware.generate(gate=gate) for gate in (Gate.NONE, Gate.BIOMETRIC)]
        enrolment = Enrolment(
            server="http://bank",
            dialect="bank",
            user="user",
            number="+447700900123",
            api_key=SECRETS[3],
            profile="pixel-9",
            base="/bank",
            device_id="device",
            device_token=SECRETS[0],
            credentials=tuple(
                Credential(factor=factor, key_id=key, credential_id=key)
                for factor, key in zip(("possession", "biometric"), keys, strict=True)
            ),
            session=Session(access_token=SECRETS[1], refresh_token=SECRETS[2]),
        )
        state.enrolments[enrolment.name] = enrolment
    return made


def usable(phone: Phone) -> int:
    return len(events.usable_keys(phone, phone.enrolment("http://bank", "bank")))


def test_a_new_finger_kills_the_biometric_key_and_the_sensor_has_one_more(phone: Phone) -> None:
    assert usable(phone) == 2
    events.enrol_biometric(phone)
    assert usable(phone) == 1
    assert phone.state.locks is not None
    assert phone.state.locks.sensor.enrolled == 2
    with pytest.raises(KeyInvalidated):
        phone.hardware.begin(phone.enrolment("http://bank", "bank").key_ids[1])


def test_removing_biometrics_leaves_neither_sensor_nor_key(phone: Phone) -> None:
    events.remove_biometrics(phone)
    assert usable(phone) == 1
    assert phone.state.locks is not None
    assert present_biometric(phone.state.locks, Result.MATCH, NOW)[1].result is Result.NOT_ENROLLED


def test_a_changed_pin_keeps_every_key(phone: Phone) -> None:
    events.set_screen_lock(phone, "97531")
    assert usable(phone) == 2
    assert phone.state.locks is not None
    assert enter_credential(phone.state.locks, "97531", NOW)[1].matched
    assert not enter_credential(phone.state.locks, DEFAULT_PIN, NOW)[1].matched


def test_removing_the_lock_kills_gated_keys_and_a_new_lock_does_not_revive_them(phone: Phone) -> None:
    events.remove_screen_lock(phone)
    assert usable(phone) == 1
    events.set_screen_lock(phone, "97531")
    events.enrol_biometric(phone)
    assert usable(phone) == 1


def test_before_the_first_unlock_after_a_reboot_no_biometric_counts(phone: Phone) -> None:
    events.reboot(phone)
    assert phone.hardware.boot_count == 2
    assert phone.state.locks is not None
    assert present_biometric(phone.state.locks, Result.MATCH, NOW)[1].result is Result.CREDENTIAL_REQUIRED
    unlocked, outcome = enter_credential(phone.state.locks, DEFAULT_PIN, NOW)
    assert outcome.matched
    assert present_biometric(unlocked, Result.MATCH, NOW)[1].matched
    assert usable(phone) == 2, "a reboot kills no key"


def test_events_are_kept_in_the_sealed_store(phone: Phone, tmp_path: Path) -> None:
    events.enrol_biometric(phone)
    events.reboot(phone)
    again = new_phone(tmp_path / "phone")
    assert usable(again) == 1
    assert again.hardware.boot_count == 2
    assert again.state.locks == phone.state.locks


def test_a_backup_holds_no_secret(phone: Phone) -> None:
    backup = events.back_up(phone).decode()
    hardware = phone.hardware.state
    for secret in (*SECRETS, *(key["private"] for key in hardware["keys"]), hardware["mac_key"], DEFAULT_PIN + '"'):
        assert secret not in backup


def test_keys_do_not_come_along_to_another_phone(phone: Phone, tmp_path: Path) -> None:
    """RTS Art. 7(2): possession is not replicated; the other phone must be associated anew (Art. 24)."""
    other = new_phone(tmp_path / "other")
    restored = events.restore(other, events.back_up(phone))
    assert [one.user for one in restored] == ["user"]
    enrolment = other.enrolment("http://bank", "bank")
    assert (enrolment.device_token, enrolment.session, usable(other)) == ("", None, 0)
    for key_id in enrolment.key_ids:
        with pytest.raises(KeyUnknown):
            other.hardware.sign(key_id, b"data")


def test_restoring_does_not_touch_what_works(phone: Phone) -> None:
    assert events.restore(phone, events.back_up(phone)) == []
    assert usable(phone) == 2
    assert phone.enrolment("http://bank", "bank").device_token == SECRETS[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format":"stepup-phone-backup/1"}',
        b'{"format":"stepup-phone-backup/1","enrolments":[{}]}',
    ],
)
def test_what_is_no_backup_is_one_clear_error(phone: Phone, data: bytes) -> None:
    with pytest.raises(Unreadable, match="no backup"):
        events.restore(phone, data)
