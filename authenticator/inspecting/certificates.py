"""Certificates and chains in words: every extension named, makers' own ones opened, unknown ones kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from authenticator.inspecting import der
from authenticator.inspecting.android import key_description
from authenticator.inspecting.tree import Item, attempt, plain, unread
from device_keys.algorithms import ALGORITHM_NAMES
from device_keys.attestation import android_key, apple, packed
from device_keys.attestation.certificates import UNREADABLE
from device_keys.clock import rfc3339
from device_keys.encoding import FormatError
from device_keys.keys import public_key

_OWN_NAMES: Final = {
    android_key.KEY_DESCRIPTION_OID: "Android KeyDescription",
    android_key.PROVISIONING_INFO_OID: "Android provisioning info",
    apple.NONCE_OID: "Apple nonce",
    "1.2.840.113635.100.8.5": "Apple key and app facts (undocumented)",
    "1.2.840.113635.100.8.6": "Apple access control (undocumented on iOS)",
    "1.2.840.113635.100.8.7": "Apple system facts (undocumented)",
    packed.AAGUID_OID: "FIDO AAGUID",
    packed.FIRMWARE_OID: "FIDO firmware version",
    "1.3.6.1.4.1.45724.1.1.2": "FIDO serial number (enterprise attestation)",
}


def certificate(data: bytes) -> Item:
    """One certificate. Raises FormatError where not even its frame can be read."""
    try:
        loaded = x509.load_der_x509_certificate(data)
        return Item("certificate", items=_members(loaded), meaning=_kind(loaded))
    except UNREADABLE as error:
        raise FormatError("certificate", f"an X.509 certificate in DER ({error})") from error


def _kind(loaded: x509.Certificate) -> str:
    return "self-issued" if loaded.subject == loaded.issuer else ""


def _members(loaded: x509.Certificate) -> tuple[Item, ...]:
    return (
        Item("subject", loaded.subject.rfc4514_string()),
        Item("issuer", loaded.issuer.rfc4514_string()),
        Item("serialNumber", f"{loaded.serial_number:x}"),
        Item("notBefore", rfc3339(loaded.not_valid_before_utc)),
        Item("notAfter", rfc3339(loaded.not_valid_after_utc)),
        Item(
            "signatureAlgorithm",
            loaded.signature_algorithm_oid.dotted_string,
            _oid_name(loaded.signature_algorithm_oid),
        ),
        _public_key(loaded),
        *_extensions(loaded),
        Item("sha256", hashlib.sha256(loaded.public_bytes(serialization.Encoding.DER)).hexdigest()),
    )


def _oid_name(oid: x509.ObjectIdentifier) -> str:
    """The library's name for it, or nothing."""
    name: str = getattr(oid, "_name", "")
    return "" if name == "Unknown OID" else name


def _public_key(loaded: x509.Certificate) -> Item:
    try:
        key = public_key(loaded.public_key())
    except UNREADABLE as error:
        oid = loaded.public_key_algorithm_oid
        return Item("publicKey", oid.dotted_string, _oid_name(oid), problem=str(error))
    size = getattr(key.key, "key_size", None)
    words = f"{type(key.key).__name__.removesuffix('PublicKey')} {size or ''}".strip()
    return Item("publicKey", key.spki().hex(), words, (Item("sha256", key.fingerprint()),))


def _extensions(loaded: x509.Certificate) -> tuple[Item, ...]:
    try:
        found = list(loaded.extensions)
    except UNREADABLE as error:
        return (Item("extensions", problem=str(error)),)
    return (Item("extensions", items=tuple(_extension(extension) for extension in found)),) if found else ()


def _extension(extension: x509.Extension[Any]) -> Item:
    oid = extension.oid.dotted_string
    name = _OWN_NAMES.get(oid) or _oid_name(extension.oid) or oid
    label = f"{name}, critical" if extension.critical else name
    if isinstance(extension.value, x509.UnrecognizedExtension):
        return attempt(label, extension.value.value, _OPENED.get(oid, _unknown))
    return Item(label, oid, _words(extension.value))


def _words(value: Any) -> str:
    if isinstance(value, x509.BasicConstraints):
        length = "" if value.path_length is None else f", path length {value.path_length}"
        return f"an authority{length}" if value.ca else "not an authority"
    if isinstance(value, x509.KeyUsage):
        return (
            ", ".join(bit.removeprefix("_").replace("_", " ") for bit in _KEY_USAGES if getattr(value, bit, False))
            or "none"
        )
    if isinstance(value, x509.SubjectKeyIdentifier):
        return value.digest.hex()
    if isinstance(value, x509.AuthorityKeyIdentifier):
        return value.key_identifier.hex() if value.key_identifier else ""
    if isinstance(value, x509.ExtendedKeyUsage):
        return ", ".join(_oid_name(usage) or usage.dotted_string for usage in value)
    return str(value)


_KEY_USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
    "_encipher_only", "_decipher_only",
)  # fmt: skip


def _unknown(content: bytes) -> Item:
    element, rest = der.read_one(content)
    return unread("", content, "unknown content") if rest else Item("", items=(der.describe(element),))


def _provisioning_info(content: bytes) -> Item:
    from device_keys.encoding import cbor_decode

    info = cbor_decode(content, "provisioning info")
    count = info.get(1) if isinstance(info, dict) else None
    return Item("", items=plain("", info).items, meaning=f"{count} certificates issued to this phone" if count else "")


def _octets(content: bytes) -> Item:
    element, _ = der.read_one(content)
    return Item("", element.integer() if element.is_(der.INTEGER) else element.content.hex())


_OPENED: Final[dict[str, Callable[[bytes], Item]]] = {
    android_key.KEY_DESCRIPTION_OID: key_description,
    android_key.PROVISIONING_INFO_OID: _provisioning_info,
    apple.NONCE_OID: lambda content: Item(
        "", apple.parse_nonce_extension(content).hex(), "SHA-256(authData ‖ clientDataHash)"
    ),
    packed.AAGUID_OID: lambda content: Item("", packed.parse_aaguid_extension(content).hex()),
    packed.FIRMWARE_OID: _octets,
}


def chain(certificates: tuple[bytes, ...]) -> Item:
    """Every certificate, and whether each was issued by the next."""
    items = [attempt(f"[{index}]", data, certificate) for index, data in enumerate(certificates)]
    links = [_link(index, *certificates[index : index + 2]) for index in range(len(certificates) - 1)]
    return Item("certificates", items=(*items, *links))


def _link(index: int, subject: bytes, issuer: bytes) -> Item:
    label = f"[{index}] issued by [{index + 1}]"
    try:
        certified, certifier = x509.load_der_x509_certificate(subject), x509.load_der_x509_certificate(issuer)
        certified.verify_directly_issued_by(certifier)
    except InvalidSignature:
        return Item(label, False, "the signature is another key's")
    except UNREADABLE as error:
        return Item(label, False, str(error))
    return Item(label, True)


def algorithm_words(value: int) -> str:
    """A COSE algorithm's name."""
    return ALGORITHM_NAMES.get(value, "not a known algorithm")
