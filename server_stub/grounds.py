"""By what a verdict was reached: policy, trust anchors, revocation state, declared facts, and the rule set of the report.

A verdict keeps one digest. It names a `JudgedBy`, and that names each of the contents by a digest of its own; each is kept once. So a
verdict is shown with what judged it for ever, whatever the server runs with later. What an earlier version of this server did not keep is
None here, and reads "not recorded".

Every digest is SHA-256 in hex over RFC 8785 JSON.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from device_keys.encoding import FormatError, canonical_json, parse_json
from server_stub.policy import Policy, policy_members, read_policy
from server_stub.rules.inputs import RULE_SET, SERVER_CONFIG, Config
from server_stub.trust import Trust

if TYPE_CHECKING:
    from server_stub.store import UnitOfWork


class JudgedBy(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The policy's name, the rule set, and a digest for each of the contents; None where it was not recorded."""

    policy: str
    policy_digest: str | None = None
    anchors_digest: str | None = None
    revocation_digest: str | None = None
    declarations_digest: str | None = None
    rule_set: str | None = None


@dataclass(frozen=True, slots=True)
class Grounds:
    """The contents behind a `JudgedBy`. `digest` names all of them together; empty where nothing was recorded."""

    judged_by: JudgedBy
    policy: Policy | None = None
    trust: Trust | None = None
    config: Config | None = None
    digest: str = ""

    @property
    def not_recorded(self) -> tuple[str, ...]:
        """What is missing, in words."""
        parts = {
            "policy contents": self.policy,
            "trust anchors and revocation state": self.trust,
            "declarations": self.config,
        }
        return tuple(f"{part}: not recorded" for part, content in parts.items() if content is None)


def digest_of(content: Any) -> str:
    """SHA-256 (hex) over the RFC 8785 form of a JSON value."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


@lru_cache(maxsize=32)
def grounds_of(policy: Policy, trust: Trust, config: Config = SERVER_CONFIG) -> Grounds:
    """What this server judges by."""
    judged_by = JudgedBy(
        policy=policy.name,
        policy_digest=digest_of(policy_members(policy)),
        anchors_digest=digest_of(trust.to_json()["anchors"]),
        revocation_digest=digest_of(trust.revoked),
        declarations_digest=digest_of(msgspec.to_builtins(config)),
        rule_set=RULE_SET,
    )
    return Grounds(judged_by, policy, trust, config, digest_of(msgspec.to_builtins(judged_by)))


def keep_grounds(unit: UnitOfWork, grounds: Grounds) -> None:
    """Keep the contents, once for each digest.

    The database is asked each time: what this process remembers of having written may have been rolled back since.
    """
    if (
        grounds.trust is None
        or grounds.policy is None
        or unit.sql.one("has_content", digest=grounds.digest) is not None
    ):
        return
    trust = grounds.trust.to_json()
    for content in (
        msgspec.to_builtins(grounds.judged_by), policy_members(grounds.policy), trust["anchors"], trust["revoked"],
        msgspec.to_builtins(grounds.config),
    ):  # fmt: skip
        unit.sql.run("keep_content", digest=digest_of(content), content=canonical_json(content).decode())


def kept_grounds(unit: UnitOfWork, policy: str, digest: str) -> Grounds:
    """The grounds of a stored verdict: its policy's name, and what else was kept under `digest`."""
    named = _content(unit, digest)
    if named is None:
        return Grounds(JudgedBy(policy=policy))
    judged_by = msgspec.json.decode(named, type=JudgedBy)
    parts = (
        judged_by.policy_digest, judged_by.anchors_digest, judged_by.revocation_digest, judged_by.declarations_digest,
    )  # fmt: skip
    return _read(digest, judged_by, *(_content(unit, part or "") for part in parts))


def _content(unit: UnitOfWork, digest: str) -> str | None:
    """The text kept under a digest, if it is still the text that the digest was made over."""
    row = unit.sql.one("get_content", digest=digest)
    if row is None or hashlib.sha256(row[0].encode()).hexdigest() != digest:
        return None
    text: str = row[0]
    return text


@lru_cache(maxsize=32)
def _read(
    digest: str, judged_by: JudgedBy, policy: str | None, anchors: str | None, revoked: str | None, config: str | None
) -> Grounds:
    """A content that is missing, or that this version cannot read, is None."""
    trust = None
    if anchors is not None and revoked is not None:
        trust = Trust.from_json({"anchors": parse_json(anchors), "revoked": parse_json(revoked)})
    return Grounds(
        judged_by,
        None if policy is None else _readable_policy(policy),
        trust,
        None if config is None else msgspec.json.decode(config, type=Config),
        digest,
    )


def _readable_policy(text: str) -> Policy | None:
    try:
        return read_policy(parse_json(text))
    except FormatError:
        return None
