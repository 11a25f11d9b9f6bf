"""Approving: what is displayed is what is signed, by the key of the factor used (DESIGN section 4, RTS Art. 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from authenticator.approving import Approval, client_request, decline, deliver, fetch, pending, sign
from authenticator.ceremonies import Edits
from authenticator.enrolling import enrol
from authenticator.errors import Refused, Unreadable, UsageError
from authenticator.phone import Phone
from authenticator.sensor import unlock
from authenticator.state import BIOMETRIC, POSSESSION, Enrolment
from device_keys.attestation import app_attest
from device_keys.encoding import b64url_decode, b64url_encode
from device_keys.messages import (
    Flags,
    Kind,
    Registration,
    parse_attestation_object,
    parse_authenticator_data,
    parse_client_data,
    payload_digest,
    step_up_challenge,
)

Make = Callable[..., Any]
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "1"},
}


def approve(phone: Phone, bank: Any, factor: str, payload: Any = ORDER, **options: Any) -> Approval:
    bank.pending["t1"] = payload
    enrolment, step_up = fetch(phone, bank.url, "t1")
    return sign(phone, enrolment, step_up, factor, **options)


def public_key(bank: Any, factor: str) -> Any:
    registration = Registration.from_json(bank.registrations()[factor])
    credential = parse_authenticator_data(
        parse_attestation_object(registration.attestation_object).auth_data
    ).credential
    assert credential is not None
    return credential.public_key


@pytest.mark.parametrize(("factor", "flags"), [(POSSESSION, Flags.UP), (BIOMETRIC, Flags.UP | Flags.UV)])
def test_the_factors_own_key_signs(phone: Phone, bank: Any, enrolled: Enrolment, factor: str, flags: Flags) -> None:
    """A key per factor: the key that signs names the method (S0-1, S0-4)."""
    assertion = approve(phone, bank, factor).assertion
    assert b64url_encode(assertion.credential_id) == bank.registrations()[factor]["id"]
    data = parse_authenticator_data(assertion.authenticator_data)
    assert data.flags & ~Flags.ED == flags
    assert data.rp_id_hash == hashlib.sha256(b"stepup-simulator.test").digest()
    assert data.sign_count == 2
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    assert public_key(bank, factor).verify(assertion.signature, signed)


def test_uvm_is_claimed_only_where_a_user_was_verified(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    possession = parse_authenticator_data(approve(phone, bank, POSSESSION).assertion.authenticator_data)
    biometric = parse_authenticator_data(approve(phone, bank, BIOMETRIC).assertion.authenticator_data)
    assert possession.extensions is None
    assert biometric.extensions == {"uvm": [[2, 6, 2]]}


def test_a_payment_is_signed_as_shown(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """RTS-5.1.a, 5.1.b: type payment.get, the SPC member with payee and total, and the challenge over the whole order."""
    client_data = parse_client_data(approve(phone, bank, POSSESSION).assertion.client_data_json)
    assert client_data.type == "payment.get"
    assert client_data.payment is not None
    assert client_data.payment["payeeName"] == "ACME Ltd"
    assert client_data.payment["total"] == {"currency": "GBP", "value": "10.00"}
    assert (client_data.payment["rpId"], client_data.payment["topOrigin"]) == (enrolled.rp_id, client_data.origin)
    expected = step_up_challenge(Kind.PAYMENT, bytes([1]) * 32, "t1", payload_digest(ORDER))
    assert client_data.challenge == expected


def test_the_device_member_carries_nonce_instant_and_lockout(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    client_data = parse_client_data(approve(phone, bank, POSSESSION).assertion.client_data_json)
    assert client_data.device == {
        "nonce": b64url_encode(bytes([1]) * 32),
        "signedAt": "2026-03-01T12:00:00.000000Z",
        "lockout": {"screenFailures": 0, "biometricFailures": 0},
    }


def test_account_access_is_signed_as_webauthn_get(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """Neither kind serves for the other (S1-34)."""
    bank.kind = Kind.ACCOUNT_ACCESS
    client_data = parse_client_data(
        approve(phone, bank, BIOMETRIC, {"purpose": "login", "user": "u"}).assertion.client_data_json
    )
    assert (client_data.type, client_data.payment) == ("webauthn.get", None)


def test_an_order_of_unknown_shape_is_signed_whole_without_payee_or_total(
    phone: Phone, bank: Any, enrolled: Enrolment
) -> None:
    client_data = parse_client_data(approve(phone, bank, POSSESSION, {"cargo": [1, 2]}).assertion.client_data_json)
    assert client_data.payment is not None
    assert {"payeeName", "total"}.isdisjoint(client_data.payment)
    assert client_data.challenge == step_up_challenge(
        Kind.PAYMENT, bytes([1]) * 32, "t1", payload_digest({"cargo": [1, 2]})
    )


@pytest.mark.parametrize(
    "lie",
    [
        lambda answer: {**answer, "payload": {**ORDER, "amount": "99.00"}},
        lambda answer: {**answer, "transactionId": "t2"},
        lambda answer: {**answer, "kind": "account-access"},
        lambda answer: {**answer, "nonce": b64url_encode(b"x" * 32)},
    ],
    ids=["payload", "transaction", "kind", "nonce"],
)
def test_the_phone_refuses_to_sign_what_it_does_not_show(
    phone: Phone, bank: Any, enrolled: Enrolment, lie: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """DESIGN section 4: it recomputes the challenge from what it displays."""
    bank.alter_step_up = lie
    counters = [key.counter for key in phone.hardware.keys()]  # noqa: SIM118
    with pytest.raises(Refused) as refused:
        approve(phone, bank, POSSESSION)
    assert refused.value.code == "challenge_mismatch"
    assert [key.counter for key in phone.hardware.keys()] == counters  # noqa: SIM118


@pytest.mark.parametrize(
    "lie",
    [
        lambda answer: {**answer, "nonce": "short"},
        lambda answer: {**answer, "kind": "gift"},
        lambda answer: {k: v for k, v in answer.items() if k != "publicKey"},
        lambda answer: {**answer, "methods": None},
    ],
)
def test_an_unreadable_step_up_is_one_clear_error(
    phone: Phone, bank: Any, enrolled: Enrolment, lie: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    bank.alter_step_up = lie
    with pytest.raises((Unreadable, Refused)):
        approve(phone, bank, POSSESSION)


def test_the_counter_rises_and_survives_a_restart(make_phone: Make, bank: Any, applicant: Make) -> None:
    """The counter is saved before the signature leaves the phone."""
    phone = make_phone()
    enrol(phone, applicant())
    counts = [
        parse_authenticator_data(approve(p, bank, POSSESSION).assertion.authenticator_data).sign_count
        for p in (phone, make_phone(), phone)
    ]
    assert counts == [2, 3, 4]


def test_a_failing_save_lets_no_signature_out(
    phone: Phone, bank: Any, enrolled: Enrolment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from device_keys.keystore import Keystore, KeystoreError

    def full_disk(self: Keystore, document: dict[str, Any]) -> None:
        raise KeystoreError("cannot write the phone's store: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Keystore, "save", full_disk)
        with pytest.raises(Unreadable, match="No space left"):
            approve(phone, bank, POSSESSION)
    assert parse_authenticator_data(approve(phone, bank, POSSESSION).assertion.authenticator_data).sign_count == 2


@pytest.mark.parametrize(("outcome", "code"), [("no-match", "no_match"), ("cancel", "cancel"), ("timeout", "timeout")])
def test_without_a_match_nothing_is_signed(
    phone: Phone, bank: Any, enrolled: Enrolment, outcome: str, code: str
) -> None:
    """A failed match produces no signature (phone-behaviour section 9)."""
    with pytest.raises(Refused) as refused:
        approve(phone, bank, BIOMETRIC, outcome=outcome)
    assert refused.value.code == code
    assert not bank.delivered


def test_failed_matches_are_counted_reported_and_lock_the_sensor(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """Android: ERROR_LOCKOUT after five, for 30 s; the count travels inside what is signed (phone-behaviour sections 4 and 9)."""
    for _ in range(5):
        with pytest.raises(Refused):
            approve(phone, bank, BIOMETRIC, outcome="no-match")
    with pytest.raises(Refused, match="ERROR_LOCKOUT 7") as refused:
        approve(phone, bank, BIOMETRIC)
    assert refused.value.code == "lockout"
    client_data = parse_client_data(approve(phone, bank, POSSESSION).assertion.client_data_json)
    assert client_data.device is not None
    assert client_data.device["lockout"]["biometricFailures"] == 5
    unlock(phone, "1234")
    approve(phone, bank, BIOMETRIC)


def test_an_iphones_response_carries_an_app_attest_assertion(phone: Phone, bank: Any, applicant: Make) -> None:
    """DESIGN section 4: over clientDataJSON, its counter 1 in the first."""
    enrol(phone, applicant(profile="iphone-17"))
    for expected in (1, 2):
        assertion = approve(phone, bank, BIOMETRIC).assertion
        made = app_attest.parse_assertion(b64url_decode(assertion.extensions["appAttest"]))
        assert made.auth_data.sign_count == expected
        nonce = hashlib.sha256(made.auth_data.raw + hashlib.sha256(assertion.client_data_json).digest()).digest()
        attestation = app_attest.parse_attestation(b64url_decode(bank.enrolments[-1]["appAttest"]["attestation"]))
        assert attestation.auth_data.credential is not None
        assert attestation.auth_data.credential.public_key.verify(made.signature, nonce)


def test_pending_lists_what_waits(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    bank.pending["t1"] = ORDER
    assert [row["transactionId"] for row in pending(phone, bank.url)] == ["t1"]


def test_the_evidence_is_delivered_with_its_outcome(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """DESIGN section 4, decoupled."""
    approval = approve(phone, bank, POSSESSION)
    deliver(phone, approval)
    assert bank.delivered == [{"outcome": "approved", "assertion": approval.assertion.to_json()}]


def test_a_decline_delivers_no_evidence(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    bank.pending["t1"] = ORDER
    decline(phone, bank.url, "t1")
    assert bank.delivered == [{"outcome": "declined"}]


def test_the_printed_request_is_the_clients(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """--sign-only: exactly two headers; the bodies of S0-11 and of bank.md section 4."""
    call = client_request(phone, approve(phone, bank, POSSESSION), passcode="111234")
    assert (call.method, call.path) == ("POST", "/bank/v1/oauth2/stepup")
    assert list(call.headers) == ["X-TransactionId", "X-Device-Assertion"]
    assert call.body == {"username": bank.user, "passcode": "111234"}
    call = client_request(phone, approve(phone, bank, BIOMETRIC), refresh_token="r")
    assert call.body == {"refreshToken": "r", "authenticationMethod": "BIOMETRIC"}


def test_a_step_up_without_a_clients_call_cannot_be_printed(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    bank.alter_step_up = lambda answer: {**answer, "request": None}
    with pytest.raises(UsageError, match="without --sign-only"):
        client_request(phone, approve(phone, bank, POSSESSION), passcode="111234")


def test_an_unknown_transaction_is_refused(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    with pytest.raises(Refused, match="404"):
        fetch(phone, bank.url, "nothing")


def test_a_server_that_forgot_the_phone_is_explained(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """After a reset the phone says that it is not enrolled, and how to enrol (issue 9)."""
    bank.device_known = False
    with pytest.raises(Refused, match=r"Enrol again: stepup-phone enrol --server") as refused:
        pending(phone, bank.url)
    assert refused.value.code == "not_enrolled_any_more"


def test_a_phone_that_never_enrolled_says_how(phone: Phone, bank: Any) -> None:
    with pytest.raises(UsageError, match="stepup-phone enrol") as refused:
        pending(phone, bank.url)
    assert refused.value.code == "not_enrolled"


def test_a_key_that_the_server_does_not_want_is_not_used(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    def other_key(answer: dict[str, Any]) -> dict[str, Any]:
        answer["publicKey"]["allowCredentials"] = [{"type": "public-key", "id": b64url_encode(b"other")}]
        return answer

    bank.alter_step_up = other_key
    with pytest.raises(Refused) as refused:
        approve(phone, bank, POSSESSION)
    assert refused.value.code == "key_not_wanted"


def test_a_new_finger_kills_the_biometric_key(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """phone-behaviour section 1: KeyPermanentlyInvalidated; the possession key survives."""
    with phone.edit():
        phone.hardware.enrol_biometric()
    with pytest.raises(Refused) as refused:
        approve(phone, bank, BIOMETRIC)
    assert refused.value.code == "key_invalidated"
    approve(phone, bank, POSSESSION)


def test_edits_pass_through_every_seam_of_approving(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    """Faults act from outside, in order, and each sees the scene."""
    seen: list[str] = []

    def note(name: str) -> Callable[[Any, Any], Any]:
        def edit(value: Any, scene: Any) -> Any:
            assert scene.step_up.transaction_id == "t1"
            seen.append(name)
            return value

        return edit

    edits = Edits(
        before=lambda scene: seen.append("before"),
        draft=note("draft"),
        assertion=note("assertion"),
        request=note("request"),
        after=note("after"),
    )
    client_request(phone, approve(phone, bank, POSSESSION, edits=edits), passcode="1", edits=edits)
    assert seen == ["before", "draft", "assertion", "request", "after"]


def test_an_edited_draft_is_what_gets_signed(phone: Phone, bank: Any, enrolled: Enrolment) -> None:
    edits = Edits(draft=lambda draft, scene: msgspec.structs.replace(draft, origin="https://evil.test", counter=1))
    assertion = approve(phone, bank, POSSESSION, edits=edits).assertion
    assert parse_client_data(assertion.client_data_json).origin == "https://evil.test"
    assert parse_authenticator_data(assertion.authenticator_data).sign_count == 1
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    assert public_key(bank, POSSESSION).verify(assertion.signature, signed)
