"""What happens to a phone as a whole: lock, sensor and secure hardware change together, as phone-behaviour section 1 says.

Each event takes the state inside `Phone.edit`, so that all of it is saved or none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from authenticator import locks as rules
from authenticator.errors import Unreadable
from authenticator.sensor import locks_of
from authenticator.state import Enrolment
from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, parse_json_object

if TYPE_CHECKING:
    from authenticator.phone import Phone

BACKUP_FORMAT: Final = "stepup-phone-backup/1"


def enrol_biometric(phone: Phone) -> None:
    """A finger or face more: keys bound to the old set are dead for good (Android's default; iOS: biometryCurrentSet)."""
    with phone.edit() as state:
        state.locks = rules.enrol_biometric(locks_of(phone, state, phone.now()))
        phone.hardware.enrol_biometric()


def remove_biometrics(phone: Phone) -> None:
    """No finger or face is left: biometric keys are dead for good."""
    with phone.edit() as state:
        state.locks = rules.remove_biometrics(locks_of(phone, state, phone.now()))
        phone.hardware.remove_biometrics()


def set_screen_lock(phone: Phone, pin: str) -> None:
    """The screen lock has this PIN. A change keeps all keys; a first lock makes a new user of the hardware."""
    with phone.edit() as state:
        state.locks = rules.set_credential(locks_of(phone, state, phone.now()), pin, phone.entropy)
        phone.hardware.set_screen_lock()


def remove_screen_lock(phone: Phone) -> None:
    """No screen lock, no biometrics, and every gated key dead for good."""
    with phone.edit() as state:
        state.locks = rules.remove_credential(locks_of(phone, state, phone.now()))
        phone.hardware.remove_screen_lock()


def reboot(phone: Phone) -> None:
    """Tokens are void, waits start again where the platform says so, and no biometric counts before the first unlock."""
    with phone.edit() as state:
        now = phone.now()
        state.locks = rules.reboot(locks_of(phone, state, now), now)
        phone.hardware.reboot()


def back_up(phone: Phone) -> bytes:
    """What a phone's backup holds: which banks it was enrolled at. Keys are bound to the device, tokens and locks to its hardware: none
    of them comes along, nor any other secret."""
    enrolments = [msgspec.to_builtins(_without_secrets(one)) for one in phone.state.enrolments.values()]
    made: dict[str, Any] = {"format": BACKUP_FORMAT, "madeAt": rfc3339(phone.now()), "enrolments": enrolments}
    return json.dumps(made, indent=1).encode()


def _without_secrets(enrolment: Enrolment) -> Enrolment:
    return msgspec.structs.replace(enrolment, device_token="", session=None, api_key="")


def restore(phone: Phone, backup: bytes) -> list[Enrolment]:
    """Another phone, or this one after a wipe, knows the backup's enrolments again; it cannot sign for them and must enrol anew.

    Enrolments that work on this phone stay as they are. Raises Unreadable for anything that is no backup.
    """
    try:
        record = parse_json_object(backup, "backup")
        if record.get("format") != BACKUP_FORMAT:
            raise FormatError("backup.format", BACKUP_FORMAT)
        found = msgspec.convert(record.get("enrolments"), list[Enrolment])
    except (FormatError, msgspec.ValidationError) as error:
        raise Unreadable("unreadable_backup", f"This is no backup of a phone: {error}") from error
    with phone.edit() as state:
        restored = [one for one in found if one.name not in state.enrolments]
        state.enrolments.update({one.name: _without_secrets(one) for one in restored})
    return restored


def usable_keys(phone: Phone, enrolment: Enrolment) -> list[str]:
    """The enrolment's keys that this phone's hardware has and that were not invalidated."""
    alive = {info.key_id for info in phone.hardware.keys() if not info.invalidated}  # noqa: SIM118 — not a dict
    return [key_id for key_id in enrolment.key_ids if key_id in alive]
