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
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from device_keys.attestation.android_key import KEY_DESCRIPTION_OID
from device_keys.attestation.certificates import UNREADABLE, extension_value, load_certificate
from device_keys.encoding import FormatError
from server_stub.checks.engine import Failure

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

    from server_stub.trust import Trust


_KEPT: Final = 512


class Shape(StrEnum):
    """How an Android phone got its attestation key."""

    FACTORY = "factory"
    REMOTE = "remotely-provisioned"


class Link(NamedTuple):
    """A certificate, its DER (which is what caches are keyed by), whether subject and issuer are one name, and its KeyDescription."""

    certificate: Certificate
    der: bytes
    self_issued: bool
    key_description: bytes | None


def read_chain(ders: Sequence[bytes]) -> tuple[Link, ...]:
    """The certificates of an `x5c`, leaf first, less the root that it may carry: what is trusted comes from the anchors, never from the
    message. Raises FormatError."""
    links = (_load(ders[0], names=len(ders) == 1), *map(_read_issuer, ders[1:]))
    return links[:-1] if len(links) > 1 and links[-1].self_issued else links


def _load(der: bytes, *, names: bool = True) -> Link:
    """The certificate, with all read that the library reads late, so that no check meets what cannot be read. A leaf's names, which are
    slow to read, matter to no chain that goes on: its issuer's name is compared byte for byte."""
    certificate = load_certificate(der, "x5c")
    try:
        key_description = extension_value(certificate, KEY_DESCRIPTION_OID)
        self_issued = names and certificate.subject == certificate.issuer
        certificate.not_valid_before_utc, certificate.not_valid_after_utc  # noqa: B018
    except UNREADABLE as error:
        raise FormatError("x5c", "certificates with readable names, dates and extensions, each once") from error
    if der[-len(certificate.signature) - 1] != 0:  # the library lets a signature end within a byte
        raise FormatError("x5c", "signatures of whole bytes")
    return Link(certificate, der, self_issued, key_description)


_read_issuer = lru_cache(maxsize=512)(_load)


def walk(chain: Sequence[Link], trust: Trust, scope: str, *, leaf_only: bool = False) -> Failure | None:
    """Whether every certificate is issued by the next, and the last by an anchor for `scope`."""
    if len(chain) < 2 and not leaf_only:
        return Failure("too-short", "a leaf and at least one intermediate", f"{len(chain)} certificate")
    if not is_anchored(chain[-1], trust, scope, keep=len(chain) > 1):
        return Failure("unknown-maker", "a configured root", _words(chain[-1].certificate, "issuer"))
    for index in range(len(chain) - 1, 0, -1):
        issuer, child = chain[index], chain[index - 1]
        if not (_issued_kept(child, issuer) if index > 1 else _issued(child, issuer)):
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
    anchors = trust.anchors(top.certificate.issuer.public_bytes(), scope)
    return any(_directly_issued(top.certificate, anchor.certificate) for anchor in anchors)


def _issued(child: Link, issuer: Link) -> bool:
    return _directly_issued(child.certificate, issuer.certificate)


# A timeless fact, so it is kept.
_issued_kept = lru_cache(maxsize=512)(_issued)


def _directly_issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's name and key signed the child."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

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
