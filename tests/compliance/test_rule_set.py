"""The rule set as a whole: every rule, always, in order; what honest step-ups come to; what never happens."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server_stub.compliance import RULE_SET, TWO_FACTOR, Config, Declaration, judge_compliance
from server_stub.rules import inputs, registry
from server_stub.rules.registry import ARTICLES, article_of, rules
from server_stub.rules.ruling import BuiltIn, Declared, Ruling, Why, absent, passes, seen, stronger
from server_stub.verdict import Finding, Grade, Outcome

from .histories import KINDS, recorded

HONEST = [("android", "PASSCODE"), ("android", "BIOMETRIC"), ("iphone", "PASSCODE"), ("iphone", "BIOMETRIC")]
RULES = {rule.id: rule for rule in rules()}


# -- the house


def test_a_rules_file_is_its_article() -> None:
    """From an id to its code is one step."""
    for rule in rules():
        file = f"article_{article_of(rule.id).split('-')[1]}"
        text = (Path(registry.__file__).parent / f"{file}.py").read_text()
        assert f'@rule(\n    "{rule.id}",' in text
    assert len({rule.id for rule in rules()}) == len(rules())


def test_rules_stand_in_the_order_of_the_articles() -> None:
    order = [f"{law}-{number}" for law, number, _ in ARTICLES]
    places = [order.index(article_of(rule.id)) for rule in rules()]
    assert places == sorted(places)
    assert {order[place] for place in places} == set(order)


def test_what_a_rule_is_capped_by_exists_and_leads_to_no_circle() -> None:
    def below(rule_id: str, path: tuple[str, ...]) -> None:
        assert rule_id not in path, path
        for cap in RULES[rule_id].capped_by:
            below(cap, (*path, rule_id))

    for rule in rules():
        below(rule.id, ())
    assert set(TWO_FACTOR) <= set(RULES)


def test_the_words_of_a_rule_are_one_line_of_plain_text_each() -> None:
    for rule in rules():
        assert re.fullmatch(r"[^\n]{10,160}", rule.obligation), rule.id
        for words in (rule.source, rule.passes, rule.fails, rule.open, rule.settles):
            assert re.fullmatch(r"[^\n]+", words), rule.id


# -- what a pass can rest on


def test_a_constant_is_no_evidence() -> None:
    """`passes` takes what was seen, what was declared, and other passes; a built-in value is refused, in either place."""
    built_in: Any = BuiltIn(5)
    for constant in (built_in, "Argon2id", 5, True, None):
        with pytest.raises(TypeError):
            passes(constant)  # type: ignore[arg-type]
    for constant in (built_in, "Argon2id", 5):
        with pytest.raises(TypeError):
            seen(constant)  # type: ignore[arg-type]
    assert passes().verdict == "undetermined"
    assert passes(seen()).verdict == "undetermined"
    assert passes(seen(None)).verdict == "undetermined"


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.NOT_RUN, Outcome.NOT_APPLICABLE])
def test_a_check_that_did_not_pass_is_no_evidence(outcome: Outcome) -> None:
    finding = Finding("a.check", outcome, "x", "y")
    assert passes(seen(finding)).verdict == "undetermined"
    assert passes(seen(msgspec.structs.replace(finding, outcome=Outcome.PASS))).verdict == "pass"


def test_what_is_declared_is_graded_so_and_a_rules_failure_is_no_evidence() -> None:
    declared = Declared("so it is", "a document", "2026-01-31")
    assert passes(declared).grade is Grade.DECLARED
    assert passes(declared, Ruling("pass", Grade.PROVED)).grade is Grade.DECLARED
    assert passes(Ruling("fail", Grade.PROVED)).verdict == "undetermined"


def test_not_applicable_needs_a_reason_from_the_closed_list() -> None:
    with pytest.raises(TypeError):
        absent("nothing happened")  # type: ignore[arg-type]
    allowed = tuple(why.value for why in Why)
    for name in KINDS:
        for rule in recorded(name).verdict.compliance.rules:
            if rule.verdict == "not_applicable":
                assert (rule.reason or "").startswith(allowed), rule


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 7 + 1
    if isinstance(value, str):
        return f"not {value}"
    return value * 3


def test_no_pass_comes_or_goes_with_a_built_in_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every built-in value that is given to rules is changed, the events unchanged."""
    before = {name: passed(name) for name in KINDS}
    found = 0
    for module in [module for name, module in list(sys.modules.items()) if name.startswith("server_stub.rules.")]:
        for name, value in vars(module).items():
            if isinstance(value, BuiltIn):
                found += 1
                monkeypatch.setattr(module, name, BuiltIn(changed(value.value)))
    assert found >= 2
    knowledge = tuple(
        inputs.KnowledgePolicy(method=method, minimum_length=99, throttle="all", storage="sealed")
        for method in ("passcode", "password", "pin")
    )
    sensors = inputs.BiometricPolicy(false_accept_rate="never", lockout="at once", reference="a book")
    config = Config(
        maximum_failures=50, idle_seconds=5000, synced_credential="accept", suspend_within_seconds=1, status_within_seconds=1,
        knowledge=knowledge, biometrics=sensors, token_storage="sealed",
    )  # fmt: skip
    assert {name: passed(name, config) for name in KINDS} == before


def passed(name: str, config: Config | None = None) -> set[str]:
    made = recorded(name)
    bundle = made.bundle
    report = judge_compliance(
        bundle.evidence, made.verdict.findings, bundle.log, config or bundle.config, accepted=made.verdict.accepted,
        observed=bundle.observed,
    )  # fmt: skip
    return {rule.id for rule in report.rules if rule.verdict == "pass"}


@pytest.mark.parametrize(
    "name", ["Android, biometric, TLS", "iPhone, biometric", "Android, batch", "Weavr, payment by SMS"]
)
def test_a_rule_names_only_checks_that_it_rests_on(name: str) -> None:
    """Each check that a pass names matters: had it failed, the rule would not say what it says."""
    made = recorded(name)
    bundle = made.bundle
    named = {check for rule in made.verdict.compliance.rules if rule.verdict == "pass" for check in rule.findings}
    before = {rule.id: rule for rule in made.verdict.compliance.rules}
    for check in sorted(named):
        findings = tuple(
            msgspec.structs.replace(f, outcome=Outcome.FAIL) if f.check == check else f for f in made.verdict.findings
        )
        report = judge_compliance(
            bundle.evidence, findings, bundle.log, bundle.config, accepted=made.verdict.accepted, observed=bundle.observed
        )  # fmt: skip
        for rule in report.rules:
            old = before[rule.id]
            if old.verdict == "pass" and check in old.findings:
                said = (rule.verdict, rule.grade, rule.reason)
                assert said != (old.verdict, old.grade, old.reason), (rule.id, check)


# -- honest runs, refused runs


HONEST_KINDS = [
    "Android, passcode", "Android, biometric", "StrongBox, biometric", "iPhone, passcode", "iPhone, biometric",
    "Android, passcode, TLS", "Android, biometric, TLS", "Android, batch", "Android, amount as a float", "Android, phone replaced",
    "Android, after a block", "Weavr, code by SMS", "Weavr, code by SMS, TLS", "Weavr, payment by SMS", "Weavr, pushed biometric",
    "Weavr, payment by pushed biometric", "Weavr, plain push", "Weavr, right code after a wrong one", "LoginRadius, code by SMS",
    "LoginRadius, authenticator app", "LoginRadius, push",
]  # fmt: skip


@pytest.mark.parametrize("name", HONEST_KINDS)
def test_an_honest_step_up_is_two_factor_compliant_and_fails_nothing(name: str) -> None:
    report = recorded(name).verdict.compliance
    assert [(rule.id, rule.reason) for rule in report.rules if rule.verdict == "fail"] == []
    assert (report.two_factor, report.overall) == ("pass", "undetermined")


@pytest.mark.parametrize(
    "name",
    ["Weavr, fixed code", "Weavr, payment by SMS, fixed code", "LoginRadius, fixed code", "Android, passcode, fixed activation code"],
)  # fmt: skip
def test_with_fixed_codes_it_is_not_and_the_report_says_why(name: str) -> None:
    report = recorded(name).verdict.compliance
    assert report.two_factor == "fail"
    reasons = [rule.reason or "" for rule in report.rules if rule.verdict == "fail" and rule.id in TWO_FACTOR]
    assert any("a fixed code is no element" in reason for reason in reasons)


@pytest.mark.parametrize("name", KINDS)
def test_a_refused_step_up_is_undetermined_and_passes_nothing_about_an_accepted_code(name: str) -> None:
    made = recorded(name)
    if made.verdict.accepted:
        return
    report = made.verdict.compliance
    assert report.two_factor == "undetermined"
    for rule in report.rules:
        if RULES[rule.id].of_code:
            assert rule.verdict in ("undetermined", "not_applicable"), rule
    speaking = {rule.id for rule in report.rules if "no code was accepted" in (rule.reason or "")}
    assert "RTS-4.1-elements" in speaking


def test_a_refusal_is_red_nowhere_at_the_bank() -> None:
    """The provider is judged for what it accepted."""
    for name in KINDS:
        made = recorded(name)
        if name.startswith(("Android", "no phone")) and not made.verdict.accepted:
            assert [rule.id for rule in made.verdict.compliance.rules if rule.verdict == "fail"] == [], name


def test_transport_alone_never_fails_two_factor(step_up: Any) -> None:
    """RTS-6.2 over plain HTTP is the business of `overall`."""
    stage = step_up("Android, passcode, plain HTTP from elsewhere")
    assert stage.rule("RTS-6.2").verdict == "fail"
    assert (stage.report().two_factor, stage.report().overall) == ("pass", "fail")
    stage.rewrite("sca_attempt", passcode="111234")
    assert stage.report().two_factor == "fail", "a secret in the log is no matter of transport"


def test_a_synced_passkey_leaves_two_factor_open(step_up: Any) -> None:
    from device_keys.messages import Flags

    stage = step_up().sign(flags=Flags.UP | Flags.BE)
    assert stage.rule("RTS-4.1-elements").verdict == "pass"
    assert stage.report().two_factor == "undetermined"


def test_with_everything_observed_and_declared_little_stays_open(step_up: Any) -> None:
    """`pass` is in reach for each rule but those that nothing has called for."""
    stage = step_up("Android, biometric, TLS")
    stage.rewrite("sca_attempt", secret_found_in=[])
    for feature, channel in (("passcode", "branch"), ("activation-code", "sms")):
        stage.write("delivery", feature=feature, channel=channel, verified_by="in person")
    stage.observed = msgspec.structs.replace(
        stage.observed, plaintext_in_store=False, public_problem_ids=("403.000.52",)
    )
    declarable = [rule.id for rule in rules() if rule.declarable]
    stated = tuple(
        Declaration(rule=r, statement="so it is", reference="a document", date="2026-01-31") for r in declarable
    )
    stage.config = Config(declarations=stated)
    assert [rule.id for rule in stage.report().rules if rule.verdict == "undetermined"] == [
        "PSD2-72.1", "RTS-4.3.b", "RTS-4.3.b-actions", "RTS-4.4-alert", "RTS-4.4-unblock", "RTS-9.2", "RTS-9.3.c", "RTS-26", "RTS-27.a",
        "RTS-27.c",
    ]  # fmt: skip


# -- whatever happens


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
    known = {finding.check for finding in stage.findings}
    for rule in stage.report().rules:
        assert (rule.grade is Grade.NONE) == (rule.verdict == "undetermined"), rule
        assert rule.verdict != "pass" or not stronger(rule.grade, RULES[rule.id].best), rule
        assert rule.verdict == "pass" or rule.reason, rule
        assert set(rule.findings) <= known, rule


@pytest.mark.parametrize(("phone", "method"), HONEST)
def test_no_check_that_fails_leaves_a_refused_step_up_two_factor_compliant(
    step_up: Any, phone: str, method: str
) -> None:
    for finding in step_up(phone, method).findings:
        if finding.outcome is Outcome.PASS:
            assert step_up(phone, method).fail(finding.check).report().two_factor == "undetermined", finding.check


def test_an_empty_log_passes_nothing_that_rests_on_it(step_up: Any) -> None:
    """Absence of a record is never a pass."""
    stage = step_up()
    stage.log = []
    resting = [
        "PSD2-97.1", "PSD2-72.1", "RTS-4.1-once", "RTS-4.3.b", "RTS-5.1.a", "RTS-5.1.c", "RTS-6.2", "RTS-22.1", "RTS-23-loss",
        "RTS-24.1", "RTS-24.2.a", "RTS-24.2.b", "RTS-25.2.a", "RTS-25.2.c-channel", "RTS-25.2.c-activation", "RTS-25.2.d", "RTS-29.1",
        "RTS-29.2.a", "RTS-29.2.b", "RTS-29.2.c",
    ]  # fmt: skip
    verdicts = stage.verdicts()
    assert {rule: verdicts[rule] for rule in resting} == dict.fromkeys(resting, "undetermined")


def test_without_findings_nothing_that_reads_the_assertion_passes(step_up: Any) -> None:
    stage = step_up()
    report = judge_compliance(stage.evidence, (), tuple(stage.log), stage.config, accepted=True)
    reading = {rule.id for rule in rules() if rule.signed}
    assert {rule.verdict for rule in report.rules if rule.id in reading} <= {"undetermined", "not_applicable"}
    assert report.two_factor == "undetermined"


def test_a_report_repeats_byte_for_byte(step_up: Any) -> None:
    assert msgspec.json.encode(step_up().report()) == msgspec.json.encode(step_up().report())


def test_account_access_needs_no_dynamic_linking(step_up: Any) -> None:
    verdicts = step_up("Weavr, pushed biometric").verdicts()
    assert {verdict for rule, verdict in verdicts.items() if rule.startswith("RTS-5.")} == {"not_applicable"}


# -- older bundles


def test_a_log_of_the_older_rule_set_passes_nothing_on_what_was_written_from_constants(step_up: Any) -> None:
    """Elements and channels of an enrolment stood there as constants: what they say is not read."""
    stage = step_up().rewrite("sca_attempt", shown=None, elements=["passcode", "otp-sms"])
    given = [{"feature": "passcode", "channel": "branch", "verified": True}]
    stage.rewrite("credential_bound", channels=given, bound_elsewhere=0).rewrite(
        "credential_activated", fixed_code=None
    )
    verdicts = stage.verdicts()
    for rule in ("RTS-24.2.b", "RTS-25.2.a", "RTS-25.2.c-channel", "RTS-25.2.d", "RTS-23-loss"):
        assert verdicts[rule] == "undetermined", rule


def test_a_report_says_by_which_rule_set_it_was_made(step_up: Any) -> None:
    assert step_up().report().rule_set == RULE_SET == "eu-rts-2018-389@2023-07/2"
