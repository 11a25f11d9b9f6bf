"""The attribution gap: which method names which category, and how well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from device_keys.messages import Flags
from server_stub.compliance import elements
from server_stub.evidence import PriorElement, SecretFacts
from server_stub.rules.elements import category_of, method_name
from server_stub.verdict import Category, Outcome

WEAVR = "Weavr, code by SMS"


def shown(stage: Any) -> list[tuple[str, str, str]]:
    return [(e.category.value, e.method, e.grade.value) for e in elements(stage.evidence, stage.findings)]


def after_login(stage: Any, kind: str, *prior: str) -> Any:
    """A vendor's one-secret step-up after a login with these methods."""
    categories = {"password": "knowledge", "otp-sms": "possession"}
    at = stage.now - timedelta(minutes=2)
    used = tuple(PriorElement(category=categories[m], method=m, at=at, fixed_code=False) for m in prior)  # type: ignore[arg-type]
    return stage.bend(secret=SecretFacts(kind=kind, result="right", fixed_code=False), prior=used)


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        ("passcode", Category.KNOWLEDGE), ("password", Category.KNOWLEDGE), ("pin", Category.KNOWLEDGE),
        ("security-answers", Category.KNOWLEDGE), ("otp-sms", Category.POSSESSION), ("SMS_OTP", Category.POSSESSION),
        ("totp", Category.POSSESSION), ("device-key", Category.POSSESSION), ("biometric", Category.INHERENCE), ("otp-email", None),
        ("backup-code", None), ("location", None), ("mfa", None),
    ],
)  # fmt: skip
def test_methods_have_the_categories_of_eba_op_2019_06(kind: str, category: Category | None) -> None:
    """An e-mailed code counts only in a mailbox bound to a device (Q&A 2018_4315); a printed list is no possession."""
    assert category_of(kind) is category
    assert method_name(kind) == method_name(method_name(kind))


@pytest.mark.parametrize(
    ("phone", "method", "expected"),
    [
        ("android", "PASSCODE", [("knowledge", "passcode", "logged"), ("possession", "device-key", "proved")]),
        ("android", "BIOMETRIC", [("possession", "device-key", "proved"), ("inherence", "biometric", "proved")]),
        ("iphone", "PASSCODE", [("knowledge", "passcode", "logged"), ("possession", "device-key", "signed")]),
        ("iphone", "BIOMETRIC", [("possession", "device-key", "signed"), ("inherence", "biometric", "signed")]),
    ],
)
def test_a_biometric_is_proved_on_android_and_only_signed_on_an_iphone(
    step_up: Any, phone: str, method: str, expected: list[Any]
) -> None:
    assert shown(step_up(phone, method)) == expected


def test_a_password_reused_from_the_login_counts_beside_a_code_by_sms(step_up: Any) -> None:
    """EBA Q&A 2018_4141; the SMS code is possession, the SIM's (2018_4039). Whether the SIM was copied stays visible, and open."""
    stage = step_up(WEAVR)
    assert shown(stage) == [("knowledge", "password", "logged"), ("possession", "otp-sms", "logged")]
    assert stage.rule("RTS-4.1-elements").verdict == "pass"
    assert stage.rule("RTS-7.2").verdict == "undetermined"
    assert (stage.report().two_factor, stage.report().overall) == ("pass", "undetermined")


def test_a_fixed_code_is_no_element_reused_or_not(step_up: Any) -> None:
    """The same for every challenge, it shows possession of nothing."""
    assert shown(step_up("Weavr, fixed code")) == [("knowledge", "password", "logged")]
    stage = after_login(step_up(WEAVR), "pin", "otp-sms")
    assert ("possession", "otp-sms", "logged") in shown(stage)
    stage.bend(prior=tuple(msgspec.structs.replace(prior, fixed_code=True) for prior in stage.evidence.prior))
    assert shown(stage) == [("knowledge", "pin", "logged")]


def test_a_code_of_which_nobody_recorded_how_it_was_made_is_open(step_up: Any) -> None:
    """So are those of bundles that are older than the record."""
    stage = step_up(WEAVR)
    stage.bend(secret=msgspec.structs.replace(stage.evidence.secret, fixed_code=None))
    assert shown(stage) == [("knowledge", "password", "logged")]
    assert stage.report().two_factor == "undetermined"


def test_a_pin_after_a_password_is_one_category_and_fails_with_a_plain_reason(step_up: Any) -> None:
    """LoginRadius PIN: knowledge twice (RTS-4.1-elements, RTS-9.1)."""
    stage = step_up("LoginRadius, PIN")
    rule = stage.rule("RTS-4.1-elements")
    assert {method for _, method, _ in shown(stage)} == {"password", "pin"}
    assert rule.verdict == "fail"
    assert "one category only" in (rule.reason or "")
    assert stage.rule("RTS-9.1").verdict == "fail"
    assert stage.report().two_factor == "fail"


@pytest.mark.parametrize("kind", ["LoginRadius, code by e-mail", "LoginRadius, backup code"])
def test_what_has_no_category_is_no_element(step_up: Any, kind: str) -> None:
    stage = step_up(kind)
    assert shown(stage) == [("knowledge", "password", "logged")]
    assert stage.rule("RTS-4.1-elements").verdict == "fail"
    assert stage.rule("PSD2-97.1").verdict == "fail"


def test_elements_all_reused_from_the_login_are_not_enough(step_up: Any) -> None:
    """One of the two is given for the action itself."""
    stage = after_login(step_up(WEAVR), "", "password", "otp-sms").bend(secret=None)
    rule = stage.rule("RTS-4.1-elements")
    assert rule.verdict == "fail"
    assert "reused" in (rule.reason or "")


def test_a_wrong_secret_is_no_element(step_up: Any) -> None:
    stage = step_up("Android, wrong passcode")
    assert shown(stage) == [("possession", "device-key", "proved")]
    assert stage.rule("RTS-4.1-elements").verdict == "undetermined", "nothing was accepted"


def test_a_key_whose_signature_did_not_verify_shows_nothing(step_up: Any) -> None:
    """Neither pass nor fail for what its bytes say."""
    stage = step_up().fail("assertion.signature", "assertion.counter", "challenge.known", "binding.order")
    assert shown(stage) == [("knowledge", "passcode", "logged")]
    for rule in ("RTS-4.1-elements", "RTS-4.2.c", "RTS-5.1.b", "RTS-5.1.d", "RTS-7.2", "RTS-9.1"):
        assert stage.rule(rule).verdict == "undetermined"


def test_an_assertion_for_another_transaction_shows_no_possession(step_up: Any) -> None:
    stage = step_up().fail("challenge.transaction", "challenge.unused", "challenge.fresh")
    assert shown(stage) == [("knowledge", "passcode", "logged")]
    assert "challenge.transaction refused" in (stage.rule("RTS-4.1-elements").reason or "")


@pytest.mark.parametrize(
    "check", ["attestation.chain", "attestation.statement", "attestation.key", "attestation.revocation"]
)
def test_an_attestation_that_did_not_verify_caps_the_key_at_signed(step_up: Any, check: str) -> None:
    stage = step_up(method="BIOMETRIC").fail(check)
    assert ("possession", "device-key", "signed") in shown(stage)
    for rule in ("RTS-7.1", "RTS-7.2", "RTS-9.3.a", "RTS-9.3.b", "RTS-23-create"):
        assert stage.rule(rule).verdict == "undetermined", rule


def test_a_stale_attestation_drops_from_proved_to_signed(step_up: Any) -> None:
    """Rule of grading (c): a policy that lets it pass does not make it fresh."""
    stage = step_up().set(Outcome.NOT_APPLICABLE, "attestation.age")
    assert ("possession", "device-key", "signed") in shown(stage)
    assert stage.rule("RTS-5.1.b").grade == "signed"


def test_a_bare_uv_flag_is_an_unnamed_element(step_up: Any) -> None:
    """UV says that the user was verified, not how: with a gate that was not attested, the category stays open."""
    stage = step_up(method="BIOMETRIC").set(Outcome.NOT_APPLICABLE, "attestation.gate").sign()
    assert shown(stage) == [("possession", "device-key", "proved")]
    rule = stage.rule("RTS-4.1-elements")
    assert rule.verdict == "undetermined"
    assert "not said how" in (rule.reason or "")
    assert stage.report().two_factor == "undetermined"


def test_uvm_in_signed_bytes_names_the_method_but_only_signed(step_up: Any) -> None:
    stage = step_up(method="BIOMETRIC").set(Outcome.NOT_APPLICABLE, "attestation.gate")
    stage.sign(extensions={"uvm": [[2, 2, 2]]})
    assert shown(stage) == [("possession", "device-key", "proved"), ("inherence", "biometric", "signed")]
    stage.sign(extensions={"uvm": [[4, 2, 2]]})
    assert ("knowledge", "device-credential", "signed") in shown(stage)
    stage.sign(extensions={"uvm": [[2, 2, 2], [4, 2, 2]]})
    assert shown(stage) == [("possession", "device-key", "proved")]


def test_an_app_claimed_uv_flag_on_a_possession_key_is_not_counted(step_up: Any) -> None:
    stage = step_up().sign(flags=Flags.UP | Flags.UV)
    assert shown(stage) == [("knowledge", "passcode", "logged"), ("possession", "device-key", "proved")]


def test_without_app_attest_an_iphones_biometric_is_not_vouched_for(step_up: Any) -> None:
    stage = step_up("iphone", "BIOMETRIC").fail("app_attest.present")
    assert ("inherence", "biometric", "signed") not in shown(stage.sign())
    assert stage.rule("RTS-7.2").verdict == "undetermined"


@pytest.mark.parametrize("check", ["attestation.security_level", "attestation.key_origin"])
def test_a_key_that_hardware_did_not_make_or_keep_is_not_proved(step_up: Any, check: str) -> None:
    """RTS-4.2.c: origin GENERATED and level TEE or better, else signed."""
    stage = step_up().set(Outcome.NOT_APPLICABLE, check)
    assert ("possession", "device-key", "signed") in shown(stage)
    assert stage.rule("RTS-4.2.c").grade == "signed"
    assert stage.rule("RTS-7.2").verdict == "undetermined"


@pytest.mark.parametrize(
    "check", ["app_attest.assertion", "app_attest.application", "app_attest.counter", "app_attest.counter_of_key"]
)
def test_a_response_that_the_app_does_not_vouch_for_leaves_the_enrolment_as_it_was(step_up: Any, check: str) -> None:
    stage = step_up("iphone", "BIOMETRIC").fail(check)
    assert stage.rule("RTS-23-create").verdict == "pass"
    assert stage.rule("RTS-9.3.b").verdict == "undetermined"
