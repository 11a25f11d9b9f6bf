"""Evidence bundles: everything that a verdict rests on, in one file, so that it can be reached again offline, years later.

The file is RFC 8785 (JCS) JSON with one more member at its end: `digest`, the SHA-256 (hex) of the file without that member. Reading
accepts exactly these bytes. The digest finds alteration, not forgery: whoever makes a new bundle makes a new digest. The report prints
it, so keep a report, or the digest, apart from the bundle.

In it: the raw evidence (registration, challenge, order, assertion as received, what the server observed of a secret, the instant), the
policy, the trust anchors and revocation entries, the declared facts, the log extract with its chain hashes, and what the server saw over
its whole log. Not in it: secrets, tokens, phone numbers, mail addresses. `docs/evidence.md` describes every member.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, canonical_json, parse_json_object
from server_stub.evidence import Evidence
from server_stub.log_chain import LogEntry, entry_hash
from server_stub.policy import POLICIES, Policy
from server_stub.rules.inputs import NOTHING_OBSERVED, SERVER_CONFIG, Config, Observations
from server_stub.trust import Trust, TrustError
from server_stub.verdict import Verdict

if TYPE_CHECKING:
    from server_stub.records import StoredVerdict
    from server_stub.server import Server
    from server_stub.store import UnitOfWork

FORMAT: Final = "stepup-evidence/1"
_SUFFIX_LENGTH: Final = len(',"digest":""}') + 64


class BundleError(FormatError):
    """A file that is no bundle, or was altered since it was made."""


class Bundle(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True, dict=True):
    """A bundle as read. `decided_at` is the recorded instant as the verdict shows it; `trust` is `Trust.to_json()`."""

    format: str
    transaction_id: str
    attempt: int
    decided_at: str
    evidence: Evidence
    policy: Policy
    trust: dict[str, Any]
    config: Config
    observed: Observations
    log: tuple[LogEntry, ...]
    digest: str = ""

    @cached_property
    def anchors(self) -> Trust:
        """Trust anchors and revocation entries, ready for the checks."""
        return Trust.from_json(self.trust)


def build_bundle(
    evidence: Evidence,
    *,
    policy: Policy,
    trust: Trust,
    log_extract: tuple[LogEntry, ...],
    config: Config = SERVER_CONFIG,
    observed: Observations = NOTHING_OBSERVED,
    decided_at: str | None = None,
) -> bytes:
    """The bytes of a bundle over one attempt."""
    bundle = Bundle(
        format=FORMAT,
        transaction_id=evidence.transaction.id,
        attempt=evidence.attempt,
        decided_at=decided_at if decided_at is not None else rfc3339(evidence.now),
        evidence=evidence,
        policy=policy,
        trust=trust.to_json(),
        config=config,
        observed=observed,
        log=log_extract,
    )
    members = msgspec.to_builtins(bundle)
    del members["digest"]
    body = canonical_json(members, "bundle")
    return body[:-1] + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def read_bundle(data: bytes) -> Bundle:
    """The bundle in these bytes; `BundleError` where a single one of them is not as it was made."""
    body, digest = _split(data)
    try:
        members = parse_json_object(body, "bundle")
        canonical = canonical_json(members, "bundle") == body  # first: it refuses text that is not Unicode
        bundle = msgspec.convert({**members, "digest": digest}, Bundle)
        bundle.anchors  # noqa: B018 (reads them, so that a bad one is found here)
    except msgspec.ValidationError as error:
        raise BundleError("bundle", f"the members of an evidence bundle ({error})") from error
    except FormatError as error:
        raise BundleError(error.field, error.expected) from error
    except TrustError as error:
        raise BundleError("bundle.trust", f"readable trust anchors ({error})") from error
    if not canonical:
        raise BundleError("bundle", "JSON in RFC 8785 form")
    if bundle.format != FORMAT:
        raise BundleError("bundle.format", FORMAT)
    for entry in bundle.log:
        if entry_hash(entry) != entry.hash:
            raise BundleError(f"bundle.log[{entry.seq}]", "the entry that its hash was made over")
    return bundle


def _split(data: bytes) -> tuple[bytes, str]:
    """The canonical body and the digest after it, which must fit."""
    suffix = data[-_SUFFIX_LENGTH:]
    if not suffix.startswith(b',"digest":"') or not suffix.endswith(b'"}'):
        raise BundleError("bundle", "an evidence bundle, ending with its digest")
    body = data[:-_SUFFIX_LENGTH] + b"}"
    digest = suffix[11:-2].decode("ascii", "replace")
    if hashlib.sha256(body).hexdigest() != digest:
        raise BundleError("bundle.digest", "the SHA-256 of the bundle: it was altered since it was made")
    return body, digest


def appraise(bundle: Bundle, *, now: datetime | None = None, policy: Policy | str | None = None) -> Verdict:
    """The verdict over a bundle: the server's own functions, at the recorded instant unless `now` is given.

    `policy`: another one, or its name; `BundleError` for an unknown name. Nothing outside the bundle is read: no clock, no network.
    """
    from server_stub.compliance import verdict_of

    chosen = POLICIES.get(policy) if isinstance(policy, str) else policy or bundle.policy
    if chosen is None:
        raise BundleError("policy", f"one of {', '.join(POLICIES)}")
    evidence = bundle.evidence if now is None else msgspec.structs.replace(bundle.evidence, now=now)
    try:
        return verdict_of(
            evidence,
            bundle.log,
            policy=chosen,
            trust=bundle.anchors,
            config=bundle.config,
            observed=bundle.observed,
            decided_at=bundle.decided_at if now is None else rfc3339(now),
        )
    except OverflowError as error:
        raise BundleError("bundle", "instants and spans of time within the calendar") from error
    except TrustError as error:  # anchors are loaded when a check first needs them
        raise BundleError("bundle.trust", f"readable trust anchors ({error})") from error


# --- at the server ------------------------------------------------------------------------------------------------------


def bundle_of(unit: UnitOfWork, server: Server, stored: StoredVerdict) -> bytes:
    """The bundle of a stored attempt. `BundleError` where the server no longer has what the attempt was judged by."""
    from server_stub.verdicts import record_of

    policy = server.policy if server.policy.name == stored.policy else POLICIES.get(stored.policy)
    if policy is None or server.trust.digest != stored.trust:
        raise BundleError(
            "trust", "the policy and trust anchors by which this step-up was judged; the server now runs with others"
        )
    record = record_of(unit, stored)
    return build_bundle(
        stored.evidence,
        policy=policy,
        trust=server.trust,
        log_extract=record.extract,
        observed=record.observed,
        decided_at=stored.decided_at,
    )
