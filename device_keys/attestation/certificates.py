"""What every format with certificates needs: `x5c`, extensions and keys; whatever is unreadable is a `FormatError`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from device_keys.encoding import FormatError
from device_keys.genuine_dates import show_genuine_class
from device_keys.keys import PublicKey, public_key

show_genuine_class()

# What the library raises for certificates that it cannot read, at loading or when a part is looked at.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def parse_x5c(value: Any, where: str = "attStmt.x5c") -> tuple[bytes, ...]:
    """A non-empty array of byte strings, leaf first."""
    if not isinstance(value, list) or not value or not all(isinstance(item, bytes) for item in value):
        raise FormatError(where, "a non-empty array of DER certificates")
    return tuple(value)


def load_certificate(der: bytes, where: str = "certificate") -> x509.Certificate:
    """The certificate whose DER this is."""
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise FormatError(where, "an X.509 certificate in DER") from error


def load_chain(x5c: tuple[bytes, ...], where: str = "attStmt.x5c") -> tuple[x509.Certificate, ...]:
    """The certificates of `x5c`, leaf first."""
    return tuple(load_certificate(der, f"{where}[{index}]") for index, der in enumerate(x5c))


# Object identifiers are values: each is read from its text once.
_identifier = lru_cache(maxsize=64)(x509.ObjectIdentifier)


def extension_value(certificate: x509.Certificate, oid: str) -> bytes | None:
    """The content (DER) of a private extension, or None where the certificate has none."""
    try:
        extension = certificate.extensions.get_extension_for_oid(_identifier(oid))
        return extension.value.public_bytes()
    except x509.ExtensionNotFound:
        return None
    except UNREADABLE as error:
        raise FormatError("certificate.extensions", "readable extensions, each once") from error


def certificate_key(certificate: x509.Certificate, algorithm: int | None = None) -> PublicKey:
    """The certificate's public key, for `algorithm` (default: the usual one of its type)."""
    try:
        return public_key(certificate.public_key(), algorithm)
    except UNREADABLE as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError("certificate.publicKey", "a supported key") from error
