"""Appraising a bundle: the verdict over it, by whom the appraiser trusts.

Trust comes from who appraises, never from the file: the shipped policy of the recorded name, the shipped trust anchors with those of
`--trust-anchors`, and the server's public key. What the file gives otherwise is listed as a difference. Only `as_recorded` judges by the
file's own policy and anchors. A certificate is revoked where either list says so: a file can make that stricter, never laxer.

Without the signer's key nobody knows who wrote the file. Then what rests on the server's word alone (grade `logged`) is `declared`, and
whether the step-up was two-factor is undetermined.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from device_keys.clock import rfc3339
from server_stub.bundle import Bundle, BundleError
from server_stub.compliance import RULE_SET, verdict_of
from server_stub.evidence_key import key_id, verifies
from server_stub.policy import POLICIES, Policy, policy_members
from server_stub.rules.ruling import PASS, UNDETERMINED
from server_stub.trust import Trust, TrustError, load_trust
from server_stub.verdict import Grade, Verdict


class Appraisal(msgspec.Struct, frozen=True):
    """By whom and what a bundle was judged.

    `anchors`: whether every anchor of the file is known here; `origin`: whether the file is the named server's; `policy`: whether its
    recorded contents were applied; `differences`: what the file, or its record, gives otherwise. `seeded`: the bundle says that its key was
    made from a seed, so that whoever knows the seed can sign.
    """

    anchors: Literal["known", "unknown", "as-recorded"]
    origin: Literal["verified", "not-verified", "wrong-key"]
    policy: Literal["as-recorded", "other"]
    differences: tuple[str, ...] = ()
    seeded: bool = False

    def to_json(self) -> dict[str, Any]:
        """The contract's members; `signingKey` only where it was made from a seed."""
        members: dict[str, Any] = msgspec.to_builtins(self) | {"differences": list(self.differences)}
        return members | {"signingKey": "from-seed"} if members.pop("seeded") else members


class Appraised(msgspec.Struct, frozen=True):
    """A verdict, and how it was reached."""

    verdict: Verdict
    appraisal: Appraisal

    def to_json(self) -> dict[str, Any]:
        """`appraisal` first, then the members of a verdict."""
        return {"appraisal": self.appraisal.to_json(), **self.verdict.to_json()}


@cache
def shipped_trust() -> Trust:
    """The anchors and the revocation list that this package ships."""
    return load_trust()


def appraise(
    bundle: Bundle,
    *,
    now: datetime | None = None,
    policy: Policy | str | None = None,
    trust: Trust | None = None,
    server_key: bytes | None = None,
    as_recorded: bool = False,
) -> Appraised:
    """Judge a bundle with the server's own functions, at the recorded instant unless `now` is given. No clock, no store, no network.

    `policy`: another than the shipped one of the recorded name, or its name. `trust`: the appraiser's anchors and revocation list (default:
    the shipped ones). `server_key`: the raw public key of the server that is said to have written the file.

    Raises BundleError for a policy that is not known here, contents that `as_recorded` needs and that were not recorded, and a signature
    by the given key that does not verify.
    """
    origin = _origin(bundle, server_key)
    recorded = bundle.grounds
    differences = list(recorded.not_recorded)
    chosen = _policy(bundle, policy, as_recorded=as_recorded)
    if as_recorded:
        if recorded.trust is None:
            raise BundleError("bundle.trust", "recorded trust anchors; judge without --as-recorded")
        judged_by, anchors = recorded.trust, "as-recorded"
    else:
        own = trust if trust is not None else shipped_trust()
        judged_by, anchors = _merged(own, recorded.trust), _anchors(own, recorded.trust, differences)
    same = recorded.policy is not None and chosen == recorded.policy
    if recorded.policy is not None and not same:
        differences += _policy_differences(recorded.policy, chosen)
    if recorded.judged_by.rule_set not in (None, RULE_SET):
        differences.append(f"ruleSet: {recorded.judged_by.rule_set} when it was decided, {RULE_SET} here")
    verdict = _verdict(bundle, now, chosen, judged_by)
    if origin != "verified":
        verdict = _unverified(verdict)
    seeded = bundle.signer is not None and bundle.signer.made_from == "seed"
    return Appraised(
        verdict,
        Appraisal(anchors, origin, "as-recorded" if same else "other", tuple(differences), seeded),  # type: ignore[arg-type]
    )


def _origin(bundle: Bundle, server_key: bytes | None) -> Literal["verified", "not-verified", "wrong-key"]:
    if server_key is None or bundle.signature is None:
        return "not-verified"
    if bundle.signature.key_id != key_id(server_key):
        return "wrong-key"
    if not verifies(bundle.signature, bundle.digest, server_key):
        raise BundleError(
            "bundle.signature", "a signature by the key that was given: the bundle was altered, or forged"
        )
    return "verified"


def _policy(bundle: Bundle, policy: Policy | str | None, *, as_recorded: bool) -> Policy:
    if isinstance(policy, Policy):
        return policy
    if as_recorded:
        if bundle.grounds.policy is None:
            raise BundleError("bundle.policy", "a recorded policy; judge without --as-recorded")
        return bundle.grounds.policy
    name = policy if policy is not None else bundle.grounds.judged_by.policy
    chosen = POLICIES.get(name)
    if chosen is None:
        where = "policy" if policy is not None else "bundle.policy.name"
        raise BundleError(where, f"one of {', '.join(POLICIES)}")
    return chosen


def _policy_differences(recorded: Policy, chosen: Policy) -> list[str]:
    then, here = policy_members(recorded), policy_members(chosen)
    return [f"policy.{name}: {then[name]} as recorded, {here[name]} here" for name in then if then[name] != here[name]]


def _anchors(own: Trust, recorded: Trust | None, differences: list[str]) -> Literal["known", "unknown"]:
    """Whether the file brings no anchor that is not known here; adds what differs."""
    if recorded is None:
        return "known"
    unknown = recorded.vouchers() - own.vouchers()
    names = sorted(pem.name for pem in recorded.pems if Trust([pem], {}).vouchers() & unknown)
    differences += [f"trust.anchors: {name} is known only to the file" for name in names]
    more = len(own.vouchers() - recorded.vouchers())
    if more:
        differences.append(f"trust.anchors: {more} known here were not on record")
    if recorded.revoked is None or own.revoked is None:
        if recorded.revoked != own.revoked:
            who = "when it was decided" if recorded.revoked is None else "here"
            differences.append(f"trust.revoked: the list could not be read {who}")
    elif recorded.revoked != own.revoked:
        serials = {serial for serial, _ in recorded.revoked.items() ^ own.revoked.items()}
        differences.append(f"trust.revoked: {len(serials)} entries differ; the stricter of each counts")
    return "unknown" if unknown else "known"


def _merged(own: Trust, recorded: Trust | None) -> Trust:
    """The appraiser's anchors; what either list says is revoked."""
    if recorded is None or recorded.revoked == own.revoked:
        return own
    if recorded.revoked is None or own.revoked is None:
        return Trust(own.pems, None)
    revoked = {**recorded.revoked, **own.revoked}
    revoked |= {serial: status for serial, status in recorded.revoked.items() if status == "REVOKED"}
    return Trust(own.pems, revoked)


def _verdict(bundle: Bundle, now: datetime | None, policy: Policy, trust: Trust) -> Verdict:
    evidence = bundle.evidence if now is None else replace(bundle.evidence, now=now)
    try:
        return verdict_of(
            evidence,
            bundle.log,
            policy=policy,
            trust=trust,
            config=bundle.config,
            observed=bundle.observed,
            decided_at=bundle.decided_at if now is None else rfc3339(now),
        )
    except OverflowError as error:
        raise BundleError("bundle", "instants and spans of time within the calendar") from error
    except TrustError as error:  # the appraiser's, which are loaded when a check first needs them
        raise BundleError("trust anchors", f"readable certificates ({error})") from error


def _unverified(verdict: Verdict) -> Verdict:
    """What can be said when nobody knows who wrote the bundle."""

    def grade(given: Grade) -> Grade:
        return Grade.DECLARED if given is Grade.LOGGED else given

    compliance = verdict.compliance
    return replace(
        verdict,
        elements=tuple(replace(element, grade=grade(element.grade)) for element in verdict.elements),
        compliance=replace(
            compliance,
            two_factor=UNDETERMINED,
            overall=UNDETERMINED if compliance.overall == PASS else compliance.overall,
            rules=tuple(replace(rule, grade=grade(rule.grade)) for rule in compliance.rules),
        ),
    )
