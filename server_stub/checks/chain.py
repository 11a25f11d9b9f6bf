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
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from device_keys.attestation.certificates import load_certificate
from device_keys.encoding import FormatError
from server_stub.checks.engine import Failure

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from server_stub.trust import Trust


class Shape(StrEnum):
    """How an Android phone got its attestation key."""

    FACTORY = "factory"
    REMOTE = "remotely-provisioned"


class Link(NamedTuple):
    """A certificate and its DER, which is what caches are keyed by."""

    certificate: Certificate
    der: bytes


def read_chain(ders: Sequence[bytes]) -> tuple[Link, ...]:
    """The certificates of an `x5c`, leaf first. Raises FormatError."""
    return (_read_leaf(ders[0]), *(Link(_read_issuer(der), der) for der in ders[1:]))


def _load(der: bytes) -> Certificate:
    from cryptography.x509 import DuplicateExtension

    certificate = load_certificate(der, "x5c")
    try:
        # What the library reads late is read here, so that no check meets what cannot be read.
        certificate.extensions, certificate.subject.public_bytes(), certificate.issuer.public_bytes()
        certificate.not_valid_before_utc, certificate.not_valid_after_utc  # noqa: B018
    except (ValueError, DuplicateExtension) as error:
        raise FormatError("x5c", "certificates with readable names, dates and extensions, each once") from error
    if der[-len(certificate.signature) - 1] != 0:  # the library lets a signature end within a byte
        raise FormatError("x5c", "signatures of whole bytes")
    return certificate


def _read_leaf(der: bytes) -> Link:
    return Link(_load(der), der)


@lru_cache(maxsize=512)
def _read_issuer(der: bytes) -> Certificate:
    return _load(der)


def is_self_issued(certificate: Certificate) -> bool:
    """Whether subject and issuer are the same name, as a root's are."""
    return certificate.subject == certificate.issuer


def without_root(chain: Sequence[Link]) -> tuple[Link, ...]:
    """The chain less the root that it may carry: what is trusted comes from the anchors, never from the message."""
    return tuple(chain[:-1]) if len(chain) > 1 and is_self_issued(chain[-1].certificate) else tuple(chain)


def walk(chain: Sequence[Link], trust: Trust, scope: str, *, leaf_only: bool = False) -> Failure | None:
    """Whether every certificate is issued by the next, and the last by an anchor for `scope`."""
    own = without_root(chain)
    if len(own) < 2 and not leaf_only:
        return Failure("too-short", "a leaf and at least one intermediate", f"{len(own)} certificate")
    for issuer, child in zip(reversed(own[1:]), reversed(own[:-1]), strict=True):
        if not _issued(child, issuer, keep=child is not own[0]):
            return Failure("broken-chain", _name(child.certificate.issuer), _name(issuer.certificate.subject))
    return _anchored(own, chain, trust, scope)


def _anchored(own: Sequence[Link], chain: Sequence[Link], trust: Trust, scope: str) -> Failure | None:
    top = own[-1]
    anchors = trust.anchors(top.certificate.issuer.public_bytes(), scope)
    for anchor in anchors:
        if _issued(top, Link(anchor.certificate, _der(anchor.certificate)), keep=len(own) > 1):
            return None
    if len(chain) == 1 and is_self_issued(top.certificate):
        return Failure("self-issued", "a certificate of a configured maker", _name(top.certificate.subject))
    return Failure("unknown-maker", "a configured root", _name(top.certificate.issuer))


def _der(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _issued(child: Link, issuer: Link, *, keep: bool) -> bool:
    """Whether the issuer's name and key signed the child. A timeless fact: kept for all but leaves, which are met
    only once."""
    if keep:
        return _issued_kept(child.der, issuer.der)
    return _directly_issued(child.certificate, issuer.certificate)


@lru_cache(maxsize=512)
def _issued_kept(child: bytes, issuer: bytes) -> bool:
    return _directly_issued(_read_issuer(child), _read_issuer(issuer))


def _directly_issued(child: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def shape(chain: Sequence[Link]) -> Shape:
    """An Android chain's shape: the last intermediate of one made in a factory has a serialNumber in its subject
    (Google's verifier)."""
    from cryptography.x509.oid import NameOID

    last = without_root(chain)[-1].certificate
    return Shape.FACTORY if last.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER) else Shape.REMOTE


def judge_dates(chain: Sequence[Link], at: datetime, *, android: bool) -> Failure | None:
    """Dates at `at`, root side first. On Android the leaf's are the phone's own and mean nothing, and a factory's
    certificate may have expired: the phone cannot get another. One that is not yet valid never passes."""
    own = without_root(chain)
    judged = own[1:] if android else own
    expiry_counts = not (android and shape(chain) is Shape.FACTORY)
    for link in reversed(judged):
        certificate = link.certificate
        if at < certificate.not_valid_before_utc:
            return Failure(
                "not-yet-valid", f"valid at {at.isoformat()}", f"from {certificate.not_valid_before_utc.isoformat()}"
            )
        if expiry_counts and at > certificate.not_valid_after_utc:
            return Failure(
                "expired", f"valid at {at.isoformat()}", f"until {certificate.not_valid_after_utc.isoformat()}"
            )
    return None


def judge_revocation(chain: Sequence[Link], trust: Trust, *, refuse_suspended: bool) -> Failure | None:
    """Whether any serial number is on the list. A leaf with serial 1, as every Android leaf has, is not looked up:
    a list containing "1" would revoke every phone."""
    if trust.revoked is None:
        return Failure("list-unavailable", "a readable revocation list", "none")
    for index, link in enumerate(without_root(chain)):
        serial = link.certificate.serial_number
        status = trust.revoked.get(f"{serial:x}") if index or serial != 1 else None
        if status == "REVOKED" or (status is not None and refuse_suspended):
            return Failure("revoked", "no certificate on the revocation list", f"serial {serial:x} is {status}")
    return None


def _name(name: object) -> str:
    return name.rfc4514_string() if hasattr(name, "rfc4514_string") else str(name)
