"""Certificate chains, walked by hand: the rules are the makers' own, not those of the web (Google's key attestation
verifier, Apple's guide).

Signatures, names and the anchor belong to `attestation.chain`; dates, revocation and the position of the attestation
to checks of their own. BasicConstraints are not consulted: genuine phones carry attestation certificates with
cA=FALSE, and the defence against a chain that its owner prolonged is the position of the KeyDescription.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from device_keys.attestation.android_key import KEY_DESCRIPTION_OID
from device_keys.attestation.certificates import UNREADABLE, extension_value, load_certificate
from device_keys.attestation.der import Names, read_names
from device_keys.encoding import FormatError
from server_stub.checks.engine import Failure

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.x509 import Certificate, Name, ObjectIdentifier

    from server_stub.trust import Trust


_KEPT: Final = 512


class Shape(StrEnum):
    """How an Android phone got its attestation key."""

    FACTORY = "factory"
    REMOTE = "remotely-provisioned"


class Link(NamedTuple):
    """A certificate, its DER (which is what caches are keyed by), its names, its KeyDescription, and an issuer's key on a curve."""

    certificate: Certificate
    der: bytes
    names: Names
    key_description: bytes | None
    key: EllipticCurvePublicKey | None = None


def read_chain(ders: Sequence[bytes]) -> tuple[Link, ...]:
    """The certificates of an `x5c`, leaf first, less the root that it may carry: what is trusted comes from the anchors, never from the
    message. Raises FormatError."""
    links = (_load(ders[0], names=len(ders) == 1), *map(_load_issuer, ders[1:]))
    return links[:-1] if len(links) > 1 and links[-1].names.issuer == links[-1].names.subject else links


def _load(der: bytes, *, names: bool = True) -> Link:
    """The certificate, with all read that the library reads late, so that no check meets what cannot be read. A leaf's names, which are
    slow to read, matter to no chain that goes on: its issuer's name is compared byte for byte."""
    certificate = load_certificate(der, "x5c")
    try:
        key_description = extension_value(certificate, KEY_DESCRIPTION_OID)
        certificate.not_valid_before_utc, certificate.not_valid_after_utc  # noqa: B018
        if names:
            certificate.subject, certificate.issuer  # noqa: B018
    except UNREADABLE as error:
        raise FormatError("x5c", "certificates with readable names, dates and extensions, each once") from error
    if der[-len(certificate.signature) - 1] != 0:  # the library lets a signature end within a byte
        raise FormatError("x5c", "signatures of whole bytes")
    return Link(certificate, der, read_names(der), key_description)


@lru_cache(maxsize=512)
def _load_issuer(der: bytes) -> Link:
    """The certificate of an issuer, which is met again with other leaves, and its key if that is a key on a curve."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    link = _load(der)
    try:
        key = link.certificate.public_key()
    except UNREADABLE:
        return link
    return link._replace(key=key) if isinstance(key, EllipticCurvePublicKey) else link


def walk(chain: Sequence[Link], trust: Trust, scope: str, *, leaf_only: bool = False) -> Failure | None:
    """Whether every certificate is issued by the next, and the last by an anchor for `scope`."""
    if len(chain) < 2 and not leaf_only:
        return Failure("too-short", "a leaf and at least one intermediate", f"{len(chain)} certificate")
    if not is_anchored(chain[-1], trust, scope, keep=len(chain) > 1):
        return Failure("unknown-maker", "a configured root", _words(chain[-1].certificate, "issuer"))
    for index in range(len(chain) - 1, 0, -1):
        issuer, child = chain[index], chain[index - 1]
        if not (_issued_kept(child.der, issuer.der) if index > 1 else _issued(child, issuer)):
            place = "the leaf" if index == 1 else f"certificate {index - 1}"
            return Failure("broken-chain", f"{place} issued by {_words(issuer.certificate, 'subject')}", "not so")
    return None


def _words(certificate: Certificate, which: Literal["issuer", "subject"]) -> str:
    """A name for people; a leaf's was not read before."""
    try:
        name: Name = getattr(certificate, which)
        return name.rfc4514_string()
    except UNREADABLE:
        return "a name that cannot be read"


def is_anchored(top: Link, trust: Trust, scope: str, *, keep: bool) -> bool:
    """Whether an anchor for `scope` issued this certificate. Kept with the anchors for all but leaves, which are met only once."""
    if not keep:
        return _anchor_issued(top, trust, scope)
    known = trust.anchored.get((scope, top.der))
    if known is None:
        if len(trust.anchored) > _KEPT:
            trust.anchored.clear()
        known = trust.anchored[scope, top.der] = _anchor_issued(top, trust, scope)
    return known


def _anchor_issued(top: Link, trust: Trust, scope: str) -> bool:
    anchors = trust.anchors(top.names.issuer, scope)
    return any(_directly_issued(top.certificate, anchor.certificate) for anchor in anchors)


def _issued(child: Link, issuer: Link) -> bool:
    """Whether the issuer's name and key signed the child: what the library does, less loading the issuer's key again."""
    scheme = _schemes().get(child.certificate.signature_algorithm_oid)
    if issuer.key is None or scheme is None:
        return _directly_issued(child.certificate, issuer.certificate)
    if child.names.issuer != issuer.names.subject or not child.names.one_algorithm:
        return False
    try:
        issuer.key.verify(child.certificate.signature, child.certificate.tbs_certificate_bytes, scheme)
    except InvalidSignature:
        return False
    return True


@cache
def _schemes() -> dict[ObjectIdentifier, ECDSA]:
    """The signature algorithms of RFC 5758 section 3.2 that phones' makers use."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.x509.oid import SignatureAlgorithmOID

    return {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256: ECDSA(hashes.SHA256()),
        SignatureAlgorithmOID.ECDSA_WITH_SHA384: ECDSA(hashes.SHA384()),
        SignatureAlgorithmOID.ECDSA_WITH_SHA512: ECDSA(hashes.SHA512()),
    }


@lru_cache(maxsize=512)
def _issued_kept(child: bytes, issuer: bytes) -> bool:
    """As `_issued`, between certificates that are both met again with other leaves: a timeless fact."""
    return _issued(_load_issuer(child), _load_issuer(issuer))


def _directly_issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's name and key signed the child."""
    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def shape(chain: Sequence[Link]) -> Shape:
    """An Android chain's shape: the last intermediate of one made in a factory has a serialNumber in its subject (Google's verifier)."""
    from cryptography.x509.oid import NameOID

    try:
        named = chain[-1].certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    except UNREADABLE:
        return Shape.REMOTE
    return Shape.FACTORY if named else Shape.REMOTE


def judge_dates(chain: Sequence[Link], at: datetime, *, android: bool) -> Failure | None:
    """Dates at `at`, root side first. On Android the leaf's are the phone's own and mean nothing, and a factory's certificate may have
    expired: the phone cannot get another. One that is not yet valid never passes."""
    for link in reversed(chain[1:] if android else chain):
        first, last = link.certificate.not_valid_before_utc, link.certificate.not_valid_after_utc
        if at < first:
            return Failure("not-yet-valid", f"valid at {at.isoformat()}", f"from {first.isoformat()}")
        if at > last and not (android and shape(chain) is Shape.FACTORY):
            return Failure("expired", f"valid at {at.isoformat()}", f"until {last.isoformat()}")
    return None


def judge_revocation(chain: Sequence[Link], trust: Trust, *, refuse_suspended: bool) -> Failure | None:
    """Whether any serial number is on the list. A leaf with serial 1, as every Android leaf has, is not looked up:
    a list containing "1" would revoke every phone."""
    if trust.revoked is None:
        return Failure("list-unavailable", "a readable revocation list", "none")
    for index, link in enumerate(chain):
        serial = link.certificate.serial_number
        status = trust.revoked.get(f"{serial:x}") if index or serial != 1 else None
        if status == "REVOKED" or (status is not None and refuse_suspended):
            return Failure("revoked", "no certificate on the revocation list", f"serial {serial:x} is {status}")
    return None
