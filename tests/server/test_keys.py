"""One key, one factor, one device; and counters belong to keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authenticator.ceremonies import Edits, Scene
from authenticator.errors import Refused
from authenticator.profiles import PROFILES
from device_keys.messages import (
    AttestationObject,
    Registration,
    build_authenticator_data,
    parse_attestation_object,
    parse_authenticator_data,
)
from tests.server.conftest import NUMBER, PASSCODE, URL, USER, Bank, Handset

MakePhone = Callable[..., Handset]
STRANGER = "57a4e2d0-0000-4000-8000-000000000002"


def app_counter(value: int) -> Edits:
    return Edits(app_attest=lambda honest, scene: replace(honest, counter=value))


def failed(bank: Bank, transaction: str) -> list[str]:
    return [] if bank.verdict(transaction)["accepted"] else bank.failed(transaction)


@pytest.mark.parametrize("first", ["possession", "biometric"])
def test_an_app_attest_key_has_one_counter_whichever_credential_it_accompanies(
    bank: Bank, make_phone: MakePhone, first: str
) -> None:
    phone = make_phone("iphone-17")
    bank.login()
    second = "biometric" if first == "possession" else "possession"
    for factor, count, expected in (
        (first, 10, []),
        (second, 2, ["app_attest.counter_of_key"]),
        (second, 10, ["app_attest.counter_of_key"]),
        (first, 10, ["app_attest.counter"]),
        (second, 11, []),
        (first, 11, ["app_attest.counter_of_key"]),
    ):
        transaction = bank.start()
        header = phone.header(transaction, factor, app_counter(count))
        bank.step_up(transaction, bank.biometric() if factor == "biometric" else None, header=header)
        assert failed(bank, transaction) == expected, (factor, count)


# --- enrolment -----------------------------------------------------------------------------------------------------------


def twice(message: dict[str, Any], scene: Scene) -> dict[str, Any]:
    """The first credential's key once more, under another credential id, as the other factor."""
    first = message["credentials"][0]
    other = {"possession": "biometric", "biometric": "possession"}[first["factor"]]
    registration = Registration.from_json(first["registration"])
    attested = parse_attestation_object(registration.attestation_object)
    data = parse_authenticator_data(attested.auth_data)
    assert data.credential is not None
    renamed = build_authenticator_data(
        data.rp_id_hash,
        data.flags,
        data.sign_count,
        aaguid=data.credential.aaguid,
        credential_id=b"another id of the same key",
        public_key=data.credential.public_key,
    )
    again = replace(
        registration,
        credential_id=b"another id of the same key",
        attestation_object=AttestationObject(attested.fmt, attested.statement, renamed).encode(),
    )
    return {**message, "credentials": [first, {"factor": other, "registration": again.to_json()}]}


@pytest.mark.parametrize("profile", [name for name, profile in PROFILES.items() if profile.strict])
def test_the_same_key_twice_is_refused_at_enrolment(bank: Bank, make_phone: MakePhone, profile: str) -> None:
    """same-key-twice: one key cannot be two factors, under two credential ids either."""
    with pytest.raises(Refused, match="different factors and different keys"):
        make_phone(profile, edits=Edits(enrolment=twice))


def stolen_registration(taken: dict[str, Any]) -> Edits:
    """Another enrolment's public key, registered over the challenge of this one."""

    def edit(message: dict[str, Any], scene: Scene) -> dict[str, Any]:
        mine = message["credentials"][0]
        client_data = mine["registration"]["response"]["clientDataJSON"]
        response = {**taken["response"], "clientDataJSON": client_data}
        return {**message, "credentials": [{**mine, "registration": {**taken, "response": response}}]}

    return Edits(enrolment=edit)


def captured(bank: Bank, make_phone: MakePhone, **options: Any) -> dict[str, Any]:
    """The registration of a phone that enrols."""
    seen: list[dict[str, Any]] = []

    def see(message: dict[str, Any], scene: Scene) -> dict[str, Any]:
        seen.append(message["credentials"][0]["registration"])
        return message

    make_phone(edits=Edits(enrolment=see), **options)
    return seen[0]


def test_a_key_that_another_user_has_is_refused(bank: Bank, make_phone: MakePhone) -> None:
    taken = captured(bank, make_phone)
    bank.stub("PUT", "/users", {"dialect": "bank", "id": STRANGER, "passcode": "222333", "mobile": "+447700900222"})
    with pytest.raises(Refused, match="already bound"):
        make_phone(user=STRANGER, secret="222333", number="+447700900222", edits=stolen_registration(taken))


def test_a_key_under_another_id_that_another_user_has_is_refused(bank: Bank, make_phone: MakePhone) -> None:
    taken = captured(bank, make_phone)
    registration = Registration.from_json(taken)
    renamed = twice({"credentials": [{"factor": "possession", "registration": registration.to_json()}]}, None)  # type: ignore[arg-type]
    bank.stub("PUT", "/users", {"dialect": "bank", "id": STRANGER, "passcode": "222333", "mobile": "+447700900222"})
    with pytest.raises(Refused, match="already bound"):
        make_phone(
            user=STRANGER,
            secret="222333",
            number="+447700900222",
            edits=stolen_registration(renamed["credentials"][1]["registration"]),
        )


def test_a_revoked_phones_key_does_not_come_back(bank: Bank, make_phone: MakePhone) -> None:
    taken = captured(bank, make_phone)
    (device,) = [device["deviceId"] for device in bank.stub("GET", f"/users/{USER}/devices?dialect=bank")]
    bank.stub("DELETE", f"/users/{USER}/devices/{device}?dialect=bank")
    with pytest.raises(Refused, match="already bound"):
        make_phone(edits=stolen_registration(taken))


def test_a_replaced_phones_key_does_not_come_back_as_the_other_factor(bank: Bank, make_phone: MakePhone) -> None:
    taken = captured(bank, make_phone)

    def as_biometric(message: dict[str, Any], scene: Scene) -> dict[str, Any]:
        stolen = stolen_registration(taken).enrolment(message, scene)
        return {**stolen, "credentials": [{**stolen["credentials"][0], "factor": "biometric"}]}

    with pytest.raises(Refused, match="already bound"):
        make_phone(edits=Edits(enrolment=as_biometric))


@pytest.mark.parametrize("profile", ["pixel-9", "iphone-17"])
def test_a_seeded_phone_may_enrol_again_and_its_old_verdicts_stay_what_they_were(
    bank: Bank, tmp_path: Path, profile: str
) -> None:
    """The same seed makes the same keys. The new enrolment replaces the old one; a verdict of then rests on the registration of then."""
    from authenticator.enrolling import Applicant, enrol
    from authenticator.phone import Phone
    from tests.in_process import InProcessClient

    app = bank.http._transport.app  # type: ignore[attr-defined]
    bundles = []
    url = URL
    for number in (1, 2):
        phone = Phone(
            tmp_path / f"home{number}",
            secret=b"s" * 32,
            http_factory=lambda url: InProcessClient(app, base_url=url),
        )
        try:
            applicant = Applicant(url, "bank", USER, PASSCODE, profile, NUMBER, "demo-api-key", seed="again")
            enrolled = enrol(phone, applicant)
            bank.login()
            transaction = bank.start()
            handset = Handset(phone, url)
            assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
            bundle = bank.http.get(f"/_stub/transactions/{transaction}/evidence").json()
            bundles.append((transaction, enrolled.credentials[0].credential_id, bundle))
        finally:
            phone.close()
    (first, first_id, then), (_, second_id, now) = bundles
    assert first_id == second_id
    registrations = [bundle["evidence"]["credential"]["registration"] for bundle in (then, now)]
    assert registrations[0] != registrations[1]
    later = bank.http.get(f"/_stub/transactions/{first}/evidence").json()
    assert later["evidence"]["credential"] == then["evidence"]["credential"]
    assert now["evidence"]["credential"]["sharedKey"] is False
