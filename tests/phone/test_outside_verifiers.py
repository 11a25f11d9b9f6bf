"""What the phone makes is verified by software that is not ours: py_webauthn and python-fido2 (issue 2, done-when 3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from authenticator.approving import Approval, fetch, sign
from authenticator.enrolling import enrol
from authenticator.phone import Phone
from authenticator.state import BIOMETRIC, POSSESSION
from device_keys.messages import Kind

ORIGIN, RP_ID = "https://stepup-simulator.test", "stepup-simulator.test"
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "1"},
}
FACTORS = (POSSESSION, BIOMETRIC)


@pytest.fixture(params=["pixel-9", "pixel-5", "iphone-17", "security-key"])
def bank_with_phone(request: pytest.FixtureRequest, bank: Any, phone: Phone, applicant: Callable[..., Any]) -> Any:
    bank.now = datetime.now(UTC)  # py_webauthn judges chains at OpenSSL's real time
    enrol(phone, applicant(profile=request.param))
    return bank


def approve(phone: Phone, bank: Any, kind: Kind, factor: str) -> Approval:
    bank.kind = kind
    bank.pending["t1"] = ORDER if kind is Kind.PAYMENT else {"purpose": "account-access", "user": bank.user}
    enrolment, step_up = fetch(phone, bank.url, "t1")
    return sign(phone, enrolment, step_up, factor)


def roots() -> list[bytes]:
    """The roots that the server trusts: certificates only, as any verifier would be given."""
    found = sorted((Path(__file__).parents[2] / "server_stub" / "trust_anchors").rglob("*.pem"))
    assert found
    return [
        certificate.public_bytes(Encoding.PEM)
        for file in found
        for certificate in load_pem_x509_certificates(file.read_bytes())
    ]


def verified_by_py_webauthn(record: dict[str, Any], factor: str) -> Any:
    from webauthn import verify_registration_response
    from webauthn.helpers.structs import AttestationFormat

    return verify_registration_response(
        credential=json.dumps(record),
        expected_challenge=b"C" * 32,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        require_user_verification=factor == BIOMETRIC,
        pem_root_certs_bytes_by_fmt={AttestationFormat.ANDROID_KEY: roots(), AttestationFormat.PACKED: roots()},
    )


@pytest.mark.parametrize("factor", FACTORS)
def test_py_webauthn_takes_the_registration(bank_with_phone: Any, factor: str) -> None:
    verified = verified_by_py_webauthn(bank_with_phone.registrations()[factor], factor)
    assert verified.user_verified == (factor == BIOMETRIC)
    assert verified.sign_count == 1


@pytest.mark.parametrize("factor", FACTORS)
def test_py_webauthn_takes_an_account_access_assertion(bank_with_phone: Any, phone: Phone, factor: str) -> None:
    from webauthn import verify_authentication_response

    registered = verified_by_py_webauthn(bank_with_phone.registrations()[factor], factor)
    approval = approve(phone, bank_with_phone, Kind.ACCOUNT_ACCESS, factor)
    verified = verify_authentication_response(
        credential=json.dumps(approval.assertion.to_json()),
        expected_challenge=approval.step_up.challenge,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        credential_public_key=registered.credential_public_key,
        credential_current_sign_count=registered.sign_count,
        require_user_verification=factor == BIOMETRIC,
    )
    assert verified.new_sign_count == 2


@pytest.mark.parametrize("factor", FACTORS)
def test_python_fido2_takes_registration_and_assertion(bank_with_phone: Any, phone: Phone, factor: str) -> None:
    from fido2.server import Fido2Server
    from fido2.webauthn import AuthenticationResponse, PublicKeyCredentialRpEntity, RegistrationResponse, websafe_encode

    server = Fido2Server(
        PublicKeyCredentialRpEntity(name="Bank", id=RP_ID), verify_origin=lambda origin: origin == ORIGIN
    )
    need = "required" if factor == BIOMETRIC else "discouraged"
    registration = RegistrationResponse.from_dict(bank_with_phone.registrations()[factor])
    state = {"challenge": websafe_encode(b"C" * 32), "user_verification": need}
    data = server.register_complete(state, registration)
    assert data.credential_data is not None
    approval = approve(phone, bank_with_phone, Kind.ACCOUNT_ACCESS, factor)
    state = {"challenge": websafe_encode(approval.step_up.challenge), "user_verification": need}
    response = AuthenticationResponse.from_dict(approval.assertion.to_json())
    used = server.authenticate_complete(state, [data.credential_data], response)
    assert used.credential_id == data.credential_data.credential_id


@pytest.mark.parametrize("factor", FACTORS)
def test_a_payment_assertion_verifies_with_the_key_that_py_webauthn_read(
    bank_with_phone: Any, phone: Phone, factor: str
) -> None:
    """Both refuse payment.get by its type (SPC); its signature is that of the registered key."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
    from webauthn.helpers.exceptions import InvalidJSONStructure, WebAuthnException

    registered = verified_by_py_webauthn(bank_with_phone.registrations()[factor], factor)
    assertion = approve(phone, bank_with_phone, Kind.PAYMENT, factor).assertion
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = decoded_public_key_to_cryptography(decode_credential_public_key(registered.credential_public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    data = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    key.verify(assertion.signature, data, ec.ECDSA(hashes.SHA256()))
    from webauthn import verify_authentication_response

    with pytest.raises((InvalidJSONStructure, WebAuthnException)):
        verify_authentication_response(
            credential=json.dumps(assertion.to_json()),
            expected_challenge=b"",
            expected_rp_id=RP_ID,
            expected_origin=ORIGIN,
            credential_public_key=registered.credential_public_key,
            credential_current_sign_count=1,
        )
