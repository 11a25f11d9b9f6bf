"""Seed 1, requirement by requirement, over HTTP; what both APIs have is tested at both."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("errorCode") if answer.content else None


def rule(verdict: dict[str, Any], name: str) -> dict[str, Any]:
    return next(r for r in verdict["compliance"]["rules"] if r["id"] == name)


def test_s1_1_s1_4_password_and_sms_are_two_factors_and_the_report_says_so(api: Any, world: Any) -> None:
    """S1-1, S1-4: something known and something had, in two different categories, judged by PSD2's rule."""
    api.step_up()
    verdict = world.verdict()
    assert verdict["accepted"] is True
    assert [(e["category"], e["method"]) for e in verdict["elements"]] == [
        ("knowledge", "password"),
        ("possession", "otp-sms"),
    ]
    assert rule(verdict, "RTS-4.1-elements")["verdict"] == "pass"


def test_s1_2_account_information_needs_the_second_factor(multi: Any) -> None:
    """S1-2."""
    accounts = (
        "/managed_accounts",
        "/managed_accounts/130000000000000001",
        "/managed_accounts/130000000000000001/statement",
    )
    assert [code(multi.send("GET", path)) for path in accounts] == [(403, "STEP_UP_REQUIRED")] * 3
    multi.step_up()
    assert [multi.send("GET", path).status_code for path in accounts] == [200, 200, 200]


def test_s1_3_paying_suppliers_needs_the_second_factor(payment_run: Any, world: Any, run: dict[str, Any]) -> None:
    """S1-3: a run is not executed before its own challenge is answered."""
    created = payment_run.post("/payment_runs", run).json()
    confirmed = payment_run.post(f"/payment_runs/{created['id']}/confirm").json()
    assert confirmed["status"] == "PENDING_CHALLENGE"
    assert world.stub("GET", "/payments?dialect=weavr&user=110000000000000001") == []


def test_s1_5_a_run_to_trusted_suppliers_skips_the_challenge_and_the_log_says_why(
    payment_run: Any, world: Any, run: dict[str, Any]
) -> None:
    """S1-5: the exemption of RTS Art. 13, recorded; one supplier that is not trusted ends it."""
    run["payments"][0]["supplier"]["trusted"] = True
    created = payment_run.post("/payment_runs", run).json()
    assert payment_run.post(f"/payment_runs/{created['id']}/confirm").json()["status"] == "COMPLETED"
    (applied,) = [entry for entry in world.stub("GET", "/log") if entry["event"] == "exemption_applied"]
    assert applied["fields"]["article"] == "13"
    other = {**run["payments"][0], "supplier": {**run["payments"][0]["supplier"], "trusted": False}}
    mixed = payment_run.post("/payment_runs", {"payments": [run["payments"][0], other]}).json()
    assert payment_run.post(f"/payment_runs/{mixed['id']}/confirm").json()["status"] == "PENDING_CHALLENGE"


def test_s1_6_enrolled_then_stepped_up_then_permitted(api: Any, world: Any) -> None:
    """S1-6, S1-7: the way from no factor to a stepped-up token."""
    world.put_user(factors={})
    assert not api.stepped_up
    assert api.post("/authentication_factors/otp/SMS").status_code == 204
    assert api.post("/authentication_factors/otp/SMS/verify", {"verificationCode": world.code()}).status_code == 204
    api.login()
    assert not api.stepped_up
    api.step_up()
    assert api.stepped_up


def test_s1_8_a_run_passes_creation_authorisation_funding_and_execution(
    payment_run: Any, world: Any, run: dict[str, Any]
) -> None:
    """S1-8."""
    created = payment_run.post("/payment_runs", run).json()
    payment_run.post(f"/payment_runs/{created['id']}/confirm")
    simulate = f"/weavr/payment-run/simulate/v1/payment_run_sca/{created['id']}/challenges/otp/SMS"
    assert payment_run.post("", base=simulate).status_code == 204
    assert payment_run.post("/verify", {"verificationCode": world.code()}, base=simulate).status_code == 204
    done = payment_run.send("GET", f"/payment_runs/{created['id']}").json()
    assert [step["status"] for step in done["history"]] == [
        "PENDING_CONFIRMATION", "PENDING_CHALLENGE", "CONFIRMED", "PENDING_FUNDING", "EXECUTING", "COMPLETED",
    ]  # fmt: skip


def test_s1_9_payment_run_offers_sms_only(payment_run: Any) -> None:
    """S1-9: no push path there; any other channel of the OTP path is refused by name."""
    assert payment_run.post("/stepup/challenges/push/BIOMETRIC").status_code == 404
    answer = payment_run.post("/stepup/challenges/otp/EMAIL")
    assert answer.status_code == 400
    assert answer.json()["syntaxErrors"]["invalidFields"] == [
        {"params": ["SMS"], "fieldName": "channel", "error": "NOT_IN"}
    ]


def test_s1_10_six_digits_by_text_message_to_the_registered_number(api: Any, world: Any) -> None:
    """S1-10, S1-14: one SMS, to Alice's number, with a code of six digits."""
    assert (api.issue().status_code, api.issue().status_code) == (204, 409)
    (message,) = world.messages()
    assert message["to"] == "+447700900123"
    assert re.fullmatch(r"[0-9]{6}", message["code"])
    assert message["code"] in message["text"]


def test_s1_11_s1_12_issue_then_verify(api: Any, world: Any) -> None:
    """S1-11, S1-12: without a challenge there is nothing to verify; with one, the code that the customer types completes it."""
    assert code(api.verify("123456")) == (409, "STATE_INVALID")
    assert api.issue().status_code == 204
    assert not api.stepped_up
    assert api.verify(world.code()).status_code == 204


def test_s1_13_no_challenge_without_an_enrolled_number(api: Any, world: Any) -> None:
    """S1-13."""
    world.put_user(factors={})
    assert code(api.issue()) == (409, "CHANNEL_NOT_REGISTERED")
    assert code(api.verify("123456")) == (409, "CHANNEL_NOT_REGISTERED")
    world.put_user(factors={"SMS": "PENDING_VERIFICATION"})
    assert code(api.issue()) == (409, "CHANNEL_NOT_REGISTERED")
    assert world.messages() == []


def test_s1_15_sms_push_and_biometrics_all_step_up(multi: Any, world: Any, handset: Any) -> None:
    """S1-15: three second factors, one result."""
    multi.login()
    multi.step_up()
    assert multi.stepped_up
    multi.login()
    challenge = multi.post("/stepup/challenges/push/BIOMETRIC").json()["id"]
    assert not multi.stepped_up
    handset.approve(challenge)
    assert multi.stepped_up
    assert multi.post("/authentication_factors/push/AUTHY").status_code == 204
    handset.approve(handset.pending()[0]["transactionId"], "possession")
    multi.login()
    handset.approve(multi.post("/stepup/challenges/push/AUTHY").json()["id"], "possession")
    assert multi.stepped_up


def test_s1_16_the_admins_number_is_the_one_given_for_the_buyer(api: Any, world: Any) -> None:
    """S1-16: Alice is the admin; the SMS goes where onboarding said."""
    world.put_user(mobile="+353861234567")
    api.issue()
    assert world.messages()[-1]["to"] == "+353861234567"


def test_s1_17_s1_18_an_invited_users_codes_go_to_their_own_number(api: Any, world: Any) -> None:
    """S1-17, S1-18: an admin (stepped up) invites; the invited user sets a password, enrols and steps up by themselves."""
    api.step_up()
    invited = {
        "name": "Bob",
        "surname": "B",
        "email": "bob@example.com",
        "mobile": {"countryCode": "+44", "number": "7700900456"},
    }
    user = api.post("/users", invited).json()
    path = f"/passwords/{user['id']}/create" if api.surface == "multi" else f"/password/{user['id']}"
    set_ = api.post(path, {"password": {"value": "Sup3rSecret!"}})
    assert set_.status_code == 200, set_.text
    api.token = set_.json()["token"]
    assert api.post("/authentication_factors/otp/SMS").status_code == 204
    assert world.messages()[-1]["to"] == "+447700900456"
    assert api.post("/authentication_factors/otp/SMS/verify", {"verificationCode": world.code()}).status_code == 204
    answer = api.login("Sup3rSecret!", "bob@example.com").json()
    assert answer["credentials"] == {"type": "USER", "id": user["id"]}
    api.step_up()
    assert world.messages()[-1]["to"] == "+447700900456"


def test_s1_19_s1_20_one_retry_in_the_same_session_brings_a_new_code(api: Any, world: Any) -> None:
    """S1-19, S1-20."""
    api.issue()
    first = world.code()
    world.advance(15)
    assert api.issue().status_code == 204
    assert world.code() != first
    assert len(world.messages()) == 2
    assert api.verify(world.code()).status_code == 204


@pytest.mark.parametrize(("seconds", "expected"), [(0, 409), (14, 409), (14.999999, 409), (15, 204), (16, 204)])
def test_s1_21_s1_23_the_retry_waits_fifteen_seconds_or_more(
    api: Any, world: Any, seconds: float, expected: int
) -> None:
    """S1-21: 15 seconds **or more**; S1-23: earlier it is 409 RETRY_IN_15SEC, and nothing is sent."""
    api.issue()
    world.advance(seconds)
    answer = api.issue()
    assert answer.status_code == expected
    assert len(world.messages()) == (2 if expected == 204 else 1)
    if expected == 409:
        assert answer.json() == {"errorCode": "RETRY_IN_15SEC"}


def test_s1_22_s1_27_only_the_newer_of_two_codes_works(api: Any, world: Any) -> None:
    """S1-22, S1-27: both SMS arrive together; the older one is refused, the newer one works, and the verdict tells them apart."""
    api.issue()
    older = world.code()
    world.advance(15)
    api.issue()
    assert code(api.verify(older)) == (409, "VERIFICATION_CODE_INVALID")
    finding = next(f for f in world.verdict()["findings"] if f["check"] == "secret.newest")
    assert (finding["outcome"], finding["reason"]) == ("fail", "superseded")
    assert not api.stepped_up
    assert api.verify(world.code()).status_code == 204


def test_s1_24_s1_25_a_second_retry_is_refused_with_invalid_request(api: Any, world: Any) -> None:
    """S1-24, S1-25: 400 INVALID_REQUEST, at once and however long one waits; nothing is sent."""
    api.issue()
    world.advance(15)
    api.issue()
    for wait in (0, 15, 120):
        world.advance(wait)
        answer = api.issue()
        assert answer.status_code == 400
        assert answer.json() == {"message": "INVALID_REQUEST", "errorCode": "INVALID_REQUEST"}
    assert len(world.messages()) == 2


def test_s1_26_logout_and_login_give_a_new_challenge(api: Any, world: Any) -> None:
    """S1-26: the count starts anew with the login, at once."""
    api.issue()
    world.advance(15)
    api.issue()
    assert api.issue().status_code == 400
    assert api.post("/logout").status_code == 204
    assert code(api.issue()) == (401, None)
    api.login()
    assert api.issue().status_code == 204
    assert api.verify().status_code == 204


def test_s1_28_s1_30_the_endpoints_are_the_published_ones(world: Any) -> None:
    """S1-28, S1-30: with the channel in the path, at both APIs."""
    paths = world.http.get("/openapi.json").json()["paths"]
    for base in ("/weavr/multi", "/weavr/payment-run/v1"):
        assert "post" in paths[f"{base}/stepup/challenges/otp/{{channel}}"]
        assert "post" in paths[f"{base}/stepup/challenges/otp/{{channel}}/verify"]


def test_s1_29_the_code_is_submitted_in_the_body(api: Any) -> None:
    """S1-29: as `verificationCode`; nothing else will do."""
    api.issue()
    answer = api.post("/stepup/challenges/otp/SMS/verify", {"code": "123456"})
    assert answer.status_code == 400
    assert answer.json()["syntaxErrors"]["invalidFields"] == [
        {"params": [], "fieldName": "verificationCode", "error": "REQUIRED"}
    ]


def test_s1_31_the_same_token_counts_as_stepped_up(api: Any) -> None:
    """S1-31: 204 without a body: no other token is given, the one in use is upgraded, and another login's is not."""
    first = api.token
    other = api.world.client(api.surface)
    other.login()
    api.issue()
    answer = api.verify()
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.token == first
    assert api.stepped_up
    assert not other.stepped_up


@pytest.mark.parametrize(("seconds", "expected"), [(299, 200), (300, 200), (300.000001, 401), (3600, 401)])
def test_s1_32_the_token_expires_after_five_minutes_of_inactivity(
    api: Any, world: Any, seconds: float, expected: int
) -> None:
    """S1-32: whether stepped up or not; the refusal has no body."""
    api.step_up()
    world.advance(seconds)
    answer = api.protected()
    assert answer.status_code == expected
    if expected == 401:
        assert answer.content == b""


def test_s1_32_each_call_of_the_user_keeps_the_token_alive_and_a_refused_one_too(api: Any, world: Any) -> None:
    """S1-32: inactivity, not age; a call refused with 4xx other than 401 is activity (own choice)."""
    for _ in range(3):
        world.advance(299)
        assert api.verify("12").status_code == 400
    world.advance(299)
    assert api.issue().status_code == 204


def test_s1_32_what_the_phone_asks_for_is_no_activity_of_the_user(multi: Any, world: Any, handset: Any) -> None:
    """S1-32, RTS Art. 4(3)(d): a phone that polls does not keep a login alive."""
    multi.login()
    for _ in range(6):
        world.advance(60)
        assert handset.pending() == []
    assert multi.send("GET", "/identities").status_code == 401


def test_s1_33_after_a_wrong_code_the_token_is_valid_but_not_stepped_up(api: Any) -> None:
    """S1-33: 403 STEP_UP_REQUIRED and not 401; the right code still works."""
    api.issue()
    assert code(api.verify(api.wrong())) == (409, "VERIFICATION_CODE_INVALID")
    assert not api.stepped_up
    assert api.verify().status_code == 204
    assert api.stepped_up


def test_s1_34_confirming_a_payment_steps_nothing_up(multi: Any, world: Any) -> None:
    """S1-34: the payment is executed; account information stays closed."""
    transfer = multi.transfer()
    resources = {"resourceType": "outgoing_wire_transfers", "resourceIds": [transfer]}
    challenge = multi.post("/challenges/otp/SMS", resources).json()["scaChallengeId"]
    body = {"resourceType": "outgoing_wire_transfers", "verificationCode": world.code()}
    assert multi.post(f"/challenges/{challenge}/otp/SMS/verify", body).status_code == 204
    assert len(world.stub("GET", "/payments?dialect=weavr&user=110000000000000001")) == 1
    assert not multi.stepped_up


def test_s1_34_a_run_confirmed_by_sms_steps_nothing_up(payment_run: Any, world: Any, run: dict[str, Any]) -> None:
    """S1-34, at Payment Run."""
    created = payment_run.post("/payment_runs", run).json()
    payment_run.post(f"/payment_runs/{created['id']}/confirm")
    simulate = f"/weavr/payment-run/simulate/v1/payment_run_sca/{created['id']}/challenges/otp/SMS"
    payment_run.post("", base=simulate)
    assert created["id"] in world.messages()[-1]["text"]
    assert payment_run.post("/verify", {"verificationCode": world.code()}, base=simulate).status_code == 204
    assert not payment_run.stepped_up


def test_the_sandboxes_fixed_code_is_a_mode(make_world: Callable[..., Any]) -> None:
    """weavr.md 6.2: `--fixed-otp 123456` serves enrolment and step-up; the SMS still goes out."""
    world = make_world(fixed_otp="123456")
    api = world.client()
    api.login()
    api.issue()
    assert world.code() == "123456"
    assert api.verify("123456").status_code == 204
