"""Whether one certificate issued another is answered from kept keys and the bytes of names, and always as the library answers it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from authenticator.profiles import PROFILES
from device_keys.attestation.der import ORGANIZATIONAL_UNIT, read_names, texts
from device_keys.encoding import FormatError, b64url_decode, cbor_decode
from server_stub.checks.chain import _issued, _load, _load_issuer

DAYS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
ROOT_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
KEYS = {
    "P-256": ec.derive_private_key(7, ec.SECP256R1()),
    "P-384": ec.derive_private_key(7, ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "RSA": rsa.generate_private_key(65537, 2048),
}


def issue(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, signer: Any, digest: Any, issuer: x509.Name = ROOT_NAME
) -> bytes:
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), 5, *DAYS)
    return builder.sign(signer, digest).public_bytes(Encoding.DER)


def by_the_library(child: bytes, issuer: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(child).verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def by_us(child: bytes, issuer: bytes) -> bool:
    return _issued(_load(child), _load_issuer(issuer))


def android_chain(honest: ModuleType) -> list[bytes]:
    evidence = honest.Approval(honest.Enrolled(PROFILES["pixel-9"]), "BIOMETRIC").evidence()
    fields = cbor_decode(b64url_decode(evidence.credential.registration["response"]["attestationObject"]))
    chain: list[bytes] = fields["attStmt"]["x5c"]
    return chain


@pytest.mark.parametrize(
    "digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512(), hashes.SHA224()], ids=lambda d: d.name
)
@pytest.mark.parametrize("kind", KEYS)
def test_a_child_of_every_kind_of_issuer_is_known(kind: str, digest: hashes.HashAlgorithm) -> None:
    """RFC 5280 section 6.1.3 (a)(1): signed with the issuer's key; another issuer of the same name is none."""
    signer, chosen = KEYS[kind], None if kind == "Ed25519" else digest
    root = x509.CertificateBuilder(ROOT_NAME, ROOT_NAME, signer.public_key(), 1, *DAYS).sign(signer, chosen)
    other_key = ec.derive_private_key(9, ec.SECP256R1())
    other = issue(ROOT_NAME, other_key, other_key, hashes.SHA256())
    leaf = issue(x509.Name([]), KEYS["P-256"], signer, chosen)
    issuer = root.public_bytes(Encoding.DER)
    assert by_us(leaf, issuer)
    assert by_the_library(leaf, issuer)
    assert not by_us(leaf, other)
    assert not by_the_library(leaf, other)


def test_another_issuer_name_is_refused_though_the_key_is_right() -> None:
    """RFC 5280 section 6.1.3 (a)(4)."""
    key = KEYS["P-256"]
    stranger = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another")])
    root = issue(ROOT_NAME, key, key, hashes.SHA256())
    leaf = issue(x509.Name([]), key, key, hashes.SHA256(), issuer=stranger)
    assert not by_us(leaf, root)
    assert not by_the_library(leaf, root)


def test_two_algorithms_in_one_certificate_are_refused() -> None:
    """RFC 5280 section 4.1.1.2: signatureAlgorithm is the same as the signature field inside."""
    key = KEYS["P-256"]
    root = issue(ROOT_NAME, key, key, hashes.SHA256())
    leaf = issue(x509.Name([]), key, key, hashes.SHA256())
    inside = bytes.fromhex("06082a8648ce3d0403")
    assert leaf.count(inside) == 2
    at = leaf.rindex(inside) + len(inside)
    mixed = leaf[:at] + b"\x03" + leaf[at + 1 :]
    assert not read_names(mixed).one_algorithm
    assert not by_us(mixed, root)
    assert not by_the_library(mixed, root)


@given(st.data())
def test_whatever_byte_is_altered_both_say_the_same(honest: ModuleType, data: st.DataObject) -> None:
    """RTS-9.3.a: a chain that the makers' keys do not vouch for is never taken for one that they do."""
    leaf, issuer, *_ = android_chain(honest)
    which = data.draw(st.sampled_from(["leaf", "issuer"]))
    altered = bytearray(leaf if which == "leaf" else issuer)
    for _ in range(data.draw(st.integers(1, 2))):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    pair = (bytes(altered), issuer) if which == "leaf" else (leaf, bytes(altered))
    try:
        ours = by_us(*pair)
    except FormatError:
        return  # said to be unreadable, before anybody asks who issued it
    assert ours == by_the_library(*pair)


LONGEST = 64  # bytes of UTF-8 that the library lets a common name have
TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
NAMES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME]),
            TEXTS.filter(lambda text: len(text.encode()) <= LONGEST),
        ),
        min_size=1, max_size=2, unique_by=lambda pair: pair[0],
    ),
    max_size=4,
)  # fmt: skip


@given(NAMES, NAMES)
def test_names_are_read_as_the_library_reads_them(issuer: list[list[tuple[x509.ObjectIdentifier, str]]],
                                                  subject: list[list[tuple[x509.ObjectIdentifier, str]]]) -> None:  # fmt: skip
    names = [
        x509.Name([x509.RelativeDistinguishedName([x509.NameAttribute(*pair) for pair in pairs]) for pairs in name])
        for name in (issuer, subject)
    ]
    der = issue(names[1], KEYS["P-256"], KEYS["P-256"], hashes.SHA256(), issuer=names[0])
    found = read_names(der)
    assert (found.issuer, found.subject, found.one_algorithm) == (names[0].public_bytes(), names[1].public_bytes(), True)  # fmt: skip
    loaded = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert texts(found.subject, ORGANIZATIONAL_UNIT) == [name.value for name in loaded]
