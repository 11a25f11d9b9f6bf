"""Whatever log and evidence hold, every rule answers: a report is never an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from server_stub.bundle import build_bundle, read_bundle
from server_stub.compliance import elements, judge_compliance
from server_stub.evidence_key import EvidenceKey
from server_stub.policy import STRICT
from server_stub.report import render_html
from server_stub.rules.registry import rules
from server_stub.trust import load_trust
from server_stub.verdict import Outcome, Verdict

TRUST = load_trust()
KEY = EvidenceKey(bytes(32))
COUNT = len(rules())
KINDS = [
    "Android, passcode",
    "Android, biometric",
    "iPhone, biometric",
    "emulator, passcode, lenient",
    "Weavr, payment by SMS",
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "accepted", "failed", "2026-11-22T10:00:00Z", "x", "ENROLMENT"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["feature", "channel", "method", "version"]), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = [
    "outcome", "attempt", "challenge_id", "credential_id", "public_problem_id", "elements", "masked_input", "method", "code_id", "sca_ref",
    "channels", "until", "basis", "trigger", "amount_minor", "payee_id", "kind", "tls", "device_kind", "verdict", "proof_ref", "device_id",
    "code_expires_at", "status_updated_at", "bound_elsewhere", "in_person_ref", "shown", "fixed_code", "secret_found_in", "length_class",
    "feature", "channel", "verified_by", "third_party", "article", "action", "internal_reason", "order_hash",
]  # fmt: skip
payloads = (
    st.none()
    | st.text(max_size=5)
    | st.dictionaries(st.sampled_from(["amount", "currency", "payee", "payments", "Data"]), values, max_size=3)
)


@settings(max_examples=60)
@given(data=st.data())
def test_every_rule_answers_whatever_the_log_the_findings_and_the_assertion_say(
    step_up: Callable[..., Any], data: st.DataObject
) -> None:
    stage = step_up(data.draw(st.sampled_from(KINDS)))
    entries = [
        msgspec.structs.replace(entry, at=data.draw(st.sampled_from([entry.at, "", "soon"])),
                                fields={**entry.fields, **data.draw(st.dictionaries(st.sampled_from(FIELDS), values, max_size=3))})
        for entry in stage.log
    ]  # fmt: skip
    log = tuple(data.draw(st.permutations(entries)))
    outcomes = data.draw(
        st.lists(st.sampled_from(list(Outcome)), min_size=len(stage.findings), max_size=len(stage.findings))
    )
    findings = tuple(msgspec.structs.replace(f, outcome=o) for f, o in zip(stage.findings, outcomes, strict=True))
    transaction = msgspec.structs.replace(stage.evidence.transaction, payload=data.draw(payloads))
    assertion = data.draw(st.sampled_from([stage.evidence.assertion, None, "", "{}", "[1]"]))
    evidence = msgspec.structs.replace(stage.evidence, transaction=transaction, assertion=assertion)
    report = judge_compliance(evidence, findings, log, accepted=data.draw(st.booleans()))
    assert len(report.rules) == COUNT
    assert report.two_factor in ("pass", "fail", "undetermined")


@settings(max_examples=15)
@given(data=st.data())
def test_every_report_can_be_written(step_up: Callable[..., Any], data: st.DataObject) -> None:
    stage = step_up(data.draw(st.sampled_from(KINDS)))
    transaction = msgspec.structs.replace(stage.evidence.transaction, payload=data.draw(payloads))
    stage.bend(
        transaction=transaction, assertion=data.draw(st.sampled_from([stage.evidence.assertion, None, "", "{}", "[1]"]))
    )
    bundle = read_bundle(
        build_bundle(stage.evidence, key=KEY, policy=STRICT, trust=TRUST, log_extract=tuple(stage.log))
    )
    verdict = Verdict(
        "t",
        1,
        True,
        bundle.decided_at,
        "strict",
        elements(stage.evidence, stage.findings),
        stage.findings,
        stage.report(),
    )
    assert render_html(verdict, bundle).endswith("</html>")
