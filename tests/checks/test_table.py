"""The table of checks: well formed, every check trips alone, and what needed it is not run."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from authenticator.profiles import PROFILES
from server_stub.checks.table import CHECKS, accepted, judge
from server_stub.policy import LENIENT, STRICT
from server_stub.trust import Trust
from server_stub.verdict import Finding, Outcome

STRICT_PROFILES = [name for name, profile in PROFILES.items() if profile.strict]
METHODS = ["PASSCODE", "BIOMETRIC"]
RECORD = Path(__file__).with_name("refusals.json")


def by_check(findings: tuple[Finding, ...]) -> dict[str, Outcome]:
    return {finding.check: finding.outcome for finding in findings}


def test_ids_are_unique_and_every_need_stands_earlier() -> None:
    """So the needs are acyclic, and one pass in order suffices."""
    seen: set[str] = set()
    for check in CHECKS:
        assert check.id not in seen
        assert check.needs <= seen, check.id
        assert check.citation
        seen.add(check.id)


def test_what_the_contract_demands_of_the_ladder() -> None:
    """DESIGN section 5: challenge.known needs the checks of bank.md 11.2 steps 5 and 6; each rung needs the one below."""
    needs = {check.id: check.needs for check in CHECKS}
    assert needs["challenge.known"] >= {check for check in needs if check.startswith(("user.", "transaction."))}
    ladder = ["challenge.known", "challenge.transaction", "challenge.unused", "challenge.fresh"]
    assert all(below in needs[rung] for below, rung in pairwise(ladder))
    assert all("assertion.signature" in needs[check] for check in needs if check.startswith("binding."))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", STRICT_PROFILES)
def test_an_honest_phone_is_accepted(name: str, method: str, honest: ModuleType, trust: Trust) -> None:
    findings = judge(honest.Approval(honest.Enrolled(PROFILES[name]), method).evidence(), STRICT, trust)
    assert [finding for finding in findings if finding.outcome in (Outcome.FAIL, Outcome.NOT_RUN)] == []
    assert accepted(findings)
    assert [finding.check for finding in findings] == [check.id for check in CHECKS]


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_passed_or_does_not_apply_is_accepted(outcome: Outcome, honest: ModuleType, trust: Trust) -> None:
    """RTS Art. 4(1): one check that failed refuses, whichever it is, and so does one that could not run."""
    findings = judge(honest.Approval(honest.Enrolled(PROFILES["pixel-9"])).evidence(), STRICT, trust)
    for index, finding in enumerate(findings):
        changed = [*findings[:index], msgspec.structs.replace(finding, outcome=outcome), *findings[index + 1 :]]
        assert accepted(changed) == (outcome in (Outcome.PASS, Outcome.NOT_APPLICABLE)), finding.check


def test_every_check_has_an_alteration(alterations: list[Any]) -> None:
    assert {alteration.check for alteration in alterations} == {check.id for check in CHECKS}


def test_an_alteration_trips_exactly_its_check(
    alteration: Any, honest: ModuleType, trust: Trust, request: pytest.FixtureRequest
) -> None:
    """One thing wrong, one failure; what needed it is not run, and all else is as in the honest run."""
    for name in alteration.profiles:
        evidence = alteration.make(name)
        approval = honest.Approval(honest.Enrolled(PROFILES[name]), evidence.method, kind=evidence.transaction.kind)
        if evidence.transaction.kind != "payment":
            approval.payload = {"purpose": "p", "user": "u"}
        before = by_check(judge(approval.evidence(), STRICT, trust))
        findings = judge(evidence, STRICT, trust)
        after = by_check(findings)
        assert [check for check, outcome in after.items() if outcome is Outcome.FAIL] == [alteration.check], name
        changed = {check for check in after if after[check] != before[check]} - {alteration.check}
        allowed = {check for check in after if after[check] is Outcome.NOT_RUN}
        assert changed - allowed <= _consequences(alteration, name), name
        assert not accepted(findings)
        if name == alteration.profiles[0]:
            failed = next(finding for finding in findings if finding.check == alteration.check)
            as_recorded(request.node.callspec.id, [failed.reason, failed.expected, failed.actual])


def as_recorded(name: str, words: list[str | None]) -> None:
    """Reason, expectation and what was seen: the operator's table of a refusal. `STEPUP_UPDATE_SNAPSHOTS=1` records them anew."""
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if os.environ.get("STEPUP_UPDATE_SNAPSHOTS"):
        recorded[name] = words
        rows = (f"{json.dumps(key)}: {json.dumps(recorded[key], ensure_ascii=False)}" for key in sorted(recorded))
        RECORD.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    assert words == recorded[name]


def _consequences(alteration: Any, name: str) -> set[str]:
    """What else an alteration of this test changes, without failing: other inputs than the honest run has."""
    if alteration.check in ("secret.fresh", "secret.unused", "secret.newest"):
        return {"secret.fresh", "secret.unused", "secret.newest"}  # a one-time code instead of a passcode
    if alteration.check == "secret.correct":
        return {"secret.username"}  # no secret at all
    return {"credential.user_handle", "assertion.user_verified"}


def test_what_failed_says_what_was_expected_and_seen(alteration: Any, trust: Trust) -> None:
    """A finding that failed is of use to a reviewer: a reason that is one word, and both sides."""
    finding = next(
        f for f in judge(alteration.make(alteration.profiles[0]), STRICT, trust) if f.outcome is Outcome.FAIL
    )
    assert " " not in finding.reason
    assert finding.expected
    assert finding.actual


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if not profile.strict])
@pytest.mark.parametrize("method", METHODS)
def test_other_phones_are_for_the_lenient_policy(name: str, method: str, honest: ModuleType, trust: Trust) -> None:
    evidence = honest.Approval(honest.Enrolled(PROFILES[name]), method).evidence()
    assert not accepted(judge(evidence, STRICT, trust))
    findings = judge(evidence, LENIENT, trust)
    assert accepted(findings)


def test_lenient_names_what_it_waived(honest: ModuleType, trust: Trust) -> None:
    """Nothing is passed in silence: an emulator's software key is not applicable, with the reason."""
    findings = judge(honest.Approval(honest.Enrolled(PROFILES["emulator"])).evidence(), LENIENT, trust)
    waived = {f.check for f in findings if f.outcome is Outcome.NOT_APPLICABLE and f.reason == "waived-by-policy"}
    assert waived >= {
        "attestation.security_level",
        "attestation.verified_boot",
        "attestation.device_locked",
        "attestation.gate",
    }


def test_lenient_still_judges_the_factors(grave_alteration: Any, trust: Trust) -> None:
    """A developer's policy forgives the phone, not the step-up: what concerns secret, signature and payment still fails."""
    findings = judge(grave_alteration.make(grave_alteration.profiles[0]), LENIENT, trust)
    assert [f.check for f in findings if f.outcome is Outcome.FAIL] == [grave_alteration.check]
