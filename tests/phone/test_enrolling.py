"""Enrolment: two elements, two attested keys over one challenge, all or nothing (issue 2; DESIGN sections 3 and 4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authenticator.ceremonies import Edits
from authenticator.enrolling import Applicant, enrol
from authenticator.errors import Refused, Unreadable, UsageError
from authenticator.phone import Phone
from device_keys.attestation import android_key, app_attest
from device_keys.encoding import b64url_decode
from device_keys.messages import (
    Flags,
    Registration,
    parse_attestation_object,
    parse_authenticator_data,
    parse_client_data,
)
from device_keys.secure_hardware import Gate

Make = Callable[..., Any]


def read(record: dict[str, Any]) -> Registration:
    return Registration.from_json(record)


def test_enrolment_takes_the_activation_code_from_the_phones_own_sms(phone: Phone, bank: Any, applicant: Make) -> None:
    """Two elements: the passcode's login, and the SIM (DESIGN section 3)."""
    bank.send_sms("An old code", "000000")
    enrol(phone, applicant())
    assert bank.enrolments[-1]["activationCode"] == "424242"
    assert bank.last("/device/v1/enrolments")[2]["authorization"] == "Bearer access-1"
    assert bank.last("/device/v1/enrolments")[2]["x-apikey"] == "demo-api-key"


def test_a_given_code_needs_no_inbox(phone: Phone, bank: Any, applicant: Make) -> None:
    bank.sms_arrives = False
    enrol(phone, applicant(code="424242"))
    assert not [path for _, path, _, _ in bank.requests if path.endswith("/inbox")]


def test_without_an_sms_the_phone_says_so(
    phone: Phone, bank: Any, applicant: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authenticator.enrolling.SMS_WAIT_SECONDS", 0.0)
    bank.sms_arrives = False
    with pytest.raises(Refused, match="give it with --code") as refused:
        enrol(phone, applicant())
    assert refused.value.code == "no_code"


def test_a_key_per_factor_is_registered_over_the_one_challenge(phone: Phone, bank: Any, applicant: Make) -> None:
    """DESIGN section 4: possession UP only, biometric UP and UV; BE and BS clear; counters begin at 1."""
    enrol(phone, applicant())
    for factor, flags in (("possession", Flags.UP), ("biometric", Flags.UP | Flags.UV)):
        registration = read(bank.registrations()[factor])
        client_data = parse_client_data(registration.client_data_json)
        assert (client_data.type, client_data.challenge) == ("webauthn.create", b"C" * 32)
        assert client_data.origin == "https://stepup-simulator.test"
        data = parse_authenticator_data(parse_attestation_object(registration.attestation_object).auth_data)
        assert data.flags == flags | Flags.AT
        assert data.sign_count == 1


def test_the_android_attestation_states_each_keys_gate(phone: Phone, bank: Any, applicant: Make) -> None:
    """attestation section 10: possession 503 noAuthRequired; biometric userAuthType 2 per use, without 503 and 505."""
    enrol(phone, applicant())
    gates = {}
    for factor, record in bank.registrations().items():
        from cryptography import x509

        leaf = parse_attestation_object(read(record).attestation_object).statement["x5c"][0]
        oid = x509.ObjectIdentifier(str(android_key.KEY_DESCRIPTION_OID))
        extension = x509.load_der_x509_certificate(leaf).extensions.get_extension_for_oid(oid)
        description = android_key.parse_key_description(extension.value.public_bytes())
        listed = description.hardware_enforced
        gates[factor] = (listed.no_auth_required, listed.user_auth_type, listed.auth_timeout)
        assert description.attestation_challenge == hashlib.sha256(read(record).client_data_json).digest()
    assert gates == {"possession": (True, None, None), "biometric": (False, 2, None)}


@pytest.mark.parametrize("profile", ["iphone-17", "iphone-14", "iphone-8"])
def test_an_iphones_app_attest_covers_both_registrations_in_order(
    phone: Phone, bank: Any, applicant: Make, profile: str
) -> None:
    """DESIGN section 4: packed self, and App Attest over SHA-256 of the attestation objects concatenated."""
    enrol(phone, applicant(profile=profile))
    message = bank.enrolments[-1]
    assert [one["factor"] for one in message["credentials"]] == ["possession", "biometric"]
    objects = [read(one["registration"]).attestation_object for one in message["credentials"]]
    assert all("x5c" not in parse_attestation_object(one).statement for one in objects)
    attestation = app_attest.parse_attestation(b64url_decode(message["appAttest"]["attestation"]))
    from cryptography import x509

    leaf = x509.load_der_x509_certificate(attestation.x5c[0])
    nonce = hashlib.sha256(attestation.auth_data.raw + hashlib.sha256(b"".join(objects)).digest()).digest()
    extension = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.2.840.113635.100.8.2"))
    assert extension.value.public_bytes() == bytes.fromhex("3024a1220420") + nonce
    assert len(b64url_decode(message["appAttest"]["keyId"])) == 32


def test_a_wrong_activation_code_leaves_the_phone_as_it_was(phone: Phone, bank: Any, applicant: Make) -> None:
    """All or nothing: the earlier enrolment and its keys survive a failed new one."""
    before = enrol(phone, applicant())
    keys = phone.hardware.keys()
    with pytest.raises(Refused) as refused:
        enrol(phone, applicant(code="111111"))
    assert refused.value.code == "activation_code"
    assert phone.hardware.keys() == keys
    assert phone.enrolment(bank.url, "bank") == before


def test_enrolling_again_replaces_keys_and_enrolment(phone: Phone, bank: Any, applicant: Make) -> None:
    first = enrol(phone, applicant())
    second = enrol(phone, applicant(profile="iphone-17"))
    assert set(second.key_ids).isdisjoint(first.key_ids)
    assert {key.key_id for key in phone.hardware.keys()} == set(second.key_ids)  # noqa: SIM118
    assert list(phone.state.enrolments) == [f"{bank.url}|bank"]


def test_a_wrong_passcode_is_the_banks_to_refuse(phone: Phone, applicant: Make) -> None:
    with pytest.raises(Refused) as refused:
        enrol(phone, applicant(secret="999999"))
    assert refused.value.code == "403.000.52"
    assert not phone.state.enrolments


def test_weavr_logs_in_with_the_password_and_its_own_header(phone: Phone, bank: Any, applicant: Make) -> None:
    enrolment = enrol(phone, applicant(dialect="weavr", user="alice@example.com", secret="Passw0rd!"))
    method, path, headers, body = bank.last("/login_with_password")
    assert (method, path) == ("POST", "/weavr/multi/login_with_password")
    assert body == {"email": "alice@example.com", "password": {"value": "Passw0rd!"}}
    assert headers["api-key"] == "demo-api-key"
    assert enrolment.base == "/weavr/multi"
    assert bank.last("/enrolments/e1")[2]["authorization"] == "Bearer weavr-token"


@pytest.mark.parametrize("prefix", ["/bank", ""])
def test_the_login_is_found_under_either_prefix(phone: Phone, bank: Any, applicant: Make, prefix: str) -> None:
    """DESIGN section 3: with --dialect bank the routes are at the root."""
    bank.prefix = prefix
    assert enrol(phone, applicant()).base == f"{prefix}/v1"


def test_a_seeded_phone_repeats_byte_for_byte(make_phone: Make, bank: Any, applicant: Make) -> None:
    """DESIGN section 4, determinism: keys, ids, certificates and signatures."""
    messages = []
    for name in ("one", "two"):
        enrol(make_phone(name), applicant(seed="golden"))
        messages.append(json.dumps(bank.enrolments[-1], sort_keys=True))
    assert messages[0] == messages[1]
    enrol(make_phone("three"), applicant(seed="other"))
    assert json.dumps(bank.enrolments[-1], sort_keys=True) != messages[0]


def test_a_seed_survives_and_goes_on_where_it_was(make_phone: Make, bank: Any, applicant: Make) -> None:
    """The same phone never registers the same credential twice, seed or not (WebAuthn credential-id-unique)."""
    first = enrol(make_phone("one"), applicant(seed="golden"))
    again = enrol(make_phone("one"), applicant(seed="golden"))
    assert again.credentials[0].credential_id != first.credentials[0].credential_id


def test_a_new_seed_does_not_wipe_other_enrolments(phone: Phone, applicant: Make) -> None:
    enrol(phone, applicant(dialect="weavr", user="alice@example.com", secret="Passw0rd!"))
    with pytest.raises(UsageError, match="--seed"):
        enrol(phone, applicant(seed="golden"))
    assert len(phone.state.enrolments) == 1


def test_an_edit_reaches_the_key_before_it_is_made(phone: Phone, bank: Any, applicant: Make) -> None:
    """The seams for faults: honest code has no branch for them."""
    edits = Edits(key=lambda plan, scene: replace(plan, gate=Gate.NONE))
    enrol(phone, applicant(), edits=edits)
    assert {key.gate for key in phone.hardware.keys()} == {Gate.NONE}  # noqa: SIM118


def test_an_edit_reaches_the_message(phone: Phone, bank: Any, applicant: Make) -> None:
    def swap(message: dict[str, Any], scene: object) -> dict[str, Any]:
        return {**message, "credentials": message["credentials"][:1]}

    enrol(phone, applicant(), edits=Edits(enrolment=swap))
    assert len(bank.enrolments[-1]["credentials"]) == 1


def test_an_unreadable_answer_is_named(phone: Phone, bank: Any, applicant: Make) -> None:
    bank.raw = b"<html>"
    with pytest.raises(Unreadable, match="cannot be read"):
        enrol(phone, applicant())


def test_an_unknown_profile_is_refused_before_anything_is_sent(phone: Phone, bank: Any, applicant: Make) -> None:
    with pytest.raises(UsageError, match="pixel-9"):
        enrol(phone, applicant(profile="nokia-3310"))
    assert not bank.requests


def test_secrets_are_not_shown_by_repr(phone: Phone, applicant: Make) -> None:
    asked: Applicant = applicant()
    enrolment = enrol(phone, asked)
    shown = repr((asked, enrolment, enrolment.session, phone, phone.state, phone.hardware))
    assert not [secret for secret in ("111234", "device-token", "access-", "refresh-") if secret in shown]


def test_nothing_secret_lies_in_the_store_in_clear(phone: Phone, applicant: Make) -> None:
    """Keys at rest are sealed (DESIGN section 4)."""
    enrol(phone, applicant(seed="golden"))
    for file in Path(phone.home).iterdir():
        data = file.read_bytes()
        assert not [word for word in (b"device-token", b"refresh-", b"golden", b"private") if word in data]
        assert file.stat().st_mode & 0o077 == 0
