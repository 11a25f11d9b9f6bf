"""Every requirement of seed document 2 (S2-*), over HTTP, with the clock steered."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

R = "/identity/v2/auth/account/reauth"
ACCOUNT = "/identity/v2/auth/account"


def step_up_by_sms(site: Any) -> str:
    site.ok(site.get(f"{R}/2fa"))
    token: str = site.ok(site.put(f"{R}/2fa/otp", {"otp": site.code("sms")}))["SecondFactorValidationToken"]
    return token


def test_s2_1_a_logged_in_customer_passes_authentication_once_more(site: Any) -> None:
    before = len(site.stub("GET", "/transactions"))
    step_up_by_sms(site)
    after = site.stub("GET", "/transactions")
    assert len(after) == before + 1
    assert after[0]["accepted"] is True


def test_s2_2_neither_a_step_up_nor_its_failure_touches_the_session(site: Any) -> None:
    before = site.ok(site.get("/identity/v2/auth/access_token/Validate"))
    step_up_by_sms(site)
    assert site.put(f"{R}/pin", {"pin": "9999"}).status_code == 401
    assert site.ok(site.get("/identity/v2/auth/access_token/Validate")) == before
    assert site.ok(site.get(ACCOUNT))["Uid"] == site.uid


@pytest.mark.parametrize("method", ["sms", "email", "password", "pin"])
def test_s2_3_the_integrator_chooses_the_method(site: Any, method: str) -> None:
    if method == "sms":
        site.ok(site.get(f"{R}/2fa"))
        answer = site.put(f"{R}/2fa/otp", {"otp": site.code("sms")})
    elif method == "email":
        site.ok(site.get(f"{R}/2fa/otp/email", emailid="alice@example.com"))
        answer = site.put(f"{R}/2fa/otp/email/verify", {"emailid": "alice@example.com", "otp": site.code("email")})
    elif method == "password":
        answer = site.put(f"{R}/password", {"password": "Passw0rd!"})
    else:
        answer = site.put(f"{R}/pin", {"pin": "1234"})
    family = {"sms": "2fa", "email": "2fa"}.get(method, method)
    token = site.ok(answer)["SecondFactorValidationToken"]
    assert site.ok(site.validate(token, family)) == {"IsValid": True}


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        ("GET", "/2fa", None),
        ("PUT", "/2fa/otp", {"otp": "1"}),
        ("PUT", "/pin", {"pin": "1234"}),
        ("PUT", "/password", {"password": "x"}),
    ],
)
def test_s2_4_a_step_up_needs_an_access_token(stranger: Any, call: str, path: str, body: Any) -> None:
    answer = stranger.call(call, R + path, body)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, 1060)
    answer = stranger.call(call, R + path, body, access_token=str(uuid.uuid4()))
    assert (answer.status_code, answer.json()["ErrorCode"]) == (403, 905)


def test_s2_5_s2_8_s2_9_the_back_end_opens_the_resource_only_for_a_valid_token(site: Any) -> None:
    """The site's document is shown if and only if the validator says so."""

    def document(token: str) -> str:
        answer = site.validate(token)
        return "the document" if answer.status_code == 200 and answer.json()["IsValid"] is True else "refused"

    assert document(str(uuid.uuid4())) == "refused"
    assert document(step_up_by_sms(site)) == "the document"


def test_s2_6_the_customer_is_prompted_by_the_chosen_method(site: Any) -> None:
    site.ok(site.get(f"{R}/2fa"))
    (sms,) = site.messages("sms")
    assert sms["to"] == "+447700900123"
    assert sms["code"] in sms["text"]
    assert len(sms["code"]) == 6


def test_s2_7_who_passes_gets_a_token_with_its_end(site: Any) -> None:
    site.ok(site.get(f"{R}/2fa"))
    body = site.ok(site.put(f"{R}/2fa/otp", {"otp": site.code("sms")}))
    assert set(body) == {"SecondFactorValidationToken", "ExpireIn"}
    assert str(uuid.UUID(body["SecondFactorValidationToken"])) == body["SecondFactorValidationToken"]
    assert body["ExpireIn"] == "2026-03-02T12:05:00.000000Z"


def test_s2_7_who_fails_gets_none(site: Any) -> None:
    site.ok(site.get(f"{R}/2fa"))
    answer = site.put(f"{R}/2fa/otp", {"otp": "000000" if site.code("sms") != "000000" else "000001"})
    assert answer.status_code == 403
    assert "SecondFactorValidationToken" not in answer.json()


@pytest.mark.parametrize(
    "member", ["secondfactorvalidationtoken", "SecondFactorValidationToken", "secondfactorauthenticationtoken"]
)
def test_s2_7_s2_8_the_seeds_own_name_of_the_token_is_accepted_too(site: Any, member: str) -> None:
    assert site.ok(site.validate(step_up_by_sms(site), member=member)) == {"IsValid": True}


@pytest.mark.parametrize("age", [299, 300])
def test_s2_8_a_token_is_good_for_five_minutes(site: Any, age: int) -> None:
    token = step_up_by_sms(site)
    site.advance(age)
    answer = site.validate(token)
    assert answer.status_code == (200 if age < 300 else 403)
    if age == 300:
        assert answer.json()["ErrorCode"] == 1193


def test_s2_8_a_token_is_good_once(site: Any) -> None:
    token = step_up_by_sms(site)
    assert site.validate(token).status_code == 200
    answer = site.validate(token)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (403, 1193)


def test_s2_8_a_refused_validation_does_not_use_the_token_up(site: Any) -> None:
    token = step_up_by_sms(site)
    for family, uid in (("pin", ""), ("password", ""), ("2fa", "f" * 32)):
        answer = site.validate(token, family, uid=uid)
        assert answer.json()["ErrorCode"] == (938 if uid else 1193)
    assert site.validate(token).status_code == 200


def test_s2_8_a_token_of_another_customer_is_refused(site: Any) -> None:
    other = "b" * 32
    site.stub(
        "PUT", "/users", {"dialect": "loginradius", "id": other, "email": "bob@example.com", "password": "Passw0rd!"}
    )
    token = step_up_by_sms(site)
    answer = site.validate(token, uid=other)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (403, 1193)
    assert site.validate(token).status_code == 200


def test_s2_8_logging_out_ends_the_tokens_of_a_step_up(site: Any) -> None:
    token = step_up_by_sms(site)
    site.ok(site.get("/identity/v2/auth/access_token/InValidate"))
    answer = site.validate(token)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (403, 1193)


def test_s2_8_a_new_step_up_leaves_earlier_tokens_alone(site: Any) -> None:
    first, second = step_up_by_sms(site), step_up_by_sms(site)
    assert site.validate(first).status_code == 200
    assert site.validate(second).status_code == 200


def test_s2_10_pin_and_mfa_step_up_are_two_workflows_with_a_validator_each(site: Any) -> None:
    pin = site.ok(site.put(f"{R}/pin", {"PIN": "1234"}))["SecondFactorValidationToken"]
    mfa = step_up_by_sms(site)
    assert site.validate(pin, "2fa").json()["ErrorCode"] == 1193
    assert site.validate(mfa, "pin").json()["ErrorCode"] == 1193
    assert site.ok(site.validate(pin, "pin")) == {"IsValid": True}
    assert site.ok(site.validate(mfa, "2fa")) == {"IsValid": True}


def test_s2_11_the_trigger_reads_the_mfa_settings(site: Any) -> None:
    body = site.ok(site.get(f"{R}/2fa"))
    assert body["IsOTPAuthenticatorVerified"] is True
    assert body["IsAuthenticatorVerified"] is False
    assert body["IsGoogleAuthenticatorVerified"] is False
    assert body["OTPPhoneNo"] == "+********0123"
    assert set(body["OTPStatus"]) == {"AccountSid", "Sid"}
    assert body["ExpireIn"] == "2026-03-02T12:05:00.000000Z"


@pytest.mark.parametrize("verified", [True, False])
def test_s2_12_the_flag_says_whether_an_address_can_be_asked(site: Any, verified: bool) -> None:
    site.put_user(emailOtp=verified, email=["alice@example.com", "a.example@example.org"])
    body = site.ok(site.get(f"{R}/2fa"))
    assert body["IsEmailOtpAuthenticatorVerified"] is verified
    assert body["Email"] == ["alice@example.com", "a.example@example.org"]
    answer = site.get(f"{R}/2fa/otp/email", emailid="alice@example.com")
    assert answer.status_code == (200 if verified else 403)
    if not verified:
        assert answer.json()["ErrorCode"] == 1256


def test_s2_13_s2_14_the_code_goes_to_the_address_that_was_picked(site: Any) -> None:
    site.put_user(email=["alice@example.com", "a.example@example.org"])
    assert site.ok(site.get(f"{R}/2fa/otp/email", emailid="A.Example@example.org")) == {"IsPosted": True}
    (mail,) = site.messages("email")
    assert mail["to"] == "a.example@example.org"
    assert mail["code"] in mail["text"]


def test_s2_13_the_address_is_required_and_must_be_on_the_profile(site: Any) -> None:
    assert site.get(f"{R}/2fa/otp/email").json()["ErrorCode"] == 1032
    assert site.get(f"{R}/2fa/otp/email", emailid="mallory@example.com").json()["ErrorCode"] == 908
    assert site.messages("email") == []


def test_s2_15_the_e_mailed_code_is_verified(site: Any) -> None:
    site.ok(site.get(f"{R}/2fa/otp/email", emailid="alice@example.com"))
    body = {"emailid": "alice@example.com", "Otp": site.code("email")}
    token = site.ok(site.put(f"{R}/2fa/otp/email/verify", body))["SecondFactorValidationToken"]
    assert site.ok(site.validate(token)) == {"IsValid": True}


def test_s2_15_a_code_for_one_address_is_none_for_another(site: Any) -> None:
    site.put_user(email=["alice@example.com", "a.example@example.org"])
    site.ok(site.get(f"{R}/2fa/otp/email", emailid="alice@example.com"))
    body = {"emailid": "a.example@example.org", "otp": site.code("email")}
    assert site.put(f"{R}/2fa/otp/email/verify", body).json()["ErrorCode"] == 1188
