"""What the in-process rows work on: fresh ES256 credentials, certified registrations and signed assertions, made without our phone.

Built with `cryptography` and `cbor` of python-fido2 alone, so that every verifier gets the same plain WebAuthn messages.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier
from fido2 import cbor

RP_ID = "stepup-simulator.test"
ORIGIN = f"https://{RP_ID}"
NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
AAGUID = bytes(range(16))
_AAGUID_OID = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_ES256 = ec.ECDSA(hashes.SHA256())
_RP_ID_HASH = hashlib.sha256(RP_ID.encode()).digest()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def client_data(type_: str, challenge: bytes) -> bytes:
    members = {"type": type_, "challenge": b64url(challenge), "origin": ORIGIN, "crossOrigin": False}
    return json.dumps(members, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Certified:
    """One registration with its challenge, and the signatures that vouch for it: (key, signature, data)."""

    challenge: bytes
    record: dict[str, Any]
    signatures: tuple[tuple[ec.EllipticCurvePublicKey, bytes, bytes], ...]

    @property
    def text(self) -> str:
        return json.dumps(self.record)


class Maker:
    """A maker of security keys: root, one intermediate, and a certified batch key for each registration."""

    def __init__(self) -> None:
        self._root_key, self._issuer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = _certificate("bench root", "bench root", self._root_key, self._root_key, ca=True)
        self.issuer = _certificate("bench batch", "bench root", self._issuer_key, self._root_key, ca=True)

    @property
    def root_pem(self) -> str:
        return self.root.public_bytes(serialization.Encoding.PEM).decode()

    def register(self) -> Certified:
        """A `packed` registration: x5c holds leaf and intermediate, the root is the verifier's."""
        device, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        leaf = _certificate("bench leaf", "bench batch", leaf_key, self._issuer_key, ca=False)
        credential_id, challenge = secrets.token_bytes(32), secrets.token_bytes(32)
        auth_data = _RP_ID_HASH + b"\x45" + bytes(4) + AAGUID + (32).to_bytes(2, "big") + credential_id + cose(device)
        data = client_data("webauthn.create", challenge)
        signed = auth_data + hashlib.sha256(data).digest()
        signature = leaf_key.sign(signed, _ES256)
        x5c = [certificate.public_bytes(serialization.Encoding.DER) for certificate in (leaf, self.issuer)]
        statement = {"alg": -7, "sig": signature, "x5c": x5c}
        record = _public_key_credential(
            credential_id,
            {
                "clientDataJSON": b64url(data),
                "attestationObject": b64url(
                    cbor.encode({"fmt": "packed", "attStmt": statement, "authData": auth_data})
                ),
            },
        )
        vouched = tuple(
            (key.public_key(), certificate.signature, certificate.tbs_certificate_bytes)
            for key, certificate in ((self._issuer_key, leaf), (self._root_key, self.issuer))
        )
        return Certified(challenge, record, ((leaf_key.public_key(), signature, signed), *vouched))


class Authenticator:
    """One credential without attestation, and the assertions that it signs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = secrets.token_bytes(32)
        self.challenge = secrets.token_bytes(32)
        data = client_data("webauthn.create", self.challenge)
        auth_data = _RP_ID_HASH + b"\x45" + bytes(4) + AAGUID + (32).to_bytes(2, "big") + self.credential_id + self.cose
        statement = {"fmt": "none", "attStmt": {}, "authData": auth_data}
        self.registration = _public_key_credential(
            self.credential_id, {"clientDataJSON": b64url(data), "attestationObject": b64url(cbor.encode(statement))}
        )

    @property
    def cose(self) -> bytes:
        return cose(self.key)

    def sign(self, counter: int) -> Signed:
        """An assertion over a fresh challenge."""
        challenge = secrets.token_bytes(32)
        data = client_data("webauthn.get", challenge)
        auth_data = _RP_ID_HASH + b"\x05" + counter.to_bytes(4, "big")
        signed = auth_data + hashlib.sha256(data).digest()
        signature = self.key.sign(signed, _ES256)
        response = {
            "clientDataJSON": b64url(data),
            "authenticatorData": b64url(auth_data),
            "signature": b64url(signature),
        }
        return Signed(
            challenge,
            json.dumps(_public_key_credential(self.credential_id, response), separators=(",", ":")),
            signed,
            signature,
        )


@dataclass(frozen=True)
class Signed:
    """One assertion: its JSON text, its challenge, and the signature with the bytes under it."""

    challenge: bytes
    text: str
    signed: bytes
    signature: bytes


def cose(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return bytes(
        cbor.encode({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
    )


def _public_key_credential(credential_id: bytes, response: dict[str, Any]) -> dict[str, Any]:
    name = b64url(credential_id)
    return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2090, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not ca:
        builder = builder.add_extension(x509.UnrecognizedExtension(_AAGUID_OID, b"\x04\x10" + AAGUID), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    pairs = (NameOID.COUNTRY_NAME, "AA"), (NameOID.ORGANIZATION_NAME, "bench"), (NameOID.COMMON_NAME, common)
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation")
    return x509.Name([*(x509.NameAttribute(oid, text) for oid, text in pairs), unit])
