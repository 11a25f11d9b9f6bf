"""Every step-up method: right, wrong, expired, used, member missing, factor absent: the published codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyotp
import pytest

from tests.support.server import Operator, client_of, servers

R = "/identity/v2/auth/account/reauth"
A = "/identity/v2/auth/account/2fa"
QUESTION = "5f1c0e6a2b7d4e9fa3c8d1b06e7f4a21"
EMAIL = "alice@example.com"


def now(site: Any) -> datetime:
    return datetime.fromisoformat(site.stub("GET", "/clock")["now"])


# --- factors put on the profile through the API itself ---------------------------------------------------------------


def add_authenticator(site: Any) -> pyotp.TOTP:
    totp = pyotp.TOTP(site.ok(site.get(A))["ManualEntryCode"])
    site.ok(site.put(f"{A}/verification/authenticatorcode", {"authenticatorcode": totp.at(now(site))}))
    site.advance(60)  # the code that confirmed it is spent
    return totp


def add_questions(site: Any) -> None:
    site.ok(
        site.put(
            f"{A}/securityquestionanswer", {"securityquestionanswer": [{"QuestionId": QUESTION, "Answer": "St. Mary"}]}
        )
    )


def add_backup_codes(site: Any) -> list[str]:
    codes: list[str] = site.ok(site.get(f"{A}/backupcode"))["BackUpCodes"]
    return codes


# --- one way to use each method --------------------------------------------------------------------------------------


@dataclass
class Way:
    """A method as a customer uses it: prepared, then a right and a wrong body."""

    verb: str
    path: str
    family: str
    prepare: Callable[[Any], dict[str, Any]]
    wrong: dict[str, Any]
    missing: dict[str, Any]


def prepare_sms(site: Any) -> dict[str, Any]:
    site.ok(site.get(f"{R}/2fa"))
    return {"otp": site.code("sms")}


def prepare_email(site: Any) -> dict[str, Any]:
    site.ok(site.get(f"{R}/2fa/otp/email", emailid=EMAIL))
    return {"emailid": EMAIL, "otp": site.code("email")}


def prepare_plain_email(site: Any) -> dict[str, Any]:
    site.ok(site.get(f"{R}/otp/email"))
    return {"otp": site.code("email")}


def prepare_totp(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda site: {name: add_authenticator(site).at(now(site))}


def prepare_backup(site: Any) -> dict[str, Any]:
    return {"backupcode": add_backup_codes(site)[3]}


def prepare_questions(site: Any) -> dict[str, Any]:
    add_questions(site)
    return {"securityquestionanswer": [{"QuestionId": QUESTION, "Answer": " st.  MARY"}]}


WAYS = {
    "sms": Way("PUT", "/2fa/otp", "2fa", prepare_sms, {"otp": "no"}, {}),
    "email": Way("PUT", "/2fa/otp/email/verify", "2fa", prepare_email, {"emailid": EMAIL, "otp": "no"}, {"emailid": EMAIL}),
    "plain-email": Way("PUT", "/otp/email", "2fa", prepare_plain_email, {"otp": "no"}, {}),
    "totp": Way("PUT", "/2fa/authenticatorcode", "2fa", prepare_totp("authenticatorcode"), {"authenticatorcode": "no"}, {}),
    "google": Way(
        "PUT", "/2fa/GoogleAuthenticatorCode", "2fa", prepare_totp("googleauthenticatorcode"), {"googleauthenticatorcode": "no"}, {}
    ),
    "backup": Way("PUT", "/2fa/BackupCode", "2fa", prepare_backup, {"backupcode": "no"}, {}),
    "questions": Way(
        "POST", "/2fa/securityquestionanswer/verify", "2fa", prepare_questions,
        {"securityquestionanswer": [{"QuestionId": QUESTION, "Answer": "no"}]}, {"securityquestionanswer": []},
    ),
    "password": Way("PUT", "/password", "password", lambda _: {"password": "Passw0rd!"}, {"password": "no"}, {}),
    "pin": Way("PUT", "/pin", "pin", lambda _: {"pin": "1234"}, {"pin": "9999"}, {}),
}  # fmt: skip
WRONG = {
    "sms": (403, 1067), "email": (403, 1188), "plain-email": (403, 1188), "totp": (403, 1102), "google": (403, 1102), "backup": (403, 1129),
    "questions": (403, 1094), "password": (401, 1205), "pin": (401, 1236),
}  # fmt: skip
MISSING = {
    "sms": (403, 1192), "email": (403, 1192), "plain-email": (403, 1192), "totp": (403, 1192), "google": (403, 1192), "backup": (403, 1192),
    "questions": (403, 1260), "password": (401, 1205), "pin": (403, 1234),
}  # fmt: skip
USED = {
    "sms": (403, 1068), "email": (403, 1186), "plain-email": (403, 1186), "totp": (403, 1102), "google": (403, 1102), "backup": (403, 1129),
}  # fmt: skip
EXPIRED = {"sms": (403, 1069), "email": (403, 1187), "plain-email": (403, 1187), "totp": (403, 1102)}
ABSENT = {
    "sms": (403, 1100),
    "email": (403, 1256),
    "totp": (403, 1099),
    "google": (403, 1099),
    "backup": (403, 1128),
    "questions": (403, 1259),
}


def use(site: Any, way: Way, body: dict[str, Any]) -> Any:
    return site.call(way.verb, R + way.path, body)


def refusal(answer: Any) -> tuple[int, int]:
    body = answer.json()
    assert {"Description", "ErrorCode", "Message", "IsProviderError", "ProviderErrorResponse"} <= set(body), body
    return answer.status_code, body["ErrorCode"]


@pytest.mark.parametrize("name", WAYS)
def test_s2_3_a_right_answer_gives_a_token_of_its_family(site: Any, name: str) -> None:
    way = WAYS[name]
    token = site.ok(use(site, way, way.prepare(site)))["SecondFactorValidationToken"]
    for family in {"2fa", "password", "pin"} - {way.family}:
        assert refusal(site.validate(token, family)) == (403, 1193)
    assert site.ok(site.validate(token, way.family)) == {"IsValid": True}


@pytest.mark.parametrize("name", WAYS)
def test_a_wrong_answer_gets_its_published_code_and_is_judged(site: Any, name: str) -> None:
    way = WAYS[name]
    way.prepare(site)
    assert refusal(use(site, way, way.wrong)) == WRONG[name]
    verdict = site.verdict()
    assert verdict["accepted"] is False
    assert [f["check"] for f in verdict["findings"] if f["outcome"] == "fail"] == ["secret.correct"]


@pytest.mark.parametrize("name", WAYS)
def test_a_missing_member_gets_its_published_code_and_counts_as_no_attempt(site: Any, name: str) -> None:
    way = WAYS[name]
    way.prepare(site)
    assert refusal(use(site, way, way.missing)) == MISSING[name]
    assert site.stub("GET", "/users")[0]["failures"] == 0


@pytest.mark.parametrize("name", USED)
def test_rts_4_1_a_code_serves_once(site: Any, name: str) -> None:
    way = WAYS[name]
    body = way.prepare(site)
    site.ok(use(site, way, body))
    assert refusal(use(site, way, body)) == USED[name]


@pytest.mark.parametrize("name", EXPIRED)
def test_a_code_expires(site: Any, name: str) -> None:
    way = WAYS[name]
    body = way.prepare(site)
    site.advance(300)
    assert refusal(use(site, way, body)) == EXPIRED[name]


@pytest.mark.parametrize("name", ["sms", "email", "plain-email"])
def test_a_sent_code_works_until_its_last_second(site: Any, name: str) -> None:
    way = WAYS[name]
    body = way.prepare(site)
    site.advance(299)
    site.ok(use(site, way, body))


@pytest.mark.parametrize("name", ABSENT)
def test_a_factor_that_is_not_on_the_profile_gets_its_published_code(site: Any, name: str) -> None:
    site.put_user(smsOtp=False, emailOtp=False)
    assert refusal(use(site, WAYS[name], WAYS[name].wrong)) == ABSENT[name]
    assert site.stub("GET", "/transactions") == []


def test_password_and_pin_that_were_never_set(site: Any, make_client: Callable[..., Any]) -> None:
    site.stub(
        "PUT",
        "/users",
        {"dialect": "loginradius", "id": "c" * 32, "email": "carol@example.com", "password": "Passw0rd!"},
    )
    answer = site.post("/identity/v2/auth/login", {"email": "carol@example.com", "password": "Passw0rd!"})
    site.keep(answer)
    assert refusal(site.put(f"{R}/pin", {"pin": "1234"})) == (403, 1235)
    assert refusal(site.get(f"{R}/2fa")) == (403, 1101)


@pytest.mark.parametrize("name", ["sms", "email", "plain-email"])
def test_before_anything_was_sent_every_code_is_wrong(site: Any, name: str) -> None:
    way = WAYS[name]
    body = {**way.wrong, "otp": "123456"}
    assert refusal(use(site, way, body)) == WRONG[name]
    assert [f["reason"] for f in site.verdict()["findings"] if f["outcome"] == "fail"] == ["none-issued"]


@pytest.mark.parametrize("name", ["sms", "email", "plain-email"])
def test_only_the_newest_code_works(site: Any, name: str) -> None:
    way = WAYS[name]
    first, second = way.prepare(site), way.prepare(site)
    assert first != second
    assert refusal(use(site, way, first)) == WRONG[name]
    site.ok(use(site, way, second))


def test_codes_of_the_two_e_mail_calls_are_not_exchangeable(site: Any) -> None:
    plain = prepare_plain_email(site)
    assert refusal(use(site, WAYS["email"], {"emailid": EMAIL, **plain})) == (403, 1188)
    mfa = prepare_email(site)
    assert refusal(use(site, WAYS["plain-email"], mfa)) == (403, 1188)
    site.ok(use(site, WAYS["plain-email"], plain))


def test_rts_4_3_c_a_code_works_in_the_session_that_asked_for_it_only(site: Any) -> None:
    body = prepare_sms(site)
    first = site.access
    site.login()
    assert refusal(use(site, WAYS["sms"], body)) == (403, 1067)
    site.access = first
    site.ok(use(site, WAYS["sms"], body))


@pytest.mark.parametrize(("drift", "status"), [(-60, 403), (-30, 200), (0, 200), (30, 200), (60, 403)])
def test_totp_allows_one_step_of_drift(site: Any, drift: int, status: int) -> None:
    site.advance(3600)
    site.login()
    totp = add_authenticator(site)
    code = totp.at(int(now(site).timestamp()) + drift)
    assert site.put(f"{R}/2fa/authenticatorcode", {"authenticatorcode": code}).status_code == status


def test_totp_an_older_code_is_refused_after_a_newer_one(site: Any) -> None:
    """RFC 6238 section 5.2: a verifier must not accept a second time; nor a step before the last accepted one."""
    totp = add_authenticator(site)
    moment = int(now(site).timestamp())
    site.ok(site.put(f"{R}/2fa/authenticatorcode", {"authenticatorcode": totp.at(moment)}))
    older = site.put(f"{R}/2fa/authenticatorcode", {"authenticatorcode": totp.at(moment - 30)})
    assert refusal(older) == (403, 1102)


@pytest.mark.parametrize(
    ("moment", "eight_digits"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"), (2000000000, "69279037"),
     (20000000000, "65353130")],
)  # fmt: skip
def test_totp_agrees_with_rfc_6238_appendix_b(moment: int, eight_digits: str) -> None:
    """The RFC's SHA-1 vectors; six digits are the last six of the eight."""
    import base64

    from server_stub.dialects.loginradius.methods import totp_step

    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp_step(secret, eight_digits[2:], moment) == moment // 30
    assert totp_step(secret, f"{(int(eight_digits[2:]) + 1) % 10**6:06}", moment) is None


def test_ten_backup_codes_each_good_once(site: Any) -> None:
    codes = add_backup_codes(site)
    assert len(set(codes)) == 10
    assert all(len(code) == 11 and code[5] == "-" for code in codes)
    for code in codes:
        site.ok(site.put(f"{R}/2fa/backupcode", {"BackupCode": code.upper()}))
    for code in codes[:3]:
        assert refusal(site.put(f"{R}/2fa/backupcode", {"backupcode": code})) == (403, 1129)


def test_backup_codes_are_shown_once_and_renewed_as_a_whole(site: Any) -> None:
    old = add_backup_codes(site)
    assert refusal(site.get(f"{A}/backupcode")) == (403, 1127)
    new = site.ok(site.get(f"{A}/backupcode/reset"))["BackUpCodes"]
    assert not set(old) & set(new)
    assert refusal(site.put(f"{R}/2fa/backupcode", {"backupcode": old[0]})) == (403, 1129)
    site.ok(site.put(f"{R}/2fa/backupcode", {"backupcode": new[0]}))


def test_fixed_otp_is_a_setting_of_the_server(make_client: Callable[..., Any]) -> None:
    site = make_client(fixed_otp="123456")
    site.login()
    site.ok(site.get(f"{R}/2fa"))
    site.ok(site.put(f"{R}/2fa/otp", {"otp": "123456"}))


def test_a_seed_repeats_codes_and_tokens_byte_for_byte() -> None:
    def run() -> list[bytes]:
        with servers() as new:
            http = client_of(new(dialects=("loginradius",), seed="loginradius"))
            Operator(http).stand_still()
            key = {"apikey": "11111111-1111-4111-8111-111111111111"}
            login = http.post(
                "/loginradius/identity/v2/auth/login", params=key, json={"email": EMAIL, "password": "Passw0rd!"}
            )
            bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
            trigger = http.get(f"/loginradius{R}/2fa", params=key, headers=bearer)
            code = http.get("/_stub/messages").json()[-1]["code"]
            token = http.put(f"/loginradius{R}/2fa/otp", params=key, headers=bearer, json={"otp": code})
            backup = http.get(f"/loginradius{A}/backupcode", params=key, headers=bearer)
            return [login.content, trigger.content, token.content, backup.content]

    first, second = run(), run()
    assert [one == other for one, other in zip(first, second, strict=True)] == [True] * 4
