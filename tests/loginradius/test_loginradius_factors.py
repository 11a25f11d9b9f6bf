"""MFA login by every second step, factors set up and removed, PIN set and changed (loginradius.md sections 2 and 5)."""

from __future__ import annotations

import base64
import io
import uuid
from datetime import datetime
from typing import Any

import pyotp
import pytest
import segno

A = "/identity/v2/auth/account/2fa"
R = "/identity/v2/auth/account/reauth"
SECRET = "22222222-2222-4222-8222-222222222222"
QUESTION = "9b3e7d2c4a6f4c1d8e5b0a7f3c9d6e12"
ANSWERS = {"securityquestionanswer": [{"QuestionId": QUESTION, "Answer": "Leeds"}]}
EMAIL = "alice@example.com"
NO_TOKEN = "00000000-0000-0000-0000-000000000000"


def refusal(answer: Any) -> tuple[int, int]:
    body = answer.json()
    assert {"Description", "ErrorCode", "Message", "IsProviderError", "ProviderErrorResponse"} <= set(body), body
    return answer.status_code, body["ErrorCode"]


def now(site: Any) -> datetime:
    return datetime.fromisoformat(site.stub("GET", "/clock")["now"])


def add_authenticator(site: Any) -> pyotp.TOTP:
    totp = pyotp.TOTP(site.ok(site.get(A))["ManualEntryCode"])
    site.ok(site.put(f"{A}/verification/authenticatorcode", {"authenticatorcode": totp.at(now(site))}))
    site.advance(60)
    return totp


# --- MFA login -------------------------------------------------------------------------------------------------------


def test_the_first_step_gives_no_access(site: Any) -> None:
    body = site.mfa_login()
    assert (body["Profile"], body["access_token"], body["expires_in"]) == (None, NO_TOKEN, "0001-01-01T00:00:00")
    site.access = site.mfa
    assert refusal(site.get("/identity/v2/auth/account")) == (403, 905)
    site.access = NO_TOKEN
    assert refusal(site.get("/identity/v2/auth/account")) == (403, 905)


def second_steps(site: Any) -> dict[str, Any]:
    """Every second step as verb, path and right body; the factors it needs are put on the profile first."""
    totp, codes = add_authenticator(site), site.ok(site.get(f"{A}/backupcode"))["BackUpCodes"]
    site.ok(site.put(f"{A}/securityquestionanswer", ANSWERS))
    site.mfa_login()
    site.ok(site.second("POST", "/otp/email", {"emailid": EMAIL}))
    return {
        "otp": ("PUT", "/verification/otp", {"otp": site.code("sms")}),
        "email": ("PUT", "/verification/otp/email", {"emailid": EMAIL, "otp": site.code("email")}),
        "totp": ("PUT", "/verification/authenticatorcode", {"authenticatorcode": totp.at(now(site))}),
        "google": ("PUT", "/verification/GoogleAuthenticatorCode", {"GoogleAuthenticatorCode": totp.at(now(site))}),
        "backup": ("PUT", "/verification/BackupCode", {"backupcode": codes[0]}),
        "questions": ("POST", "/verification/securityquestionanswer", ANSWERS),
    }


@pytest.mark.parametrize("name", ["otp", "email", "totp", "google", "backup", "questions"])
def test_each_second_step_finishes_the_login_once(site: Any, name: str) -> None:
    verb, path, body = second_steps(site)[name]
    answer = site.keep(site.second(verb, path, body))
    assert site.ok(answer)["Profile"]["Uid"] == site.uid
    site.ok(site.get("/identity/v2/auth/account"))
    site.access = ""
    assert refusal(site.second(verb, path, body)) == (403, 1103)


@pytest.mark.parametrize(
    ("name", "category"),
    [("otp", "possession"), ("email", None), ("totp", "possession"), ("backup", None), ("questions", "knowledge")],
)
def test_what_a_login_showed_counts_in_its_step_ups(site: Any, name: str, category: str | None) -> None:
    """EBA Q&A 2018_4141: an element of the login may be reused with another one."""
    verb, path, body = second_steps(site)[name]
    site.keep(site.second(verb, path, body))
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))
    elements = {(e["category"], e["method"]) for e in site.verdict()["elements"]}
    assert {("knowledge", "password"), ("knowledge", "pin")} <= elements
    assert {c for c, _ in elements} == {"knowledge"} | ({category} if category else set())


def test_a_fixed_code_of_the_login_is_no_element_of_its_step_ups(make_client: Any) -> None:
    site = make_client(fixed_otp="123456")
    assert site.login().status_code == 200
    verb, path, body = second_steps(site)["otp"]
    site.keep(site.second(verb, path, body))
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))
    assert {e["category"] for e in site.verdict()["elements"]} == {"knowledge"}


def test_a_second_step_token_lives_fifteen_minutes(site: Any) -> None:
    site.mfa_login()
    site.advance(900)
    assert refusal(site.second("PUT", "/verification/otp", {"otp": "1"})) == (403, 1104)
    site.mfa = str(uuid.uuid4())
    assert refusal(site.second("PUT", "/verification/otp", {"otp": "1"})) == (403, 1103)


def test_resending_the_sms_supersedes_the_code_before(site: Any) -> None:
    site.mfa_login()
    first = site.code("sms")
    site.ok(site.second("GET", "/resend"))
    assert refusal(site.second("PUT", "/verification/otp", {"otp": first})) == (403, 1067)
    site.ok(site.second("PUT", "/verification/otp", {"otp": site.code("sms")}))


def test_a_password_alone_cannot_move_the_second_factor(site: Any) -> None:
    site.mfa_login()
    assert refusal(site.second("PUT", "", {"phoneno2fa": "+15550100"})) == (403, 1117)
    assert set(site.ok(site.second("PUT", "", {"phoneno2fa": "+447700900123"}))) == {"AccountSid", "Sid"}
    assert {m["to"] for m in site.messages("sms")} == {"+447700900123"}


def test_a_code_of_the_login_is_none_of_the_step_up(site: Any) -> None:
    site.mfa_login()
    login_code = site.code("sms")
    mfa = site.mfa
    site.login()
    site.ok(site.get(f"{R}/2fa"))
    assert refusal(site.put(f"{R}/2fa/otp", {"otp": login_code})) == (403, 1067)
    site.access, site.mfa = "", mfa
    site.ok(site.second("PUT", "/verification/otp", {"otp": login_code}))


def test_without_a_second_factor_the_mfa_login_gives_the_tokens(site: Any) -> None:
    """MFA is optional for the demo users."""
    site.put_user(smsOtp=False, emailOtp=False)
    site.access = ""
    body = site.ok(site.post("/identity/v2/auth/login/2fa", {"email": EMAIL, "password": "Passw0rd!"}))
    assert body["Profile"]["Uid"] == site.uid


def test_second_step_calls_of_factors_that_are_not_there(site: Any) -> None:
    site.put_user(smsOtp=False)
    site.mfa_login()
    assert refusal(site.second("GET", "/resend")) == (403, 1100)
    assert refusal(site.second("PUT", "/verification/authenticatorcode", {"authenticatorcode": "1"})) == (403, 1099)
    assert refusal(site.second("PUT", "/verification/backupcode", {"backupcode": "1"})) == (403, 1128)
    assert refusal(site.second("POST", "/otp/email", {})) == (403, 1032)
    assert refusal(site.second("POST", "/otp/email", {"emailid": "x@example.com"})) == (403, 908)
    site.put_user(emailOtp=False)
    assert refusal(site.second("POST", "/otp/email", {"emailid": EMAIL})) == (403, 1256)


# --- set-up ----------------------------------------------------------------------------------------------------------


def test_the_authenticator_is_set_up_by_qr_code_or_by_hand(site: Any) -> None:
    settings = site.ok(site.get(A))
    secret = settings["ManualEntryCode"]
    uri = pyotp.TOTP(secret).provisioning_uri(name=EMAIL, issuer_name="LoginRadius")
    expected = io.BytesIO()
    segno.make(uri, error="m").save(expected, kind="png", scale=4)
    assert settings["QRCode"] == "data:image/png;base64," + base64.b64encode(expected.getvalue()).decode()
    assert site.ok(site.get(A))["ManualEntryCode"] == secret  # until it is confirmed
    assert refusal(site.put(f"{A}/verification/authenticatorcode", {"authenticatorcode": "no"})) == (403, 1102)
    code = pyotp.TOTP(secret).at(now(site))
    assert site.ok(site.put(f"{A}/verification/authenticatorcode", {"authenticatorcode": code}))["Uid"] == site.uid
    after = site.ok(site.get(A))
    assert (after["IsAuthenticatorVerified"], after["IsGoogleAuthenticatorVerified"]) == (True, True)
    assert (after["QRCode"], after["ManualEntryCode"]) == ("", "")


def test_the_code_that_confirmed_the_authenticator_is_spent(site: Any) -> None:
    totp = pyotp.TOTP(site.ok(site.get(A))["ManualEntryCode"])
    code = {"authenticatorcode": totp.at(now(site))}
    site.ok(site.put(f"{A}/verification/authenticatorcode", code))
    assert refusal(site.put(f"{R}/2fa/authenticatorcode", code)) == (403, 1102)


def test_the_number_changes_only_once_it_is_confirmed(site: Any) -> None:
    site.ok(site.put(A, {"phoneno2fa": "+447700900999"}))
    assert site.messages("sms")[-1]["to"] == "+447700900999"
    assert site.ok(site.get(A))["OTPPhoneNo"] == "+********0123"
    site.ok(site.put(f"{A}/verification/otp", {"otp": site.code("sms")}))
    assert site.ok(site.get(A))["OTPPhoneNo"] == "+********0999"
    site.ok(site.get(f"{R}/2fa"))
    assert site.messages("sms")[-1]["to"] == "+447700900999"


@pytest.mark.parametrize("number", ["", "07700 900123", "+44", "+4477009001234567", 5])
def test_a_number_that_is_none(site: Any, number: Any) -> None:
    assert refusal(site.put(A, {"phoneno2fa": number})) == (403, 908)


def test_e_mail_otp_is_set_up_and_removed(site: Any) -> None:
    assert site.ok(site.call("DELETE", f"{A}/authenticator/otp/email")) == {"IsDeleted": True}
    assert refusal(site.get(f"{R}/2fa/otp/email", emailid=EMAIL)) == (403, 1256)
    site.ok(site.get(f"{A}/otp/email", emailid=EMAIL))
    site.ok(site.put(f"{A}/verification/otp/email", {"emailid": EMAIL, "otp": site.code("email")}))
    site.ok(site.get(f"{R}/2fa/otp/email", emailid=EMAIL))


@pytest.mark.parametrize(
    ("body", "flag"),
    [({"authenticator": True}, "IsAuthenticatorVerified"), ({"otpauthenticator": True}, "IsOTPAuthenticatorVerified")],
)
@pytest.mark.parametrize("managed", [False, True])
def test_authenticator_and_sms_are_removed(site: Any, body: dict[str, bool], flag: str, managed: bool) -> None:
    add_authenticator(site)
    assert site.ok(site.get(A))[flag] is True
    if managed:
        answer = site.call(
            "DELETE", "/identity/v2/manage/account/2fa/authenticator", body, uid=site.uid, apisecret=SECRET
        )
    else:
        answer = site.call("DELETE", f"{A}/authenticator", body)
    assert site.ok(answer) == {"IsDeleted": True}
    assert site.ok(site.get(A))[flag] is False


def test_security_questions_are_set_up_and_removed(site: Any) -> None:
    listed = site.ok(site.get("/identity/v2/auth/securityquestion/accesstoken"))
    assert QUESTION in {q["QuestionId"] for q in listed}
    assert refusal(site.put(f"{A}/securityquestionanswer", {"securityquestionanswer": []})) == (403, 1260)
    unknown = {"securityquestionanswer": [{"QuestionId": "f" * 32, "Answer": "x"}]}
    assert refusal(site.put(f"{A}/securityquestionanswer", unknown)) == (403, 1094)
    site.ok(site.put(f"{A}/securityquestionanswer", ANSWERS))
    trigger = site.ok(site.get(f"{R}/2fa"))
    assert trigger["IsSecurityQuestionAuthenticatorVerified"] is True
    assert [q["QuestionId"] for q in trigger["SecurityQuestions"]] == [QUESTION]
    assert site.ok(site.call("DELETE", f"{A}/authenticator/securityquestionanswer")) == {"IsDeleted": True}
    assert refusal(site.post(f"{R}/2fa/securityquestionanswer/verify", ANSWERS)) == (403, 1259)


def test_every_answer_given_must_be_right(site: Any) -> None:
    other = "c4d8a1f97e2b4b63905d6c3e8f1a7b54"
    both = [{"QuestionId": QUESTION, "Answer": "Leeds"}, {"QuestionId": other, "Answer": "Rex"}]
    site.ok(site.put(f"{A}/securityquestionanswer", {"securityquestionanswer": both}))
    one_wrong = [both[0], {"QuestionId": other, "Answer": "Fido"}]
    verify = f"{R}/2fa/securityquestionanswer/verify"
    assert refusal(site.post(verify, {"securityquestionanswer": one_wrong})) == (403, 1094)
    site.ok(site.post(verify, {"securityquestionanswer": both}))


def test_managed_removal_needs_a_known_uid_and_the_secret(site: Any) -> None:
    path = "/identity/v2/manage/account/2fa/authenticator/otp/email"
    assert refusal(site.call("DELETE", path, uid=site.uid)) == (400, 923)
    assert refusal(site.call("DELETE", path, uid="f" * 32, apisecret=SECRET)) == (403, 938)
    assert site.ok(site.call("DELETE", path, uid=site.uid, apisecret=SECRET)) == {"IsDeleted": True}


# --- PIN -------------------------------------------------------------------------------------------------------------


def test_a_pin_is_set_with_the_token_that_a_login_without_pin_brings(site: Any) -> None:
    site.stub(
        "PUT",
        "/users",
        {"dialect": "loginradius", "id": "c" * 32, "email": "carol@example.com", "password": "Passw0rd!"},
    )
    login = site.keep(site.post("/identity/v2/auth/login", {"email": "carol@example.com", "password": "Passw0rd!"}))
    token = login.json()["PINAuthToken"]
    set_pin = "/identity/v2/auth/pin/set/pinauthtoken"
    assert refusal(site.post(set_pin, {}, pinauthtoken=token)) == (403, 1234)
    assert refusal(site.post(set_pin, {"Pin": "12"}, pinauthtoken=token)) == (403, 908)
    site.keep(site.post(set_pin, {"Pin": "246802"}, pinauthtoken=token))
    site.ok(site.put(f"{R}/pin", {"pin": "246802"}))
    assert refusal(site.post(set_pin, {"Pin": "1111"}, pinauthtoken=token)) == (403, 905)
    assert (
        "PINAuthToken"
        not in site.post("/identity/v2/auth/login", {"email": "carol@example.com", "password": "Passw0rd!"}).json()
    )


def test_a_pin_is_changed_with_the_old_one(site: Any) -> None:
    change = "/identity/v2/auth/pin/change"
    assert refusal(site.put(change, {"OldPIN": "9999", "NewPIN": "4321"})) == (401, 1241)
    assert refusal(site.put(change, {"NewPIN": "4321"})) == (403, 1234)
    assert refusal(site.put(change, {"OldPIN": "1234"})) == (403, 1234)
    assert refusal(site.put(change, {"OldPIN": "1234", "NewPIN": "abcd"})) == (403, 908)
    assert site.ok(site.put(change, {"OldPIN": "1234", "NewPIN": "4321"})) == {"IsPosted": True}
    assert refusal(site.put(f"{R}/pin", {"pin": "1234"})) == (401, 1236)
    site.ok(site.put(f"{R}/pin", {"pin": "4321"}))


# --- test users ------------------------------------------------------------------------------------------------------


def test_the_operator_sees_the_demo_user_with_its_secrets(stranger: Any) -> None:
    (user,) = stranger.stub("GET", "/users")
    assert (user["email"], user["password"], user["pin"], user["phone"]) == (
        [EMAIL],
        "Passw0rd!",
        "1234",
        "+447700900123",
    )
    assert (user["emailOtp"], user["smsOtp"], user["authenticator"], user["backupCodesLeft"]) == (True, True, False, 0)
    assert len(user["id"]) == 32


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"email": []},
        {"email": "none"},
        {"pin": "1"},
        {"lock": "None"},
        {"emailOtp": "yes"},
        {"password": 5},
    ],
)
def test_a_user_that_makes_no_sense_is_refused_by_name(site: Any, changes: dict[str, Any]) -> None:
    answer = site.http.put("/_stub/users", json={"dialect": "loginradius", "id": site.uid, **changes})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] in changes


def test_reset_brings_the_demo_user_back(site: Any) -> None:
    site.put_user(password="another", pin="5555")
    site.stub("POST", "/reset")
    assert site.login().status_code == 200
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))
