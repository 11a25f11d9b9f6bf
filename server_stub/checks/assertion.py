"""Checks of the signed response, by the rules of WebAuthn Level 3 ("Verifying an Authentication Assertion"), cited by
name."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from hmac import compare_digest
from typing import Final

from device_keys.attestation.app_attest import assertion_nonce
from device_keys.encoding import FormatError
from server_stub.checks.case import Case
from server_stub.checks.engine import Check, Failure, NotApplicable, Result

_UP, _UV, _BE, _BS = 0x01, 0x04, 0x08, 0x10
_TYPES: Final = {"payment": "payment.get", "account-access": "webauthn.get"}
WAIVED: Final = NotApplicable("waived-by-policy")
NOT_AN_IPHONE: Final = NotApplicable("no-app-attest-in-this-enrolment")
NO_USER_CHECK: Final = NotApplicable("possession-key")
NO_COUNTER: Final = NotApplicable("counter-not-implemented")


@lru_cache(maxsize=64)
def _rp_id_hash(rp_id: str) -> bytes:
    return hashlib.sha256(rp_id.encode()).digest()


def type_(case: Case) -> Result:
    wanted = _TYPES[case.evidence.transaction.kind]
    return None if case.client_data.type == wanted else Failure("type", wanted, case.client_data.type)


def origin(case: Case) -> Result:
    found, accepted = case.client_data.origin, case.policy.origins
    return None if found in accepted else Failure("origin", " or ".join(accepted), found)


def cross_origin(case: Case) -> Result:
    if not case.client_data.cross_origin or case.policy.allow_cross_origin:
        return None
    return Failure("cross-origin", "crossOrigin false or absent", "true")


def top_origin(case: Case) -> Result:
    found = case.client_data.top_origin
    if found is None or found in case.policy.top_origins:
        return None
    return Failure("top-origin", " or ".join(case.policy.top_origins) or "none", found)


def rp_id(case: Case) -> Result:
    if compare_digest(case.auth_data.rp_id_hash, _rp_id_hash(case.policy.rp_id)):
        return None
    return Failure("rp-id-hash", f"SHA-256 of {case.policy.rp_id}", case.auth_data.rp_id_hash.hex())


def user_present(case: Case) -> Result:
    if case.flags & _UP:
        return None
    return Failure("not-present", "UP set", "UP clear") if case.policy.require_user_presence else WAIVED


def user_verified(case: Case) -> Result:
    if case.credential.factor != "biometric":
        return NO_USER_CHECK
    return None if case.flags & _UV else Failure("not-verified", "UV set", "UV clear")


def backup_state(case: Case) -> Result:
    return Failure("inconsistent", "BS only with BE", "BS without BE") if case.flags & (_BE | _BS) == _BS else None


def backup_eligibility(case: Case) -> Result:
    registered, now = case.appraisal.backup_eligible, bool(case.flags & _BE)
    return None if registered == now else Failure("changed", f"BE {registered}, as registered", f"BE {now}")


def signature(case: Case) -> Result:
    assertion = case.assertion
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    if case.appraisal.key.verify(assertion.signature, signed):
        return None
    return Failure("signature", "a signature by the enrolled key", "one that does not verify")


def counter(case: Case) -> Result:
    """Three states: rising, always zero, or absent (which reads as zero too). Equal or less is a sign of a second
    copy of the key."""
    stored, received = case.credential.sign_count, case.auth_data.sign_count
    if not stored and not received:
        return NO_COUNTER
    return None if received > stored else Failure("regression", f"more than {stored}", str(received))


def app_assertion(case: Case) -> Result:
    key = case.appraisal.app_key
    if key is None:
        return NOT_AN_IPHONE
    try:
        case.app_assertion = found = case.read_app_assertion()
    except FormatError as error:
        return Failure("unreadable", error.expected, error.field)
    nonce = assertion_nonce(found.auth_data.raw, hashlib.sha256(case.assertion.client_data_json).digest())
    return (
        None
        if key.verify(found.signature, nonce)
        else Failure("signature", "a signature by the attested key", "one that does not verify")
    )


def app_counter(case: Case) -> Result:
    if case.appraisal.app_key is None:
        return NOT_AN_IPHONE
    stored, received = case.credential.app_attest_count, case.app_assertion.auth_data.sign_count
    return None if received > stored else Failure("regression", f"more than {stored}", str(received))


def app_counter_of_key(case: Case) -> Result:
    """The key has one counter, whichever credential it accompanies: a count that it made beside the other factor is an
    old one."""
    if case.appraisal.app_key is None:
        return NOT_AN_IPHONE
    last, received = case.credential.app_attest_key_count, case.app_assertion.auth_data.sign_count
    return None if received > last else Failure("regression", f"more than {last}, beside any credential", str(received))


def app_application(case: Case) -> Result:
    if case.appraisal.app_key is None:
        return NOT_AN_IPHONE
    found = case.app_assertion.auth_data.rp_id_hash
    if compare_digest(found, case.appraisal.app_rp_id_hash):
        return None
    return Failure("application", f"{case.appraisal.app_rp_id_hash.hex()}, the app that was attested", found.hex())


def attestation_age(case: Case) -> Result:
    """An attestation says how the phone was then. How long it may stand for now is the policy's choice."""
    most = case.policy.maximum_attestation_age_days
    if most is None:
        return WAIVED
    age = (case.evidence.now - case.credential.enrolled_at).days
    return None if age < most else Failure("too-old", f"less than {most} days", f"{age} days")


_CLIENT_DATA = ("client_data.readable",)
_AUTH_DATA = ("authenticator_data.readable",)

ASSERTION: Final[tuple[Check[Case], ...]] = (
    Check(
        "attestation.age", "RTS Art. 9(3)(b): alteration since the enrolment", attestation_age, ("credential.known",)
    ),
    Check("assertion.type", "WebAuthn L3: type; SPC: type is payment.get", type_, _CLIENT_DATA),
    Check("assertion.origin", "WebAuthn L3: origin; RTS Art. 28(2)", origin, _CLIENT_DATA),
    Check("assertion.cross_origin", "WebAuthn L3: cross-origin", cross_origin, _CLIENT_DATA),
    Check("assertion.top_origin", "WebAuthn L3: top-origin", top_origin, _CLIENT_DATA),
    Check("assertion.rp_id", "WebAuthn L3: rp-id-hash; RTS Art. 28(2)", rp_id, _AUTH_DATA),
    Check("assertion.user_present", "WebAuthn L3: user-present", user_present, _AUTH_DATA),
    Check(
        "assertion.user_verified",
        "WebAuthn L3: user-verified; RTS Art. 4(1)",
        user_verified,
        (*_AUTH_DATA, "credential.factor"),
    ),
    Check("assertion.backup_state", "WebAuthn L3: backup-consistent", backup_state, _AUTH_DATA),
    Check(
        "assertion.backup_eligibility",
        "WebAuthn L3: backup-eligibility-unchanged; RTS Art. 7(2)",
        backup_eligibility,
        (*_AUTH_DATA, "attestation.backup_policy"),
    ),
    Check(
        "assertion.signature",
        "WebAuthn L3: signature; RTS Art. 4(2)(c)",
        signature,
        (*_CLIENT_DATA, *_AUTH_DATA, "credential.known"),
    ),
    Check("assertion.counter", "WebAuthn L3: counter; RTS Art. 7(2)", counter, ("assertion.signature",)),
    Check(
        "app_attest.assertion",
        "Apple: Validating apps that connect to your server: Verify the assertion",
        app_assertion,
        ("assertion.signature", "app_attest.present", "attestation.readable", "attestation.key"),
    ),
    Check(
        "app_attest.counter",
        "Apple: Validating apps that connect to your server: counter rises",
        app_counter,
        ("app_attest.assertion",),
    ),
    Check(
        "app_attest.counter_of_key",
        "Apple: Validating apps that connect to your server: counter rises; RTS Art. 7(2)",
        app_counter_of_key,
        ("app_attest.counter",),
    ),
    Check(
        "app_attest.application",
        "Apple: Validating apps that connect to your server: RP ID",
        app_application,
        ("app_attest.assertion", "attestation.application"),
    ),
)
