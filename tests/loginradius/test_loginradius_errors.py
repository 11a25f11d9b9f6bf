"""The published error table and the order of checks: key, secret or token, body, lock, factor, value (loginradius.md sections 1, 7, 10)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote

import pytest

R = "/identity/v2/auth/account/reauth"
LOGIN = "/identity/v2/auth/login"
KEY = "11111111-1111-4111-8111-111111111111"
SECRET = "22222222-2222-4222-8222-222222222222"
OTHER = "33333333-3333-4333-8333-333333333333"
GOOD = {"email": "alice@example.com", "password": "Passw0rd!"}


def refusal(answer: Any) -> tuple[int, int]:
    body = answer.json()
    assert {"Description", "ErrorCode", "Message", "IsProviderError", "ProviderErrorResponse"} <= set(body), body
    return answer.status_code, body["ErrorCode"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [({}, (400, 922)), ({"apikey": ""}, (400, 920)), ({"apikey": "demo"}, (400, 920)), ({"apikey": OTHER}, (403, 901))],
)
@pytest.mark.parametrize("path", [LOGIN, f"{R}/2fa"])
def test_api_key(stranger: Any, query: dict[str, str], expected: tuple[int, int], path: str) -> None:
    method = "POST" if path == LOGIN else "GET"
    answer = stranger.http.request(method, f"/loginradius{path}", params=query, json=GOOD if method == "POST" else None)
    assert refusal(answer) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (400, 923)),
        ({"apisecret": ""}, (400, 921)),
        ({"apisecret": "x"}, (400, 921)),
        ({"apisecret": OTHER}, (401, 902)),
    ],
)
def test_api_secret(site: Any, query: dict[str, str], expected: tuple[int, int]) -> None:
    path = f"/identity/v2/manage/account/{site.uid}/reauth/2fa"
    assert refusal(site.post(path, {"secondfactorvalidationtoken": OTHER}, **query)) == expected


def test_api_secret_as_a_header(site: Any) -> None:
    answer = site.http.post(
        f"/loginradius/identity/v2/manage/account/{site.uid}/reauth/2fa", params={"apikey": KEY},
        headers={"X-LoginRadius-ApiSecret": SECRET}, json={"secondfactorvalidationtoken": OTHER},
    )  # fmt: skip
    assert refusal(answer) == (403, 1193)


def signed(url: str, body: bytes, expires: str) -> dict[str, str]:
    """Headers of a signed request, made here after the published rule."""
    text = f"{expires}:{quote(url.lower(), safe='')}".lower() + f":{body.decode()}"
    digest = base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return {"X-Request-Expires": expires, "digest": f"SHA-256={digest}", "Content-Type": "application/json"}


def test_request_signing_instead_of_the_secret(site: Any) -> None:
    url = f"http://127.0.0.1:9/loginradius/identity/v2/manage/account/{site.uid}/reauth/2fa?apiKey={KEY}"
    body = b'{"secondfactorvalidationtoken": "' + OTHER.encode() + b'"}'
    headers = signed(url, body, "2026-03-02 13:00:00")
    assert refusal(site.http.post(url, content=body, headers=headers)) == (403, 1193)
    assert refusal(site.http.post(url, content=body.replace(b"3", b"4"), headers=headers)) == (401, 902)
    assert refusal(site.http.post(f"{url}&x=1", content=body, headers=headers)) == (401, 902)
    assert refusal(site.http.post(url, content=body, headers=signed(url, body, "2026-03-02 12:00:00"))) == (401, 902)
    assert refusal(site.http.post(url, content=body, headers=signed(url, body, "noon"))) == (403, 908)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'"text"', b'{"otp":"1","OTP":"2"}', b'{"otp":NaN}', b"\xff"])
def test_a_body_that_is_no_json_object_is_965(site: Any, body: bytes) -> None:
    assert refusal(site.put(f"{R}/2fa/otp", body)) == (400, 965)


@pytest.mark.parametrize("value", [["1"], {"a": 1}, True, 1.5, "a\0b", "x" * 5000])
def test_a_member_of_another_type_is_908(site: Any, value: Any) -> None:
    assert refusal(site.put(f"{R}/2fa/otp", {"otp": value})) == (403, 908)


def test_lone_surrogates_are_refused_before_they_reach_the_store(site: Any) -> None:
    assert refusal(site.put(f"{R}/2fa/otp", b'{"otp":"\\ud800"}')) == (403, 908)


def test_unknown_route_wrong_method_and_large_body_have_the_same_shape(site: Any) -> None:
    assert refusal(site.get("/identity/v2/auth/nothing")) == (404, 908)
    assert refusal(site.post(f"{R}/pin", {"pin": "1234"})) == (405, 908)
    assert refusal(site.put(f"{R}/pin", b'{"pin":"' + b"1" * 70_000 + b'"}')) == (413, 908)


def test_security_questions_are_posted_where_the_others_are_put(site: Any) -> None:
    assert refusal(site.put(f"{R}/2fa/securityquestionanswer/verify", {})) == (405, 908)


@pytest.mark.parametrize(
    "path", [f"{R}/2fa", "/IDENTITY/v2/Auth/Account/reAuth/2FA", "/identity/v2/auth/account/REAUTH/2fa"]
)
def test_paths_and_query_names_match_in_any_letter_case(site: Any, path: str) -> None:
    answer = site.http.get(f"/loginradius{path}", params={"apiKey": KEY, "Access_Token": site.access})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["otp", "Otp", "OTP"])
def test_member_names_match_in_any_letter_case(site: Any, name: str) -> None:
    site.ok(site.get(f"{R}/2fa"))
    site.ok(site.put(f"{R}/2fa/otp", {name: site.code("sms")}))


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [899, 900])
def test_an_access_token_lives_fifteen_minutes(site: Any, age: int) -> None:
    site.advance(age)
    answer = site.get("/identity/v2/auth/access_token/Validate")
    assert answer.status_code == 200 if age < 900 else refusal(answer) == (403, 906)


def test_a_refresh_token_serves_once_and_gives_a_new_pair(site: Any) -> None:
    path = "/identity/v2/manage/account/access_token/refresh"
    new = site.ok(site.get(path, refresh_token=site.refresh, apisecret=SECRET))
    assert refusal(site.get(path, refresh_token=site.refresh, apisecret=SECRET)) == (403, 905)
    assert refusal(site.get("/identity/v2/auth/account")) == (403, 905)
    site.access = new["access_token"]
    assert site.ok(site.get("/identity/v2/auth/access_token"))["refresh_token"] == new["refresh_token"]


def test_a_revoked_refresh_token_gives_nothing(site: Any) -> None:
    path = "/identity/v2/manage/account/access_token/refresh"
    assert site.ok(site.get(f"{path}/revoke", refresh_token=site.refresh, apisecret=SECRET)) == {"IsDeleted": True}
    assert refusal(site.get(path, refresh_token=site.refresh, apisecret=SECRET)) == (403, 905)
    site.ok(site.get("/identity/v2/auth/account"))


def test_after_logout_the_access_token_is_invalid(site: Any) -> None:
    site.ok(site.get("/identity/v2/auth/access_token/InValidate"))
    assert refusal(site.get(f"{R}/2fa")) == (403, 905)


def test_no_token_at_rest_and_none_in_the_log(site: Any) -> None:
    """RTS Art. 22(2)(b): tokens are kept as digests."""
    site.ok(site.get(f"{R}/2fa"))
    token = site.ok(site.put(f"{R}/2fa/otp", {"otp": site.code("sms")}))["SecondFactorValidationToken"]
    log = str(site.stub("GET", "/log")) + str(site.stub("GET", "/requests"))
    for secret in (site.access, site.refresh, token, "Passw0rd!"):
        assert secret not in log


# --- login -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [{"email": "alice@example.com"}, {"username": "Alice"}, {"phone": "+447700900123"}, {"Email": "ALICE@example.com"}],
)
def test_login_by_e_mail_user_name_or_phone(stranger: Any, name: dict[str, str]) -> None:
    body = stranger.ok(stranger.post(LOGIN, {**name, "Password": "Passw0rd!"}))
    assert body["Profile"]["Email"] == [{"Type": "Primary", "Value": "alice@example.com"}]
    assert body["expires_in"] == "2026-03-02T12:15:00.000000Z"
    assert len(body["Profile"]["Uid"]) == 32


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(stranger: Any) -> None:
    wrong = stranger.post(LOGIN, {**GOOD, "password": "no"})
    unknown = stranger.post(LOGIN, {**GOOD, "email": "nobody@example.com"})
    assert refusal(wrong) == (401, 966)
    assert wrong.content == unknown.content


@pytest.mark.parametrize("body", [{}, {"email": "alice@example.com"}, {"password": "Passw0rd!"}])
def test_login_names_what_is_missing(stranger: Any, body: dict[str, str]) -> None:
    assert refusal(stranger.post(LOGIN, body)) == (403, 908)


# --- limits and locks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "path", "query"), [("sms", "/2fa", {}), ("email", "/2fa/otp/email", {"emailid": "alice@example.com"})]
)
def test_five_codes_in_ten_minutes_and_no_more(site: Any, channel: str, path: str, query: dict[str, str]) -> None:
    for _ in range(5):
        site.ok(site.get(R + path, **query))
    assert refusal(site.get(R + path, **query)) == (403, 1179)
    assert len(site.messages(channel)) == 5
    site.advance(599)
    assert refusal(site.get(R + path, **query)) == (403, 1179)
    site.advance(1)
    site.ok(site.get(R + path, **query))


def lock(site: Any) -> None:
    """Five failures in a row, over several methods; each still gets its own code."""
    site.ok(site.get(f"{R}/2fa"))
    assert refusal(site.put(f"{R}/2fa/otp", {"otp": "no"})) == (403, 1067)
    assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
    assert refusal(site.put(f"{R}/password", {"password": "no"})) == (401, 1205)
    assert refusal(site.put(f"{R}/pin", {"pin": "9998"})) == (401, 1236)
    assert refusal(site.put(f"{R}/2fa/otp", {"otp": "no"})) == (403, 1067)


def test_rts_4_3_b_after_five_failures_in_a_row_the_account_is_suspended(site: Any) -> None:
    code = None
    lock(site)
    code = site.code("sms")
    for body, path in (
        ({"pin": "1234"}, "/pin"),
        ({"pin": "9999"}, "/pin"),
        ({"otp": code}, "/2fa/otp"),
        ({"password": "Passw0rd!"}, "/password"),
    ):
        answer = site.put(R + path, body)
        assert refusal(answer) == (403, 1198)
        assert answer.json()["Data"] == {"LoginLockedTimeout": "2026-03-02T12:15:00.000000Z"}
    assert site.verdict()["findings"][0]["check"] == "user.not_blocked"
    assert refusal(site.get(f"{R}/2fa")) == (403, 1198)
    assert refusal(site.post(LOGIN, GOOD)) == (403, 1198)
    assert refusal(site.put("/identity/v2/auth/account/unlock", {"g-recaptcha-response": "x"})) == (403, 1198)
    assert site.ok(site.get("/identity/v2/auth/account"))["IsLoginLocked"] is True  # S2-2: the session stays


@pytest.mark.parametrize("age", [899, 900])
def test_rts_4_4_the_suspension_ends_after_900_seconds(site: Any, age: int) -> None:
    lock(site)
    site.advance(age)
    answer = site.login()
    assert answer.status_code == 200 if age == 900 else refusal(answer) == (403, 1198)


def test_a_success_starts_the_count_anew(site: Any) -> None:
    for _ in range(3):
        for _ in range(4):
            assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
        site.ok(site.put(f"{R}/pin", {"pin": "1234"}))


def test_a_secret_that_is_known_buys_no_more_guesses_at_another(site: Any) -> None:
    """Password and PIN are one category: four guesses at the PIN, the right password, and the fifth guess is the fifth in the row."""
    for _ in range(4):
        assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
    site.ok(site.put(f"{R}/password", {"password": "Passw0rd!"}))
    assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
    assert refusal(site.put(f"{R}/pin", {"pin": "1234"})) == (403, 1198)


def test_two_categories_end_a_row_of_anything(site: Any) -> None:
    """The password of the login and a code to the SIM."""
    for _ in range(4):
        assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
    site.ok(site.get(f"{R}/2fa"))
    site.ok(site.put(f"{R}/2fa/otp", {"otp": site.code("sms")}))
    assert site.stub("GET", "/users")[0]["failures"] == 0


def test_a_token_that_was_not_validated_yet_is_void_in_a_lock(site: Any) -> None:
    """What an earlier step-up allows is refused in a block too (PSD2 Art. 97(1)(c))."""
    token = site.ok(site.put(f"{R}/pin", {"pin": "1234"}))["SecondFactorValidationToken"]
    lock(site)
    path = f"/identity/v2/manage/account/{site.uid}/reauth/pin"
    answer = site.post(path, {"secondfactorvalidationtoken": token}, apisecret=SECRET)
    assert refusal(answer) == (403, 1193)


def test_wrong_passwords_at_login_count_too(stranger: Any) -> None:
    for _ in range(5):
        assert refusal(stranger.post(LOGIN, {**GOOD, "password": "no"})) == (401, 966)
    assert refusal(stranger.post(LOGIN, GOOD)) == (403, 1198)


def test_a_right_password_ends_a_row_of_wrong_passwords(stranger: Any) -> None:
    for _ in range(3):
        for _ in range(4):
            stranger.post(LOGIN, {**GOOD, "password": "no"})
        stranger.ok(stranger.post(LOGIN, GOOD))


def test_a_right_password_does_not_buy_more_guesses_at_a_second_factor(site: Any) -> None:
    """Traps 11: only a full success resets the count."""
    for _ in range(4):
        assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
    site.login()
    assert refusal(site.put(f"{R}/pin", {"pin": "9999"})) == (401, 1236)
    assert refusal(site.put(f"{R}/pin", {"pin": "1234"})) == (403, 1198)


def test_the_operator_can_unblock(site: Any) -> None:
    lock(site)
    site.stub("POST", f"/users/{site.uid}/unblock", {"proofRef": "call 17"})
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))


def test_a_captcha_lock_is_opened_by_any_captcha(site: Any) -> None:
    site.put_user(lock="Captcha")
    lock(site)
    assert refusal(site.put(f"{R}/pin", {"pin": "1234"})) == (403, 1132)
    site.advance(100_000)
    assert refusal(site.post(LOGIN, GOOD)) == (403, 1132)
    site.ok(site.post(LOGIN, {**GOOD, "g-recaptcha-response": "passed"}))


def test_unlock_by_captcha(site: Any) -> None:
    site.put_user(lock="Captcha")
    lock(site)
    assert site.ok(site.get("/identity/v2/auth/account"))["LoginLockedType"] == "Captcha"
    assert refusal(site.put("/identity/v2/auth/account/unlock", {})) == (403, 1132)
    assert site.ok(site.put("/identity/v2/auth/account/unlock", {"h-captcha-response": "passed"})) == {"IsPosted": True}
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))


QUESTION = "5f1c0e6a2b7d4e9fa3c8d1b06e7f4a21"


def test_unlock_by_security_answers_which_cannot_be_guessed_for_ever(site: Any) -> None:
    site.put_user(lock="SecurityQuestion")
    answers = {"securityquestionanswer": [{"QuestionId": QUESTION, "Answer": "Rex"}]}
    site.ok(site.put("/identity/v2/auth/account/2fa/securityquestionanswer", answers))
    lock(site)
    unlock = "/identity/v2/auth/account/unlock"
    assert refusal(site.put(f"{R}/pin", {"pin": "1234"})) == (403, 1148)
    assert refusal(site.put(unlock, {})) == (403, 1148)
    assert refusal(site.put(unlock, {"securityanswer": {QUESTION: "Fido"}})) == (403, 1094)
    site.ok(site.put(unlock, {"securityanswer": {QUESTION: "Rex"}}))
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))
    lock(site)
    for _ in range(5):
        site.put(unlock, {"securityanswer": {QUESTION: "Fido"}})
    assert refusal(site.put(unlock, {"securityanswer": {QUESTION: "Rex"}})) == (403, 991)


def test_a_block_lasts_until_the_operator_lifts_it(site: Any) -> None:
    site.put_user(lock="Block")
    lock(site)
    site.advance(100_000)
    assert refusal(site.post(LOGIN, GOOD)) == (403, 991)
    site.stub("POST", f"/users/{site.uid}/unblock", {"proofRef": "passport"})
    site.ok(site.post(LOGIN, GOOD))
