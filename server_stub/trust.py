"""Whom the server believes: makers' root certificates, and the list of revoked attestation certificates.

Anchors match by subject and key, not by bytes: roots are re-issued with the same key (attestation of genuine phones
shows three copies of one). A revocation list that cannot be read leaves `revoked` None, and every check that would
consult it fails: closed, never open.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from device_keys.attestation.der import read_names
from device_keys.encoding import FormatError, parse_json_object

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# What a root may vouch for, by the first word of its file's name; a root of any other name vouches for every kind.
SCOPES: Final = ("android-software", "android", "app-attest", "apple", "fido")
STATUS_FILE: Final = "status.json"


class TrustError(Exception):
    """Anchors that cannot be used; the message names the file."""


class NamedPem(NamedTuple):
    """A root certificate as configured: the file's name without its ending, and the text."""

    name: str
    pem: str


class Anchor(NamedTuple):
    """A root certificate and what it may vouch for (None: everything)."""

    name: str
    scope: str | None
    certificate: Certificate


class Trust:
    """Anchors and revocation entries. `revoked` maps a serial number, lower-case hex without leading zeros, to its
    status (Google's status list); None: no list could be read. `digest` names both together."""

    __slots__ = ("_by_subject", "anchored", "digest", "pems", "revoked")

    def __init__(self, pems: Iterable[NamedPem], revoked: Mapping[str, str] | None) -> None:
        self.pems = tuple(sorted(pems))
        self.revoked = None if revoked is None else dict(sorted(revoked.items()))
        self.digest = hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()
        self.anchored: dict[
            tuple[str, bytes], bool
        ] = {}  # certificates found under an anchor, or not: for `checks.chain`
        self._by_subject: dict[bytes, list[Anchor]] | None = None

    def __repr__(self) -> str:
        return f"Trust({len(self.pems)} anchors, digest {self.digest[:12]})"

    def anchors(self, subject: bytes, scope: str) -> list[Anchor]:
        """The anchors with this subject (DER) that may vouch for `scope`."""
        self.load()
        return [anchor for anchor in (self._by_subject or {}).get(subject, ()) if anchor.scope in (None, scope)]

    def to_json(self) -> dict[str, Any]:
        """As an evidence bundle keeps it: `{"anchors": [{"name", "pem"}], "revoked": {serial: status} | null}`."""
        return {"anchors": [pem._asdict() for pem in self.pems], "revoked": self.revoked}

    def load(self) -> None:
        """Read the certificates now. Raises TrustError for those that cannot be read."""
        if self._by_subject is None:
            self._by_subject = _index(self.pems)

    def vouchers(self) -> frozenset[tuple[str | None, bytes, bytes]]:
        """Each anchor as it is matched: what it may vouch for, its subject and its public key (both DER)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self.load()
        return frozenset(
            (anchor.scope, subject, anchor.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
            for subject, anchors in (self._by_subject or {}).items()
            for anchor in anchors
        )  # fmt: skip

    @classmethod
    def from_json(cls, record: Any, field: str = "trust") -> Trust:
        """The inverse of `to_json`. Raises FormatError."""
        try:
            read = msgspec.convert(record, _Record)
        except msgspec.ValidationError as error:
            raise FormatError(field, f"anchors, each with name and pem, and revoked ({error})") from error
        return cls([NamedPem(row.name, row.pem) for row in read.anchors], read.revoked)


class _Pem(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    pem: str


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    anchors: list[_Pem]
    revoked: dict[str, str] | None


def _index(pems: Iterable[NamedPem]) -> dict[bytes, list[Anchor]]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding

    index: dict[bytes, list[Anchor]] = {}
    for name, pem in pems:
        for certificate in _certificates(name, pem):
            try:
                subject = read_names(certificate.public_bytes(Encoding.DER)).subject
                certificate.public_key()
            except (FormatError, ValueError, UnsupportedAlgorithm) as error:
                raise TrustError(f"{name}: expected certificates with a readable subject and key") from error
            index.setdefault(subject, []).append(Anchor(name, _scope(name), certificate))
    return index


def _scope(name: str) -> str | None:
    return next((scope for scope in SCOPES if name == scope or name.startswith(f"{scope}-")), None)


def _certificates(name: str, pem: str) -> list[Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise TrustError(f"{name}: expected certificates in PEM") from error


def read_status_list(text: str | bytes) -> dict[str, str]:
    """Google's status format, `{"entries": {serial: {"status", …}}}`, as serial → status. Raises FormatError.

    Serials are brought to lower-case hex without leading zeros, the form in which they are looked up.
    """
    entries = parse_json_object(text, "revocation list").get("entries")
    if not isinstance(entries, dict):
        raise FormatError("revocation list.entries", "an object")
    statuses = {}
    for serial, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("status"), str):
            raise FormatError(f"revocation list.entries.{serial}", "an object with a status")
        statuses[_normal(serial)] = entry["status"]
    return statuses


def _normal(serial: str) -> str:
    text = serial.lower().lstrip("0")
    if not text or set(text) - set("0123456789abcdef"):
        raise FormatError("revocation list.entries", f"serial numbers in hex, not {serial!r}")
    return text


def load_trust(directories: Iterable[Path] = (), revocation_file: Path | None = None) -> Trust:
    """The packaged anchors and list, with those of `directories` (`*.pem`, `status.json`) and `revocation_file` added.

    Raises TrustError for anchors that cannot be read; an unreadable list gives a Trust that fails closed.
    """
    packaged = resources.files(__package__).joinpath("trust_anchors")
    pems = [NamedPem(f.name[:-4], f.read_text("ascii")) for f in packaged.iterdir() if f.name.endswith(".pem")]
    lists: list[Any] = [packaged.joinpath(STATUS_FILE)]
    for directory in directories:
        pems += _configured(directory)
        lists += [directory / STATUS_FILE] if (directory / STATUS_FILE).is_file() else []
    lists += [revocation_file] if revocation_file is not None else []
    return Trust(pems, _revoked(lists))


def _configured(directory: Path) -> list[NamedPem]:
    if not directory.is_dir():
        raise TrustError(f"{directory}: expected a directory of PEM files")
    pems = []
    for file in sorted(directory.glob("*.pem")):
        try:
            pem = NamedPem(file.stem, file.read_text("ascii"))
        except (OSError, UnicodeDecodeError) as error:
            raise TrustError(f"{file}: expected certificates in PEM") from error
        _certificates(str(file), pem.pem)
        pems.append(pem)
    return pems


def _revoked(lists: Iterable[Any]) -> dict[str, str] | None:
    merged: dict[str, str] = {}
    for file in lists:
        try:
            merged |= read_status_list(file.read_bytes())
        except (OSError, FormatError):
            return None
    return merged
