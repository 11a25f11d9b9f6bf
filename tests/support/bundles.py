"""Evidence bundles altered and made anew, as a forger would: every digest fits, and the signature is by a key of the test's."""

from __future__ import annotations

from typing import Any

from server_stub.bundle import UNSIGNED_FORMAT, sealed
from server_stub.evidence_key import EvidenceKey
from server_stub.grounds import digest_of


def resealed(members: dict[str, Any], key: EvidenceKey) -> bytes:
    """The file of these members, with digests that fit and a signature by `key`. Raises FormatError for what no JSON can carry."""
    body = {name: value for name, value in members.items() if name not in ("digest", "signature")}
    if isinstance(body.get("judgedBy"), dict):
        body["judgedBy"] = body["judgedBy"] | fitting_digests(body)
    if isinstance(body.get("signer"), dict):
        body["signer"] = body["signer"] | {"keyId": key.signer.key_id}
    return sealed(body, key)


def fitting_digests(body: dict[str, Any]) -> dict[str, str | None]:
    """The digests of the contents that stand in a bundle."""
    trust = body.get("trust")
    parts = {"policyDigest": body.get("policy"), "declarationsDigest": body.get("config")}
    if isinstance(trust, dict):
        parts |= {"anchorsDigest": trust.get("anchors")}
    found = {name: None if part is None else digest_of(part) for name, part in parts.items()}
    return found | {"revocationDigest": digest_of(trust.get("revoked"))} if isinstance(trust, dict) else found


def as_the_old_form(members: dict[str, Any]) -> dict[str, Any]:
    """The members that the unsigned form has."""
    left_out = ("judgedBy", "logHead", "signer", "digest", "signature")
    return {name: value for name, value in members.items() if name not in left_out} | {"format": UNSIGNED_FORMAT}
