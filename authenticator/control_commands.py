"""The commands of the control API: each a function of the phones and its parameters, listed in one table with its route."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from authenticator.client import ServerClient
from authenticator.control_events import Events
from authenticator.control_messages import (
    AddVirtualAuthenticator,
    AdvanceClock,
    Approve,
    Decline,
    Enrol,
    NoParameters,
    Parameters,
    Pay,
    Reset,
    SetAnswers,
    SetBiometric,
    SetClock,
    SetFault,
    SetPasscode,
    SetPhoneClock,
    SetProfile,
    SetUserVerified,
    Unlock,
)
from authenticator.control_phones import ControlledPhone, Phones, outcome_of
from authenticator.errors import PhoneError, Refused, UsageError
from device_keys.clock import parse_clock
from device_keys.encoding import FormatError


@dataclass(frozen=True, slots=True)
class Control:
    """Everything that a command may use."""

    phones: Phones
    server: ServerClient
    events: Events


@dataclass(frozen=True, slots=True)
class Asked:
    """One command as asked: path and query parameters, and the body's."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None

    def number(self, name: str) -> float:
        """A query parameter of seconds, from 0 to 300; 0 where it is absent."""
        try:
            value = float(self.query.get(name, "0"))
        except ValueError:
            value = -1
        if not 0 <= value <= 300:
            raise UsageError(f"{name}: expected seconds, from 0 to 300", field=name)
        return value


Run = Callable[[Control, Asked], Any]


@dataclass(frozen=True, slots=True)
class Command:
    """One route: method, path, what it does, and the type of its body."""

    method: str
    path: str
    summary: str
    run: Run
    parameters: type[Parameters] = NoParameters
    query: tuple[str, ...] = field(default=())


def _of_phone(run: Callable[[Control, ControlledPhone, Asked], Any]) -> Run:
    return lambda control, asked: run(control, control.phones.find(asked.path["authenticatorId"]), asked)


# --- phones --------------------------------------------------------------------------------------------------------------


def add(control: Control, asked: Asked) -> str:
    phone = control.phones.add(asked.body)
    control.events.publish("added", authenticatorId=phone.id, profile=phone.device.profile)
    return phone.id


def list_phones(control: Control, _: Asked) -> list[dict[str, Any]]:
    return [phone.describe() for phone in control.phones.list()]


def describe(_: Control, phone: ControlledPhone, __: Asked) -> dict[str, Any]:
    return phone.describe()


def remove(control: Control, phone: ControlledPhone, _: Asked) -> None:
    control.phones.remove(phone.id)
    control.events.publish("removed", authenticatorId=phone.id)


def wipe(control: Control, phone: ControlledPhone, _: Asked) -> None:
    phone.device.wipe()
    control.events.publish("wiped", authenticatorId=phone.id)


def get_credentials(_: Control, phone: ControlledPhone, __: Asked) -> list[dict[str, Any]]:
    """WebDriver's credential parameters, less the private key, which no hardware here gives away."""
    owned = {c.credential_id: (e, c) for e in phone.device.enrolments for c in e.credentials}
    rows = {row["credentialId"]: row for row in phone.device.keys() if row["credentialId"]}  # noqa: SIM118 — a list of key facts
    return [
        {
            "credentialId": name,
            "isResidentCredential": False,
            "rpId": enrolment.rp_id,
            "userName": enrolment.user,
            "signCount": rows[name]["counter"],
            "backupEligibility": False,
            "backupState": False,
            "factor": credential.factor,
            "algorithm": rows[name]["algorithm"],
            "securityLevel": rows[name]["securityLevel"],
            "invalidated": rows[name]["invalidated"],
        }
        for name, (enrolment, credential) in owned.items()
        if name in rows
    ]


def remove_credential(_: Control, phone: ControlledPhone, asked: Asked) -> None:
    phone.device.remove_credential(asked.path["credentialId"])


def remove_all_credentials(_: Control, phone: ControlledPhone, __: Asked) -> None:
    for enrolment in phone.device.enrolments:
        for credential in enrolment.credentials:
            phone.device.remove_credential(credential.credential_id)


def get_keys(_: Control, phone: ControlledPhone, __: Asked) -> list[dict[str, Any]]:
    return phone.device.keys()


def set_user_verified(_: Control, phone: ControlledPhone, asked: Asked) -> None:
    wanted: SetUserVerified = asked.body
    phone.device.biometric = "match" if wanted.is_user_verified else "no-match"


def set_biometric(_: Control, phone: ControlledPhone, asked: Asked) -> None:
    wanted: SetBiometric = asked.body
    phone.device.biometric = wanted.outcome


def set_passcode(_: Control, phone: ControlledPhone, asked: Asked) -> None:
    wanted: SetPasscode = asked.body
    phone.device.passcode = wanted.passcode


def set_profile(_: Control, phone: ControlledPhone, asked: Asked) -> None:
    wanted: SetProfile = asked.body
    phone.device.use_profile(wanted.profile)


def get_fault(_: Control, phone: ControlledPhone, __: Asked) -> dict[str, Any] | None:
    from authenticator.faults import find_fault

    return None if phone.device.fault is None else find_fault(phone.device.fault).to_json()


def set_fault(control: Control, phone: ControlledPhone, asked: Asked) -> None:
    wanted: SetFault = asked.body
    phone.device.fault = wanted.name
    control.events.publish("fault", authenticatorId=phone.id, name=wanted.name)


def clear_fault(control: Control, phone: ControlledPhone, _: Asked) -> None:
    phone.device.fault = None
    control.events.publish("fault", authenticatorId=phone.id, name=None)


def unlock(_: Control, phone: ControlledPhone, asked: Asked) -> None:
    wanted: Unlock = asked.body
    phone.device.unlock(wanted.pin)


def get_phone_clock(_: Control, phone: ControlledPhone, __: Asked) -> dict[str, Any]:
    return {**phone.device.clock(), "skewSeconds": phone.device.skew_seconds}


def set_phone_clock(control: Control, phone: ControlledPhone, asked: Asked) -> dict[str, Any]:
    wanted: SetPhoneClock = asked.body
    if isinstance(wanted.skew_seconds, float):
        phone.device.skew_seconds = wanted.skew_seconds
    if wanted.now is None:
        phone.device.stand_at(None)
    elif isinstance(wanted.now, str):
        phone.device.stand_at(_instant(wanted.now))
    return get_phone_clock(control, phone, asked)


def _instant(text: str) -> Any:
    try:
        return parse_clock(text, "now")
    except FormatError as error:
        raise UsageError(str(error), field="now") from error


# --- enrolment and step-ups ------------------------------------------------------------------------------------------------


def enrol(control: Control, phone: ControlledPhone, asked: Asked) -> dict[str, Any]:
    wanted: Enrol = asked.body
    enrolment = phone.device.enrol(
        wanted.dialect,
        user=wanted.user,
        passcode=wanted.passcode,
        number=wanted.number,
        api_key=wanted.api_key,
        code=wanted.code,
    )
    control.events.publish(
        "enrolled", authenticatorId=phone.id, deviceId=enrolment.device_id, dialect=enrolment.dialect
    )
    credentials = [
        {"factor": c.factor, "keyId": c.key_id, "credentialId": c.credential_id} for c in enrolment.credentials
    ]
    return {
        "deviceId": enrolment.device_id,
        "dialect": enrolment.dialect,
        "user": enrolment.user,
        "credentials": credentials,
    }


def pay(control: Control, phone: ControlledPhone, asked: Asked) -> dict[str, str]:
    wanted: Pay = asked.body
    payment = phone.device.pay(
        wanted.amount, wanted.currency, wanted.payee, sort_code=wanted.sort_code, account=wanted.account, method=wanted.method,
        passcode=wanted.passcode,
    )  # fmt: skip
    control.events.publish("paid", authenticatorId=phone.id, transactionId=payment.transaction_id)
    return payment.to_json()


def pending(_: Control, phone: ControlledPhone, __: Asked) -> list[dict[str, Any]]:
    return phone.device.pending()


def pending_one(_: Control, phone: ControlledPhone, asked: Asked) -> dict[str, Any]:
    return outcome_of(phone, asked.path["transactionId"], asked.number("waitSeconds"))


def approve(control: Control, phone: ControlledPhone, asked: Asked) -> dict[str, Any]:
    wanted: Approve = asked.body
    transaction_id = phone.find_waiting(wanted.transaction_id, wanted.wait_seconds, time.sleep)
    try:
        if wanted.sign_only:
            call = phone.device.sign_only(
                transaction_id, method=wanted.method, passcode=wanted.passcode, refresh_token=wanted.refresh_token,
                biometric=wanted.biometric,
            )  # fmt: skip
            done: dict[str, Any] = {
                "method": call.method,
                "path": call.path,
                "headers": call.headers,
                "body": call.body,
            }
        else:
            done = phone.device.approve(transaction_id, method=wanted.method, biometric=wanted.biometric)
    except Refused as error:
        control.events.publish("refused", authenticatorId=phone.id, transactionId=transaction_id, code=error.code)
        raise
    control.events.publish("approved", authenticatorId=phone.id, transactionId=transaction_id, method=wanted.method)
    return done


def decline(control: Control, phone: ControlledPhone, asked: Asked) -> dict[str, str]:
    wanted: Decline = asked.body
    transaction_id = phone.find_waiting(wanted.transaction_id, wanted.wait_seconds, time.sleep)
    phone.device.decline(transaction_id)
    control.events.publish("declined", authenticatorId=phone.id, transactionId=transaction_id)
    return {"transactionId": transaction_id, "outcome": "declined"}


def get_answers(_: Control, phone: ControlledPhone, __: Asked) -> dict[str, Any]:
    return phone.answers()


def set_answers(_: Control, phone: ControlledPhone, asked: Asked) -> dict[str, Any]:
    wanted: SetAnswers = asked.body
    phone.set_answers(wanted)
    return phone.answers()


def inbox(_: Control, phone: ControlledPhone, asked: Asked) -> list[dict[str, Any]]:
    return phone.device.inbox(asked.query.get("channel", "sms"), asked.query.get("to"))


# --- everything ------------------------------------------------------------------------------------------------------------


def status(control: Control, _: Asked) -> dict[str, Any]:
    """WebDriver's status, and how the server is."""
    try:
        health = control.server.stub("GET", "health")
    except PhoneError as error:
        return {"ready": False, "message": error.message, "server": control.server.url}
    return {"ready": True, "message": "", "server": control.server.url, "now": health["now"]}


def profiles(_: Control, __: Asked) -> list[dict[str, Any]]:
    from authenticator.profiles import PROFILES

    return [profile.summary() for profile in PROFILES.values()]


def faults(_: Control, __: Asked) -> list[dict[str, Any]]:
    from authenticator.faults import FAULTS

    return [fault.to_json() for fault in FAULTS.values()]


def get_clock(control: Control, _: Asked) -> Any:
    return control.server.stub("GET", "clock")


def set_clock(control: Control, asked: Asked) -> Any:
    wanted: SetClock = asked.body
    body = {name: value for name, value in (("now", wanted.now), ("frozen", wanted.frozen)) if value is not None}
    return _clock_changed(control, control.server.stub("PUT", "clock", body))


def advance_clock(control: Control, asked: Asked) -> Any:
    wanted: AdvanceClock = asked.body
    return _clock_changed(control, control.server.stub("POST", "clock/advance", {"seconds": wanted.seconds}))


def _clock_changed(control: Control, clock: Any) -> Any:
    control.events.publish("clock", **clock)
    return clock


def reset(control: Control, asked: Asked) -> None:
    wanted: Reset = asked.body
    control.phones.clear()
    if wanted.server:
        control.server.stub("PUT", "clock", {"frozen": False})
        control.server.stub("POST", "reset", {})
    control.events.publish("reset")


_ROOT: Final = "/webauthn/authenticator"
_ONE: Final = _ROOT + "/{authenticatorId}"
COMMANDS: Final = (
    Command("GET", "/status", "Whether phones can be driven, and at which server", status),
    Command("POST", "/reset", "No phones, and a fresh server", reset, Reset),
    Command("GET", "/profiles", "The phones that can be simulated", profiles),
    Command("GET", "/faults", "The misbehaviours that can be simulated, each with the check that it trips", faults),
    Command("GET", "/clock", "The server's clock, which phones follow as network time", get_clock),
    Command("PUT", "/clock", "Set, freeze or release it", set_clock, SetClock),
    Command("POST", "/clock/advance", "Move it forward", advance_clock, AdvanceClock),
    Command("POST", _ROOT, "Add a virtual authenticator: a new phone; its id", add, AddVirtualAuthenticator),
    Command("GET", _ROOT, "All phones", list_phones),
    Command("GET", _ONE, "One phone", _of_phone(describe)),
    Command("DELETE", _ONE, "Remove a virtual authenticator, and its keys", _of_phone(remove)),
    Command("POST", _ONE + "/wipe", "Factory reset", _of_phone(wipe)),
    Command("GET", _ONE + "/credentials", "Its enrolled credentials", _of_phone(get_credentials)),
    Command("DELETE", _ONE + "/credentials", "Remove all credentials", _of_phone(remove_all_credentials)),
    Command("DELETE", _ONE + "/credentials/{credentialId}", "Remove one credential", _of_phone(remove_credential)),
    Command("POST", _ONE + "/uv", "Set user verified", _of_phone(set_user_verified), SetUserVerified),
    Command("GET", _ONE + "/keys", "The keys in its secure hardware", _of_phone(get_keys)),
    Command("PUT", _ONE + "/biometric", "What the sensor meets", _of_phone(set_biometric), SetBiometric),
    Command("POST", _ONE + "/unlock", "Give the screen lock's PIN", _of_phone(unlock), Unlock),
    Command("PUT", _ONE + "/passcode", "The passcode that the user knows", _of_phone(set_passcode), SetPasscode),
    Command("PUT", _ONE + "/profile", "Which phone this is, from its next enrolment on", _of_phone(set_profile), SetProfile),
    Command("GET", _ONE + "/fault", "The active misbehaviour", _of_phone(get_fault)),
    Command("PUT", _ONE + "/fault", "Misbehave in this way", _of_phone(set_fault), SetFault),
    Command("DELETE", _ONE + "/fault", "Be honest again", _of_phone(clear_fault)),
    Command("GET", _ONE + "/clock", "The phone's own clock", _of_phone(get_phone_clock)),
    Command("PUT", _ONE + "/clock", "Make it wrong, or stand still", _of_phone(set_phone_clock), SetPhoneClock),
    Command("POST", _ONE + "/enrol", "Enrol at the server", _of_phone(enrol), Enrol),
    Command("POST", _ONE + "/pay", "Pay from the phone's own bank app", _of_phone(pay), Pay),
    Command("GET", _ONE + "/pending", "What waits for this phone", _of_phone(pending)),
    Command(
        "GET", _ONE + "/pending/{transactionId}", "One of them; waits until it is answered", _of_phone(pending_one),
        query=("waitSeconds",),
    ),
    Command("POST", _ONE + "/approve", "Approve a step-up", _of_phone(approve), Approve),
    Command("POST", _ONE + "/decline", "Decline a step-up", _of_phone(decline), Decline),
    Command("GET", _ONE + "/answers", "Its standing answer", _of_phone(get_answers)),
    Command("PUT", _ONE + "/answers", "Approve or decline once, always, or by the amount", _of_phone(set_answers), SetAnswers),
    Command("GET", _ONE + "/inbox", "Its SMS, mail or push, oldest first", _of_phone(inbox), query=("channel", "to")),
)  # fmt: skip
