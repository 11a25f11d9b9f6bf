"""The WebAuthn Level 3 test vectors, made again from the labels that their specification publishes.

Web Authentication Level 3, section "Test Vectors": every random value is HKDF-SHA-256 with the input key material
`WebAuthn test vectors`, the label of its case as info, and as salt one byte that counts the values of the case from 00.
ECDSA signatures follow RFC 6979, so the same bytes come out on every machine. No byte of the vectors is kept here, only
digests of them (`w3c_digests.json`, taken from the specification's own text). `cbor2` and `cryptography` write the
structures: none of the code under test helps to make what tests it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

RP_ID_HASH = hashlib.sha256(b"example.org").digest()
CA_START, CA_END = datetime(2024, 1, 1, tzinfo=UTC), datetime(3024, 1, 1, tzinfo=UTC)
ES256 = -7


@dataclass(frozen=True)
class Case:
    """What sets one case of the specification apart from the others.

    Args:
        format: the attestation statement's format, and the first part of the label.
        algorithm: the credential's algorithm as the label spells it.
        variant: the rest of the label, where there is one.
        key_length: octets of randomness for the private key; 0 for RSA, whose primes are fixed.
        self_attested: the credential's own key signs a packed statement.
    """

    format: str
    algorithm: str = "ES256"
    variant: str = ""
    key_length: int = 32
    challenge_length: int = 32
    credential_id_length: int = 32
    self_attested: bool = False
    top_origin: bool = False

    @property
    def label(self) -> str:
        parts = (self.format + "-self" * self.self_attested, self.algorithm, self.variant)
        return ".".join(part for part in parts if part)

    @property
    def name(self) -> str:
        """The name of the case's file in the folder of vectors, which follows the specification's anchors."""
        parts = (self.format + "-self" * self.self_attested, self.algorithm.lower(), self.variant)
        return "-".join(part for part in parts if part)


CASES = (
    Case("none"),
    Case("packed", self_attested=True),
    Case("none", variant="crossOrigin"),
    Case("none", variant="topOrigin", top_origin=True),
    Case("none", variant="long-credential-id", credential_id_length=1023),
    Case("packed"),
    Case("packed", "ES384", key_length=48),
    Case("packed", "ES512", key_length=65, challenge_length=128),
    Case("packed", "RS256", key_length=0),
    Case("packed", "EdDSA"),
    Case("packed", "Ed448", key_length=57),
    Case("tpm"),
    Case("android-key"),
    Case("apple"),
    Case("fido-u2f"),
)


DIGESTS: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("w3c_digests.json").read_text())
CASE_BY_NAME = {case.name: case for case in CASES}


@cache
def derive(case: Case) -> dict[str, dict[str, bytes]]:
    """Both ceremonies of a case: the values that a relying party issues and gets, by the names of the specification."""
    draw = draws(case.label)
    challenge = draw(case.challenge_length)
    key = PrivateKey.of(case, draw)
    client_data = collected_client_data(case, "webauthn.create", challenge, draw)
    aaguid, credential_id = draw(16), draw(case.credential_id_length)
    attested = aaguid + len(credential_id).to_bytes(2) + credential_id + cbor2.dumps(key.cose(), canonical=True)
    # A U2F authenticator verifies and backs up nothing, so no value is drawn for those flags.
    drawn = 0 if case.format == "fido-u2f" else draw(1)[0] & 0x1C
    backup_eligible = drawn & 0x08
    flags = 0x41 | (drawn if backup_eligible else drawn & 0x04)
    auth_data = RP_ID_HASH + bytes([flags]) + bytes(4) + attested
    statement = STATEMENTS[case.format](case, key, auth_data, client_data, credential_id, draw)
    attestation = {"fmt": case.format, "attStmt": statement, "authData": auth_data}
    made = {
        "challenge": challenge,
        "credential_id": credential_id,
        "clientDataJSON": client_data,
        "attestationObject": cbor2.dumps(attestation, canonical=True),
    }

    challenge = draw(case.challenge_length)
    client_data = collected_client_data(case, "webauthn.get", challenge, draw)
    drawn = draw(1)[0] & 0x14
    flags = 0x01 | backup_eligible | (drawn if backup_eligible else drawn & 0x04)
    auth_data = RP_ID_HASH + bytes([flags]) + bytes(4)
    used = {
        "challenge": challenge,
        "authenticatorData": auth_data,
        "clientDataJSON": client_data,
        "signature": key.sign(auth_data + digest(client_data)),
    }
    return {"registration": made, "authentication": used}


def draws(label: str) -> Callable[[int], bytes]:
    """The values of a case, one after another: give a length in octets, get the next."""
    salts: Iterator[int] = count()

    def draw(length: int) -> bytes:
        hkdf = HKDF(algorithm=SHA256(), length=length, salt=bytes([next(salts)]), info=label.encode())
        return hkdf.derive(b"WebAuthn test vectors")

    return draw


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def collected_client_data(case: Case, kind: str, challenge: bytes, draw: Callable[[int], bytes]) -> bytes:
    """clientDataJSON: in one case of two (the drawn value is odd) with a member that nobody expects."""
    cross_origin = case.top_origin or case.variant == "crossOrigin"
    members = [
        f'"type":"{kind}"',
        f'"challenge":"{b64url(challenge)}"',
        '"origin":"https://example.org"',
        f'"crossOrigin":{"true" if cross_origin else "false"}',
    ]
    if case.top_origin:
        members.append('"topOrigin":"https://example.com"')
    if draw(1)[0] & 1:
        sentence = "clientDataJSON may be extended with additional fields in the future, such as this:"
        members.append(f'"extraData":"{sentence} {b64url(draw(16))}"')
    return ("{" + ",".join(members) + "}").encode()


def b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


# --- keys ---------------------------------------------------------------------------------------------------------------

CURVES: dict[str, tuple[ec.EllipticCurve, HashAlgorithm, int, int]] = {
    "ES256": (ec.SECP256R1(), SHA256(), ES256, 1),
    "ES384": (ec.SECP384R1(), SHA384(), -35, 2),
    "ES512": (ec.SECP521R1(), SHA512(), -36, 3),
}


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs as its algorithm says, always with the same bytes."""

    algorithm: str
    secret: Any

    @classmethod
    def of(cls, case: Case, draw: Callable[[int], bytes]) -> PrivateKey:
        if case.algorithm == "RS256":
            return cls("RS256", mersenne_key())
        seed = draw(case.key_length)
        if case.algorithm == "EdDSA":
            return cls("EdDSA", ed25519.Ed25519PrivateKey.from_private_bytes(seed))
        if case.algorithm == "Ed448":
            return cls("Ed448", ed448.Ed448PrivateKey.from_private_bytes(seed))
        return cls(case.algorithm, ec.derive_private_key(int.from_bytes(seed), CURVES[case.algorithm][0]))

    def sign(self, data: bytes) -> bytes:
        if self.algorithm == "RS256":
            signature = self.secret.sign(data, padding.PKCS1v15(), SHA256())
        elif self.algorithm in CURVES:
            signature = self.secret.sign(data, ec.ECDSA(CURVES[self.algorithm][1], deterministic_signing=True))
        else:
            signature = self.secret.sign(data)
        return bytes(signature)

    def cose(self) -> dict[int, Any]:
        """RFC 9052 COSE_Key."""
        public = self.secret.public_key()
        if self.algorithm == "RS256":
            numbers = public.public_numbers()
            return {1: 3, 3: -257, -1: integer(numbers.n), -2: integer(numbers.e)}
        if self.algorithm == "EdDSA":
            return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
        if self.algorithm == "Ed448":
            return {1: 1, 3: -53, -1: 7, -2: public.public_bytes_raw()}
        _, _, number, curve = CURVES[self.algorithm]
        x, y = coordinates(public)
        return {1: 2, 3: number, -1: curve, -2: x, -3: y}


def coordinates(public: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    numbers, size = public.public_numbers(), (public.curve.key_size + 7) // 8
    return numbers.x.to_bytes(size), numbers.y.to_bytes(size)


def integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8)


def mersenne_key() -> rsa.RSAPrivateKey:
    """RS256's key is not drawn: its primes are the two smallest Mersenne primes of at least 1024 bits."""
    p, q, e = 2**1279 - 1, 2**2203 - 1, 65537
    d = rsa.rsa_recover_private_exponent(e, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, p * q)
    )
    return numbers.private_key()


# --- certificates -------------------------------------------------------------------------------------------------------


def named(unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "WebAuthn test vectors"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "W3C"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "AA"),
        ]
    )


CA_NAME, LEAF_NAME = named("Authenticator Attestation CA"), named("Authenticator Attestation")


def attestation_ca() -> bytes:
    """The one root of all attested cases, in DER."""
    draw = draws("Attestation CA")
    key = ec.derive_private_key(int.from_bytes(draw(32)), ec.SECP256R1())
    builder = begun(CA_NAME, key.public_key(), draw(16), ca=True)
    return finished(builder, key)


def ca_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(draws("Attestation CA")(32)), ec.SECP256R1())


def begun(subject: x509.Name, key: ec.EllipticCurvePublicKey, serial: bytes, *, ca: bool) -> x509.CertificateBuilder:
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return (
        x509.CertificateBuilder(issuer_name=CA_NAME, subject_name=subject)
        .public_key(key)
        .serial_number(int.from_bytes(serial))
        .not_valid_before(CA_START)
        .not_valid_after(CA_END)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def finished(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def leaf(
    key: ec.EllipticCurvePublicKey, serial: bytes, *extensions: tuple[Any, bool], subject: x509.Name = LEAF_NAME
) -> bytes:
    root = ca_key()
    builder = begun(subject, key, serial, ca=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return finished(builder, root)


# --- attestation statements ---------------------------------------------------------------------------------------------


def none_statement(*_: Any) -> dict[str, Any]:
    return {}


def packed_statement(case: Case, key: PrivateKey, auth_data: bytes, client_data: bytes, _: bytes, draw: Any) -> Any:
    signed = auth_data + digest(client_data)
    if case.self_attested:
        return {"alg": ES256, "sig": key.sign(signed)}
    attester = attestation_key(draw)
    certificate = leaf(attester.secret.public_key(), draw(16))
    return {"alg": ES256, "sig": attester.sign(signed), "x5c": [certificate]}


def attestation_key(draw: Callable[[int], bytes]) -> PrivateKey:
    return PrivateKey("ES256", ec.derive_private_key(int.from_bytes(draw(32)), ec.SECP256R1()))


def u2f_statement(_: Case, key: PrivateKey, _auth: bytes, client_data: bytes, credential_id: bytes, draw: Any) -> Any:
    attester = attestation_key(draw)
    certificate = leaf(attester.secret.public_key(), draw(16))
    point = b"\x04" + b"".join(coordinates(key.secret.public_key()))
    signed = b"\x00" + RP_ID_HASH + digest(client_data) + credential_id + point
    return {"sig": attester.sign(signed), "x5c": [certificate]}


def android_statement(_: Case, key: PrivateKey, auth_data: bytes, client_data: bytes, _id: bytes, draw: Any) -> Any:
    """A KeyDescription of version 300, security levels Software, and both authorization lists empty."""
    challenge = b"\x04\x20" + digest(client_data)
    fields = bytes.fromhex("0202012c 0a0100 020100 0a0100") + challenge + bytes.fromhex("0400 3000 3000")
    description = b"\x30" + bytes([len(fields)]) + fields
    extension = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.11129.2.1.17"), description)
    certificate = leaf(key.secret.public_key(), draw(16), (extension, False))
    return {"alg": ES256, "sig": key.sign(auth_data + digest(client_data)), "x5c": [certificate]}


def apple_statement(_: Case, key: PrivateKey, auth_data: bytes, client_data: bytes, _id: bytes, draw: Any) -> Any:
    nonce = bytes.fromhex("3024 a122 0420") + digest(auth_data + digest(client_data))
    extension = x509.UnrecognizedExtension(ObjectIdentifier("1.2.840.113635.100.8.2"), nonce)
    return {"x5c": [leaf(key.secret.public_key(), draw(16), (extension, False))]}


def tpm_statement(_: Case, key: PrivateKey, auth_data: bytes, client_data: bytes, _id: bytes, draw: Any) -> Any:
    """TPM 2.0 Library, Part 2: TPMT_PUBLIC of an ECC key on P-256, and the TPMS_ATTEST that certifies it."""
    x, y = coordinates(key.secret.public_key())
    # TPM_ALG_ECC, TPM_ALG_SHA256, object attribute sign, no policy; no symmetric cipher, no scheme, P-256, no KDF.
    public = bytes.fromhex("0023 000b 00040000 0000 0010 0010 0003 0010") + sized(x) + sized(y)
    name = b"\x00\x0b" + digest(public)
    clock, firmware = bytes.fromhex("0000000000000000 11111111 22222222 33"), bytes(8)
    attest = (
        bytes.fromhex("ff544347 8017")
        + sized(b"")
        + sized(digest(auth_data + digest(client_data)))
        + (clock + firmware + sized(name) + sized(b""))
    )
    attester = attestation_key(draw)
    maker = x509.RelativeDistinguishedName(
        [
            x509.NameAttribute(ObjectIdentifier("2.23.133.2.1"), "id:00000000"),
            x509.NameAttribute(ObjectIdentifier("2.23.133.2.2"), "WebAuthn test vectors"),
            x509.NameAttribute(ObjectIdentifier("2.23.133.2.3"), "id:00000000"),
        ]
    )
    certificate = leaf(
        attester.secret.public_key(),
        draw(16),
        (x509.ExtendedKeyUsage([ObjectIdentifier("2.23.133.8.3")]), False),
        (x509.SubjectAlternativeName([x509.DirectoryName(x509.Name([maker]))]), True),
        subject=x509.Name([]),
    )
    signature = attester.sign(attest)
    return {
        "ver": "2.0",
        "alg": ES256,
        "x5c": [certificate],
        "sig": signature,
        "certInfo": attest,
        "pubArea": public,
    }


def sized(data: bytes) -> bytes:
    """A TPM2B structure: two octets of length, then the data."""
    return len(data).to_bytes(2) + data


STATEMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "none": none_statement,
    "packed": packed_statement,
    "fido-u2f": u2f_statement,
    "android-key": android_statement,
    "apple": apple_statement,
    "tpm": tpm_statement,
}
