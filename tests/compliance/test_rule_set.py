"""The rule set as a whole: every rule, always, in order; what honest step-ups come to; what never happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from device_keys.messages import Kind
from server_stub.compliance import RULE_SET, SERVER_CONFIG, ControlRecord, Observations, elements, judge_compliance
from server_stub.rules.ruling import stronger
from server_stub.rules.table import rules
from server_stub.verdict import Grade, Outcome

IDS = [
    "PSD2-97.1", "RTS-4.1-elements", "RTS-4.1-once", "RTS-4.2.a", "RTS-4.2.b", "RTS-4.2.c", "RTS-4.3.a", "RTS-4.3.b", "RTS-4.3.c",
    "RTS-4.3.d", "RTS-4.4-alert", "RTS-4.4-duration", "RTS-4.4-unblock", "RTS-5.1.a", "RTS-5.1.b", "RTS-5.1.c", "RTS-5.1.d",
    "RTS-5.2.a", "RTS-5.2.b", "RTS-5.3.a", "RTS-5.3.b", "RTS-6.1", "RTS-6.2", "RTS-7.1", "RTS-7.2", "RTS-8.1", "RTS-8.2", "RTS-9.1",
    "RTS-9.2", "RTS-9.3.a", "RTS-9.3.b", "RTS-9.3.c", "RTS-22.1", "RTS-22.2.a", "RTS-22.2.b", "RTS-22.2.c", "RTS-22.3", "RTS-22.4",
    "RTS-23-create", "RTS-23-loss", "RTS-24.1", "RTS-24.2.a", "RTS-24.2.b", "RTS-25.2.a", "RTS-25.2.b", "RTS-25.2.c-channel",
    "RTS-25.2.c-activation", "RTS-25.2.d", "RTS-26", "RTS-27.a", "RTS-27.b", "RTS-27.c", "RTS-28.1", "RTS-28.2", "RTS-29.2.a",
    "RTS-29.2.b", "RTS-29.2.c", "RTS-35.1", "RTS-35.2", "RTS-35.3", "RTS-35.4", "RTS-35.5",
]  # fmt: skip
HONEST = [("android", "PASSCODE"), ("android", "BIOMETRIC"), ("iphone", "PASSCODE"), ("iphone", "BIOMETRIC")]


@pytest.mark.parametrize(("phone", "method"), HONEST)
def test_every_rule_is_judged_once_in_the_order_of_the_articles(step_up: Any, phone: str, method: str) -> None:
    report = step_up(phone, method).report()
    assert [rule.id for rule in report.rules] == IDS
    assert report.rule_set == RULE_SET == "eu-rts-2018-389@2023-07"


@pytest.mark.parametrize(("phone", "method"), HONEST)
def test_an_honest_step_up_is_two_factor_compliant_and_undetermined_for_want_of_records(
    step_up: Any, phone: str, method: str
) -> None:
    report = step_up(phone, method).report()
    assert report.two_factor == "pass"
    assert report.overall == "undetermined"
    assert not [rule.id for rule in report.rules if rule.verdict == "fail"]
    assert next(rule.reason for rule in report.rules if rule.id == "RTS-35.1") == "loopback"


@pytest.mark.parametrize(
    ("phone", "method", "shown"),
    [
        ("android", "PASSCODE", [("knowledge", "passcode", "logged"), ("possession", "device-key", "proved")]),
        ("android", "BIOMETRIC", [("possession", "device-key", "proved"), ("inherence", "biometric", "proved")]),
        ("iphone", "PASSCODE", [("knowledge", "passcode", "logged"), ("possession", "device-key", "signed")]),
        ("iphone", "BIOMETRIC", [("possession", "device-key", "signed"), ("inherence", "biometric", "signed")]),
    ],
)
def test_a_biometric_is_proved_on_android_and_only_signed_on_an_iphone(
    step_up: Any, phone: str, method: str, shown: list[Any]
) -> None:
    stage = step_up(phone, method)
    assert [(e.category, e.method, e.grade) for e in elements(stage.evidence, stage.findings)] == shown


def test_with_every_record_and_tls_the_overall_verdict_is_a_pass(step_up: Any) -> None:
    """`overall` is reachable: nothing is undetermined by construction."""
    stage = step_up()
    stage.bend(transport="tls")
    stage.observed = Observations(
        nonce_repeated=False, key_bound_to_another_user=False, device_bound_to_another_user=False, public_problem_ids=("403.000.52",),
        plaintext_in_store=False,
    )  # fmt: skip
    covers = ("key-management", "secure-processing", "clock-synchronisation", "staff-access")
    records = tuple(
        ControlRecord(covers=name, reference=f"document about {name}", dated="2026-01-31") for name in covers
    )
    stage.config = msgspec.structs.replace(SERVER_CONFIG, control_records=records)
    report = stage.report()
    assert [rule.id for rule in report.rules if rule.verdict == "undetermined"] == []
    assert report.overall == "pass"


def test_account_access_needs_no_dynamic_linking(step_up: Any) -> None:
    """RTS-5.* do not apply to a login, and count as met."""
    stage = step_up(kind=Kind.ACCOUNT_ACCESS, payload={"purpose": "account-access", "user": "u"})
    verdicts = stage.verdicts()
    assert {verdict for rule, verdict in verdicts.items() if rule.startswith("RTS-5.")} == {"not_applicable"}
    assert stage.report().two_factor == "pass"


def test_an_empty_log_passes_nothing_that_rests_on_it(step_up: Any) -> None:
    """Absence of a record is never a pass."""
    stage = step_up()
    stage.log = []
    resting = [
        "PSD2-97.1", "RTS-4.1-once", "RTS-4.3.b", "RTS-4.3.d", "RTS-5.1.a", "RTS-5.1.c", "RTS-6.2", "RTS-22.1", "RTS-23-loss", "RTS-24.1",
        "RTS-24.2.a", "RTS-24.2.b", "RTS-25.2.a", "RTS-25.2.c-channel", "RTS-25.2.c-activation", "RTS-25.2.d", "RTS-29.2.a", "RTS-29.2.b",
        "RTS-29.2.c", "RTS-35.2", "RTS-35.3", "RTS-35.4",
    ]  # fmt: skip
    verdicts = stage.verdicts()
    assert {rule: verdicts[rule] for rule in resting} == dict.fromkeys(resting, "undetermined")
    assert stage.report().two_factor == "undetermined"


def test_without_findings_nothing_that_reads_the_assertion_passes(step_up: Any) -> None:
    stage = step_up()
    report = judge_compliance(stage.evidence, (), tuple(stage.log), stage.config, accepted=True)
    reading = {rule.id for rule in rules() if rule.needs_signature}
    assert {rule.verdict for rule in report.rules if rule.id in reading} <= {"undetermined", "not_applicable"}
    assert report.two_factor == "undetermined"


CHANGES: list[Callable[[Any], Any]] = [
    lambda stage: stage,
    lambda stage: stage.fail("assertion.signature"),
    lambda stage: stage.fail("attestation.chain"),
    lambda stage: stage.fail("binding.amount"),
    lambda stage: stage.fail("user.not_blocked"),
    lambda stage: stage.bend(assertion=None, credential=None, nonce=None).fail("evidence.present"),
    lambda stage: stage.bend(transport="http"),
    lambda stage: setattr(stage, "log", []) or stage,
]


@pytest.mark.parametrize(("phone", "method"), HONEST)
@pytest.mark.parametrize("change", CHANGES)
def test_grades_and_verdicts_go_together(step_up: Any, phone: str, method: str, change: Callable[[Any], Any]) -> None:
    """Grade none goes with undetermined only; no grade is above the rule's best; what is not a plain pass says why; findings exist."""
    stage = change(step_up(phone, method))
    best = {rule.id: rule.best for rule in rules()}
    known = {finding.check for finding in stage.findings}
    for rule in stage.report().rules:
        assert (rule.grade is Grade.NONE) == (rule.verdict == "undetermined"), rule
        assert not stronger(rule.grade, best[rule.id]), rule
        assert rule.verdict == "pass" or rule.reason, rule
        assert set(rule.findings) <= known, rule


@pytest.mark.parametrize(("phone", "method"), HONEST)
def test_no_check_that_fails_leaves_a_refused_step_up_two_factor_compliant(
    step_up: Any, phone: str, method: str
) -> None:
    """Refused: twoFactor is fail or undetermined, whichever check failed, and some rule or none fails, but never a silent pass."""
    for finding in step_up(phone, method).findings:
        if finding.outcome is Outcome.PASS:
            report = step_up(phone, method).fail(finding.check).report()
            assert report.two_factor in ("fail", "undetermined"), finding.check
            assert report.overall in ("fail", "undetermined")


def test_a_failing_rule_anywhere_fails_two_factor_and_overall(step_up: Any) -> None:
    report = step_up().bend(transport="http").report()
    assert [rule.id for rule in report.rules if rule.verdict == "fail"] == ["RTS-35.1"]
    assert (report.two_factor, report.overall) == ("fail", "fail")


def test_a_report_repeats_byte_for_byte(step_up: Any) -> None:
    assert msgspec.json.encode(step_up().report()) == msgspec.json.encode(step_up().report())


def test_obligations_are_one_line_of_plain_words() -> None:
    for rule in rules():
        assert re.fullmatch(r"[^\n]{10,110}", rule.obligation), rule.id
