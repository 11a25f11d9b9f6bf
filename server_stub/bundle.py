"""Evidence bundles: everything that a verdict rests on, in one file, signed by the server, so that it can be reached again offline.

The file is RFC 8785 (JCS) JSON with two more members at its end: `digest`, the SHA-256 (hex) of the file without both, and `signature`, by
the server's evidence key over that digest. Reading accepts exactly these bytes. The digest finds alteration; the signature, checked with
the server's key, finds forgery (`appraisal.py`). The form before, `stepup-evidence/1`, has a digest only and is read too.

In it: the raw evidence (registration, challenge, order, assertion as received, what the server observed of a secret, the instant), the
policy, the trust anchors and revocation entries, the declared facts, the log extract with its chain hashes, the log's head and count at
the decision, and what the server saw over its whole log. Not in it: secrets, tokens, phone numbers, mail addresses. `docs/evidence.md`
describes every member.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, canonical_json, parse_json_object
from server_stub.evidence import Evidence, check_instants
from server_stub.evidence_key import EvidenceKey, Signature, Signer, read_signature
from server_stub.grounds import Grounds, JudgedBy, digest_of, grounds_of
from server_stub.log_chain import GENESIS, LogEntry, entry_hash
from server_stub.policy import Policy, policy_members, read_policy
from server_stub.rules.inputs import NOTHING_OBSERVED, SERVER_CONFIG, Config, Observations
from server_stub.trust import Trust, TrustError

FORMAT: Final = "stepup-evidence/2"
UNSIGNED_FORMAT: Final = "stepup-evidence/1"
_DIGEST: Final = b',"digest":"'
_SIGNATURE: Final = b',"signature":'


class BundleError(FormatError):
    """A file that is no bundle, or was altered since it was made."""


class LogHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the log had come: the hash of its newest entry, and the number of its entries."""

    head: str
    count: int


class _Common(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What both forms have; `policy` and `trust` are read apart."""

    format: str
    transaction_id: str
    attempt: int
    decided_at: str
    evidence: Evidence
    policy: dict[str, Any] | None
    trust: dict[str, Any] | None
    config: Config | None
    observed: Observations
    log: tuple[LogEntry, ...]


class _Unsigned(_Common, frozen=True):
    """`stepup-evidence/1`."""


class _Signed(_Common, frozen=True):
    """`stepup-evidence/2`, without its last two members."""

    judged_by: JudgedBy
    log_head: LogHead
    signer: Signer


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle as read. `decided_at` is the recorded instant as the verdict shows it; `grounds` what judged, as recorded.

    `log_head`, `signer` and `signature` are None in the unsigned form.
    """

    format: str
    transaction_id: str
    attempt: int
    decided_at: str
    evidence: Evidence
    grounds: Grounds
    observed: Observations
    log: tuple[LogEntry, ...]
    digest: str
    log_head: LogHead | None = None
    signer: Signer | None = None
    signature: Signature | None = None

    @property
    def config(self) -> Config:
        """The declared facts; none where they were not recorded."""
        return self.grounds.config or Config()


def build_bundle(
    evidence: Evidence,
    *,
    key: EvidenceKey,
    log_extract: tuple[LogEntry, ...],
    policy: Policy | None = None,
    trust: Trust | None = None,
    config: Config = SERVER_CONFIG,
    grounds: Grounds | None = None,
    observed: Observations = NOTHING_OBSERVED,
    decided_at: str | None = None,
    log_head: LogHead | None = None,
) -> bytes:
    """The bytes of a bundle over one attempt.

    What judged it is `grounds`, or policy, trust and config. `log_head`: by default, the extract's last entry.
    """
    if grounds is None:
        if policy is None or trust is None:
            raise TypeError("build_bundle: expected grounds, or policy and trust")
        grounds = grounds_of(policy, trust, config)
    if log_head is None:
        log_head = LogHead(log_extract[-1].hash, log_extract[-1].seq) if log_extract else LogHead(GENESIS, 0)
    body = _Signed(
        format=FORMAT,
        transaction_id=evidence.transaction.id,
        attempt=evidence.attempt,
        decided_at=decided_at if decided_at is not None else rfc3339(evidence.now),
        evidence=evidence,
        policy=None if grounds.policy is None else policy_members(grounds.policy),
        trust=None if grounds.trust is None else grounds.trust.to_json(),
        config=grounds.config,
        observed=observed,
        log=log_extract,
        judged_by=grounds.judged_by,
        log_head=log_head,
        signer=key.signer,
    )
    return sealed(msgspec.to_builtins(body), key)


def sealed(members: dict[str, Any], key: EvidenceKey) -> bytes:
    """A bundle's file: its members in RFC 8785 form, then their digest, then the key's signature over that."""
    body = canonical_json(members, "bundle")
    digest = hashlib.sha256(body).hexdigest()
    signature = canonical_json(msgspec.to_builtins(key.sign(digest)))
    return body[:-1] + _DIGEST + digest.encode() + b'"' + _SIGNATURE + signature + b"}"


def read_bundle(data: bytes) -> Bundle:
    """The bundle in these bytes; `BundleError` names the part that is not as it was made. No signature is checked: that takes a key."""
    try:
        return _read(data)
    except BundleError:
        raise
    except FormatError as error:
        raise BundleError(error.field, error.expected) from error
    except TrustError as error:
        raise BundleError("bundle.trust", f"readable trust anchors ({error})") from error


def _read(data: bytes) -> Bundle:
    body, digest, signature = _split(data)
    members = parse_json_object(body, "bundle")
    canonical = canonical_json(members, "bundle") == body  # first: it refuses text that is not Unicode
    form = members.get("format")
    if form not in (FORMAT, UNSIGNED_FORMAT):
        raise BundleError("bundle.format", f"{FORMAT} or {UNSIGNED_FORMAT}")
    kind: type[_Signed | _Unsigned] = _Signed if form == FORMAT else _Unsigned
    policy = None if members.get("policy") is None else read_policy(members["policy"], "bundle.policy")
    try:
        read = msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        raise BundleError(f"bundle{path.rstrip('`')}", f"the members of an evidence bundle ({said})") from error
    if not canonical:
        raise BundleError("bundle", "JSON in RFC 8785 form")
    check_instants(read.evidence, "bundle.evidence")
    trust = None if read.trust is None else Trust.from_json(read.trust, "bundle.trust")
    if trust is not None:
        trust.load()  # so that a bad anchor is found here
    _check_log(read.log)
    if isinstance(read, _Signed):
        _check_signed(read, signature)
        judged_by, head, signer = read.judged_by, read.log_head, read.signer
    else:
        if signature is not None:
            raise BundleError("bundle.signature", f"none in {UNSIGNED_FORMAT}")
        if policy is None or trust is None or read.config is None:
            raise BundleError("bundle", f"policy, trust and config, as {UNSIGNED_FORMAT} has them")
        judged_by, head, signer = JudgedBy(policy=policy.name), None, None
    return Bundle(
        format=read.format, transaction_id=read.transaction_id, attempt=read.attempt, decided_at=read.decided_at, evidence=read.evidence,
        grounds=Grounds(judged_by, policy, trust, read.config), observed=read.observed, log=read.log, digest=digest, log_head=head,
        signer=signer, signature=signature,
    )  # fmt: skip


def _split(data: bytes) -> tuple[bytes, str, Signature | None]:
    """The canonical body, the digest after it, which must fit, and the signature after that."""
    place = data.rfind(_DIGEST)
    digest, rest = data[place + len(_DIGEST) :][:64], data[place + len(_DIGEST) + 64 :]
    if place < 1 or not rest.startswith(b'"') or not rest.endswith(b"}"):
        raise BundleError("bundle", "an evidence bundle, ending with its digest and signature")
    body = data[:place] + b"}"
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise BundleError("bundle.digest", "the SHA-256 of the bundle: it was altered since it was made")
    last = rest[1:-1]
    if not last:
        return body, digest.decode(), None
    if not last.startswith(_SIGNATURE):
        raise BundleError("bundle", "an evidence bundle, ending with its digest and signature")
    text = last[len(_SIGNATURE) :]
    signature = read_signature(text, "bundle.signature")
    if canonical_json(msgspec.to_builtins(signature)) != text:
        raise BundleError("bundle.signature", "JSON in RFC 8785 form")
    return body, digest.decode(), signature


def _check_log(entries: tuple[LogEntry, ...]) -> None:
    last = 0
    for entry in entries:
        if entry_hash(entry) != entry.hash:
            raise BundleError(f"bundle.log[{entry.seq}]", "the entry that its hash was made over")
        if entry.seq <= last:
            raise BundleError(f"bundle.log[{entry.seq}]", "entries in their order, each once")
        last = entry.seq


def _check_signed(read: _Signed, signature: Signature | None) -> None:
    """What the signed form says twice must agree."""
    if signature is None:
        raise BundleError("bundle.signature", "a signature by the server's evidence key")
    if signature.key_id != read.signer.key_id:
        raise BundleError("bundle.signature.keyId", "the key that the bundle names as its signer")
    if read.transaction_id != read.evidence.transaction.id or read.attempt != read.evidence.attempt:
        raise BundleError("bundle.attempt", "the transaction and attempt of the evidence")
    last = read.log[-1] if read.log else None
    if last is not None and (
        last.seq > read.log_head.count or (last.seq == read.log_head.count and last.hash != read.log_head.head)
    ):
        raise BundleError("bundle.logHead", "the head and count of a log that ends no earlier than the extract")
    trust = read.trust or {}
    parts = {
        "policy": (read.judged_by.policy_digest, read.policy),
        "trust.anchors": (read.judged_by.anchors_digest, trust.get("anchors")),
        "config": (
            read.judged_by.declarations_digest,
            None if read.config is None else msgspec.to_builtins(read.config),
        ),
    }
    for name, (digest, content) in parts.items():
        if (None if content is None else digest_of(content)) != digest:
            raise BundleError(f"bundle.{name}", "the content whose digest judgedBy names")
    revocation = None if read.trust is None else digest_of(trust.get("revoked"))
    if revocation != read.judged_by.revocation_digest:
        raise BundleError("bundle.trust.revoked", "the content whose digest judgedBy names")
    if read.policy is not None and read.policy.get("name") != read.judged_by.policy:
        raise BundleError("bundle.policy.name", "the name of the policy in judgedBy")
