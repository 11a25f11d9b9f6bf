"""The simulated makers' certification authorities.

Their private keys are derived from constant texts, hence public knowledge: they guard nothing and prove nothing outside a test. Roots and
intermediates are valid from 2000 to 2099 and have the same bytes on every machine; batches are dated by whoever asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from device_keys.algorithms import ES256, ES384
from device_keys.genuine_dates import show_genuine_class
from device_keys.secure_hardware import Signer, derive_ec_private_key

show_genuine_class()

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
END: Final = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)

_HASHES: Final[dict[int, hashes.SHA256 | hashes.SHA384]] = {256: hashes.SHA256(), 384: hashes.SHA384()}


class Maker(StrEnum):
    """Who certifies: the maker that servers know, another one, or another one under the known one's name."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    IMITATED = "imitated"


class Family(StrEnum):
    """The makers' hierarchies; each has one root."""

    ANDROID = "android"
    ANDROID_SOFTWARE = "android-software"
    APP_ATTEST = "app-attest"
    APPLE_WEBAUTHN = "apple-webauthn"
    FIDO = "fido"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and the key that signs under it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(
        self,
        subject: x509.Name,
        public_key: Any,
        *,
        serial: int,
        not_before: datetime,
        not_after: datetime,
        extensions: Iterable[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        """A certificate for `public_key`; extensions come as (extension, critical), in their order."""
        return _sign(
            subject, public_key, self.certificate.subject, self.key, serial, (not_before, not_after), extensions
        )


def maker_key(label: str, algorithm: int = ES256) -> ec.EllipticCurvePrivateKey:
    """The key of this text: the same on every machine."""
    return derive_ec_private_key(hashlib.shake_256(f"stepup-simulator maker {label}".encode()).digest(72), algorithm)


def serial_of(label: str, size: int = 16) -> int:
    """A constant serial number, positive and of `size` bytes."""
    digest = hashlib.sha256(f"stepup-simulator serial {label}".encode()).digest()
    return int.from_bytes(bytes([digest[0] & 0x7F | 0x40]) + digest[1:size], "big")


def name(**attributes: str) -> x509.Name:
    """A distinguished name; attributes by their short names, in the order given."""
    return x509.Name([x509.NameAttribute(_OIDS[short], text) for short, text in attributes.items()])


_OIDS: Final = {
    "CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME, "serialNumber": NameOID.SERIAL_NUMBER, "T": NameOID.TITLE,
}  # fmt: skip


def key_usage(*bits: str) -> x509.KeyUsage:
    """Key usage with these bits and no other."""
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
        "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: bit in bits for bit in every})


def ca_extensions(
    public_key: Any, issuer_key: Any, path_length: int | None = None
) -> list[tuple[x509.ExtensionType, bool]]:
    """What makes a certificate an authority's."""
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (key_usage("key_cert_sign", "crl_sign"), True),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False),
    ]


def _sign(
    subject: x509.Name,
    public_key: Any,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    validity: tuple[datetime, datetime],
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(validity[0].replace(microsecond=0))
        .not_valid_after(validity[1].replace(microsecond=0))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, _HASHES[key.curve.key_size], ecdsa_deterministic=True)


# --- the hierarchies ----------------------------------------------------------------------------------------------------

_ROOT_NAMES: Final[dict[Family, dict[str, str]]] = {
    Family.ANDROID: {"CN": "Simulated Android Key Attestation Root", "O": "stepup-simulator, not Google"},
    Family.ANDROID_SOFTWARE: {
        "CN": "Simulated Android Software Attestation Root",
        "O": "stepup-simulator, not Google",
    },
    Family.APP_ATTEST: {
        "CN": "Simulated App Attestation Root CA",
        "O": "stepup-simulator, not Apple",
        "ST": "California",
    },
    Family.APPLE_WEBAUTHN: {"CN": "Simulated WebAuthn Root CA", "O": "stepup-simulator, not Apple", "ST": "California"},
    Family.FIDO: {"CN": "Simulated Authenticator Root CA", "O": "stepup-simulator", "C": "AA"},
}


@lru_cache(maxsize=32)
def root(family: Family, maker: Maker = Maker.KNOWN) -> Authority:
    """A family's root; an unknown maker's has another name and key, an imitation the same name and another key."""
    attributes = dict(_ROOT_NAMES[family])
    if maker is Maker.UNKNOWN:
        attributes["CN"] = attributes["CN"].replace("Simulated", "Unknown")
    subject, key = name(**attributes), maker_key(f"{family} {maker} root", ES384)
    public = key.public_key()
    certificate = _sign(
        subject,
        public,
        subject,
        key,
        serial_of(f"{family} {maker} root"),
        (EPOCH, END),
        ca_extensions(public, public),
    )
    return Authority(certificate, key)


# The intermediates below each root: label, name, algorithm, path length; the last one issues batches or leaves.
_INTERMEDIATES: Final[dict[str, tuple[tuple[dict[str, str], int, int], ...]]] = {
    # Verifiers recognise remote provisioning by this very name (attestation section 7); the root below says whose it is not.
    "rkp": (
        ({"CN": "Droid CA2", "O": "Google LLC", "OU": "Simulated by stepup-simulator"}, ES384, 2),
        ({"CN": "Droid CA3", "O": "Google LLC", "OU": "Simulated by stepup-simulator"}, ES256, 1),
    ),
    "factory": (({"T": "TEE", "serialNumber": "51e90adf75c3b046"}, ES384, 1),),
    "software": (),
    "app-attest": (
        ({"CN": "Simulated App Attestation CA 1", "O": "stepup-simulator, not Apple", "ST": "California"}, ES384, 0),
    ),
    "apple-webauthn": (
        ({"CN": "Simulated WebAuthn CA 1", "O": "stepup-simulator, not Apple", "ST": "California"}, ES384, 0),
    ),
    "fido": (({"CN": "Simulated Authenticator Attestation CA 1", "O": "stepup-simulator", "C": "AA"}, ES256, 0),),
}

FAMILY_OF_SHAPE: Final[dict[str, Family]] = {
    "rkp": Family.ANDROID,
    "factory": Family.ANDROID,
    "software": Family.ANDROID_SOFTWARE,
    "app-attest": Family.APP_ATTEST,
    "apple-webauthn": Family.APPLE_WEBAUTHN,
    "fido": Family.FIDO,
}


@lru_cache(maxsize=64)
def authorities(shape: str, maker: Maker = Maker.KNOWN) -> tuple[Authority, ...]:
    """The authorities of a chain of this shape, the one that issues first, the root last."""
    path = [root(FAMILY_OF_SHAPE[shape], maker)]
    for attributes, algorithm, path_length in _INTERMEDIATES[shape]:
        label = f"{shape} {maker} {sorted(attributes.items())}"
        key, issuer = maker_key(label, algorithm), path[0]
        certificate = issuer.issue(
            name(**attributes),
            key.public_key(),
            serial=serial_of(label),
            not_before=EPOCH,
            not_after=END,
            extensions=ca_extensions(key.public_key(), issuer.key.public_key(), path_length),
        )
        path.insert(0, Authority(certificate, key))
    return tuple(path)


def der(certificate: x509.Certificate) -> bytes:
    """The certificate's DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate's PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def without_root(path: tuple[Authority, ...]) -> tuple[bytes, ...]:
    """The DER of every authority's certificate but the root's, as most formats carry them."""
    return tuple(der(authority.certificate) for authority in path[:-1])


def private_extension(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    """A maker's own extension."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


def impostor() -> ec.EllipticCurvePrivateKey:
    """A key of nobody's hardware: what gets certified in place of the right one."""
    return maker_key("impostor")


def ecdsa_signer(key: ec.EllipticCurvePrivateKey) -> Signer:
    """Signs with ECDSA-SHA256 under RFC 6979."""
    return lambda data: key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
