"""Certificates that the library loads and then cannot read: each is a `FormatError`, so that the verdict names it instead of a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authenticator.profiles import PROFILES
from device_keys.encoding import FormatError, b64url_decode, b64url_encode, cbor_decode, cbor_encode
from server_stub.checks.chain import read_chain
from server_stub.checks.table import CHECKS, judge
from server_stub.policy import LENIENT, STRICT
from server_stub.trust import Trust

KEY = ec.derive_private_key(7, ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a maker")])


def certificate(san: bytes | None = None) -> bytes:
    builder = (
        x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key()).serial_number(77)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    )  # fmt: skip
    if san is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), san), False)
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def bit_string_name() -> bytes:
    """A subject whose common name is a BIT STRING: found by fuzzing."""
    text = b"\x0c\x07a maker"
    assert certificate().count(text) == 2
    return certificate().replace(text, b"\x03\x07\x00 maker")


UNREADABLE = {
    "a version that does not exist": certificate().replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1),
    "an X.400 address as alternative name": certificate(b"\x30\x04\xa3\x02\x30\x00"),
    "an extension that is not DER": certificate(b"\xff\xff"),
    "a name that is a BIT STRING": bit_string_name(),
    "not a certificate": b"\x30\x00",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_unreadable_certificate_is_a_format_error(what: str) -> None:
    with pytest.raises(FormatError):
        read_chain([UNREADABLE[what]])


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("what", UNREADABLE)
def test_in_any_place_of_a_chain_it_fails_a_check_and_every_check_answers(
    honest: ModuleType, trust: Trust, what: str, place: int
) -> None:
    """WebAuthn, verification of android-key: nothing that an attestation holds may end in a crash."""
    evidence = honest.Approval(honest.Enrolled(PROFILES["pixel-9"]), "BIOMETRIC").evidence()
    assert evidence.credential is not None
    registration = evidence.credential.registration
    fields = cbor_decode(b64url_decode(registration["response"]["attestationObject"]))
    chain = fields["attStmt"]["x5c"]
    chain[place:] = [UNREADABLE[what], *chain[place + 1 :]]
    response = registration["response"] | {"attestationObject": b64url_encode(cbor_encode(fields))}
    credential = msgspec.structs.replace(evidence.credential, registration=registration | {"response": response})
    for policy in (STRICT, LENIENT):
        findings = judge(msgspec.structs.replace(evidence, credential=credential), policy, trust)
        assert [finding.check for finding in findings] == [check.id for check in CHECKS]
    assert any(
        f.outcome == "fail" and f.check.startswith("attestation.")
        for f in judge(msgspec.structs.replace(evidence, credential=credential), STRICT, trust)
    )
