"""The published status and error-code tables (weavr.md 3 to 6, 9, 12), row by row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

ISSUE = "/stepup/challenges/otp/SMS"
ENROL = "/authentication_factors/otp/SMS"
PUSH = "/authentication_factors/push"


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("errorCode") if answer.content else None


def field(answer: Any) -> tuple[int, str, str]:
    """A syntax error: status, field, word."""
    (entry,) = answer.json()["syntaxErrors"]["invalidFields"]
    assert answer.json()["message"] == "Request not valid"
    return answer.status_code, entry["fieldName"], entry["error"]


# --- section 4: login -------------------------------------------------------------------------------------------------


def test_login_answers_token_type_identity_and_credentials(world: Any) -> None:
    """Section 4: PR names a BUYER and its ADMIN, Multi a CORPORATE and its ROOT."""
    ids = {"110": "110000000000000001", "120": "120000000000000001"}
    multi = world.client().login().json()
    assert (multi["tokenType"], multi["identity"]) == ("ACCESS", {"type": "CORPORATE", "id": ids["120"]})
    assert multi["credentials"] == {"type": "ROOT", "id": ids["110"]}
    run = world.client("payment-run").login().json()
    assert (run["tokenType"], run["identity"]) == ("ACCESS", {"type": "BUYER", "id": ids["120"]})
    assert run["credentials"] == {"type": "ADMIN", "id": ids["110"]}


def test_wrong_and_unknown_credentials_get_one_answer(api: Any) -> None:
    """Section 4: 403 without a body, equal in all but the ids of the request."""
    answers = [
        api.login("wrong"),
        api.login("wrong", "nobody@example.com"),
        api.login("Passw0rd!", "nobody@example.com"),
    ]
    assert {(a.status_code, a.content) for a in answers} == {(403, b"")}
    assert len({tuple(sorted(set(a.headers))) for a in answers}) == 1


def test_a_user_without_a_password_gets_the_same_403(api: Any, world: Any) -> None:
    """Section 12.4."""
    world.put_user(password=None)
    assert code(api.login()) == (403, None)


def test_five_failed_logins_in_a_row_lock_for_thirty_minutes_right_password_or_not(api: Any, world: Any) -> None:
    """Sections 4, 11, 12.4: 423 without a body, at Payment Run the 403 of any refusal; a right login in between breaks the row."""
    locked = (423 if api.surface == "multi" else 403, None)
    for _ in range(4):
        assert api.login("wrong").status_code == 403
    assert api.login().status_code == 200
    for _ in range(5):
        assert api.login("wrong").status_code == 403
    assert code(api.login()) == locked
    world.advance(30 * 60 - 1)
    assert code(api.login("wrong")) == locked
    world.advance(1)
    assert api.login().status_code == 200


def test_an_operator_lifts_a_lock(multi: Any, world: Any) -> None:
    """RTS Art. 4(4)."""
    for _ in range(5):
        multi.login("wrong")
    world.stub("POST", "/users/110000000000000001/unblock", {"proofRef": "passport"})
    assert multi.login().status_code == 200


def test_an_expired_password_gives_a_token_for_the_update_only(api: Any, world: Any) -> None:
    """Section 4: 409 with a token that only `passwords/update` takes."""
    world.put_user(passwordExpired=True)
    answer = api.login()
    assert answer.status_code == 409
    api.token = answer.json()["token"]
    assert code(api.issue()) == (401, None)
    for new, expected in (("Passw0rd!", "PASSWORD_PREVIOUSLY_USED"), ("N3w-password", None)):
        body = {"oldPassword": {"value": "Passw0rd!"}, "newPassword": {"value": new}}
        changed = api.post("/passwords/update", body)
        assert code(changed)[1] == expected
    assert changed.status_code == 200
    assert api.login("N3w-password").status_code == 200


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("Sh0rt!", "SIZE"),
        ("A1!" + "a" * 28, "SIZE"),
        ("nouppercase1!", "REGEX"),
        ("NOLOWERCASE1!", "REGEX"),
        ("NoDigits!!", "REGEX"),
        ("NoSpecial1", "REGEX"),
    ],
)
def test_a_password_has_8_to_30_characters_of_four_classes(multi: Any, password: str, word: str) -> None:
    """Section 4."""
    body = {"oldPassword": {"value": "Passw0rd!"}, "newPassword": {"value": password}}
    assert field(multi.post("/passwords/update", body)) == (400, "newPassword.value", word)


@pytest.mark.parametrize(
    ("body", "where", "word"),
    [
        ({}, "email", "REQUIRED"),
        ({"email": 7, "password": {"value": "x"}}, "email", "HAS_TEXT"),
        ({"email": "a" * 256, "password": {"value": "x"}}, "email", "SIZE"),
        ({"email": "a@b"}, "password", "REQUIRED"),
        ({"email": "a@b", "password": "x"}, "password", "REQUIRES"),
        ({"email": "a@b", "password": {}}, "password.value", "REQUIRED"),
        ({"email": "a@b", "password": {"value": ""}}, "password.value", "SIZE"),
        ({"email": "a@b", "password": {"value": "x" * 101}}, "password.value", "SIZE"),
    ],
)
def test_a_login_that_cannot_be_read_names_the_field(world: Any, body: Any, where: str, word: str) -> None:
    """Section 3: 400 with syntaxErrors."""
    assert field(world.client().post("/login_with_password", body)) == (400, where, word)


def test_auth_tokens_are_exchanged_first(make_world: Callable[..., Any]) -> None:
    """Sections 4, 12.4: with `access_tokens` on, AUTH serves identities and access_token only."""
    world = make_world()
    world.put_user(programme={"accessTokens": True})
    multi = world.client()
    login = multi.login().json()
    assert login["tokenType"] == "AUTH"
    assert code(multi.send("GET", "/managed_accounts")) == (403, "ACCESS_TOKEN_REQUIRED")
    assert code(multi.issue()) == (403, "INSUFFICIENT_PERMISSIONS")
    assert multi.send("GET", "/identities").json() == {"identities": [login["identity"]]}
    assert code(multi.post("/access_token", {"identity": {"type": "CONSUMER", "id": "1"}})) == (
        403,
        "INSUFFICIENT_PERMISSIONS",
    )
    exchanged = multi.post("/access_token", {"identity": login["identity"]}).json()
    assert exchanged["status"] == "STANDARD"
    multi.token = exchanged["token"]
    multi.step_up()
    assert multi.post("/access_token", {}).json()["status"] == "STEPPED_UP"


def test_logout_ends_the_session_of_the_token_and_no_other(api: Any) -> None:
    """Section 4."""
    other = api.world.client(api.surface)
    other.login()
    assert (api.post("/logout").status_code, api.post("/logout").status_code) == (204, 401)
    assert other.issue().status_code == 204


# --- sections 2, 3, 12.2: headers and bad calls -----------------------------------------------------------------------


@pytest.mark.parametrize("path", [ISSUE, f"{ISSUE}/verify", ENROL, f"{ENROL}/verify", "/logout"])
def test_no_key_or_no_token_is_an_empty_401(api: Any, world: Any, path: str) -> None:
    """Section 12.2: missing, empty, unknown key; missing, unknown token; a token of another key's programme."""
    token = api.token
    for key, bearer in (
        ("", token),
        ("wrong", token),
        ("demo-api-key", ""),
        ("demo-api-key", "wrong"),
        ("second-api-key", token),
    ):
        api.key, api.token = key, bearer
        answer = api.post(path, {"verificationCode": "123456"})
        assert (answer.status_code, answer.content) == (401, b""), (key, bearer)
    assert world.messages() == []


def test_every_answer_bears_a_request_ref(api: Any) -> None:
    """Section 2: whatever the status; each its own."""
    answers = [api.protected(), api.issue(), api.issue(), api.post("/nowhere"), api.send("GET", ISSUE), api.verify("x")]
    assert [a.status_code for a in answers] == [403, 204, 409, 404, 405, 400]
    references = {a.headers["request-ref"] for a in answers}
    assert len(references) == len(answers)


def test_404_405_and_413_have_their_published_shapes(api: Any) -> None:
    """Section 3: 404 and 405 `{code, message}`; 413 without a body."""
    for answer in (api.post("/nowhere"), api.send("GET", ISSUE)):
        assert set(answer.json()) == {"code", "message"}
    answer = api.post(f"{ISSUE}/verify", b'{"verificationCode":"' + b"1" * 70_000 + b'"}')
    assert (answer.status_code, answer.content) == (413, b"")


def test_call_ref_has_at_most_255_characters(api: Any) -> None:
    """Section 2."""
    assert api.issue(call_ref="x" * 255).status_code == 204
    assert field(api.verify("123456", call_ref="x" * 256)) == (400, "call-ref", "SIZE")


@pytest.mark.parametrize(
    "path", ["/stepup/challenges/otp/EMAIL", "/stepup/challenges/otp/sms/verify", "/authentication_factors/otp/AUTHY"]
)
def test_a_channel_outside_the_enumeration_is_400_not_in(api: Any, path: str) -> None:
    """Section 12.2."""
    assert field(api.post(path, {"verificationCode": "123456"})) == (400, "channel", "NOT_IN")


def test_an_empty_channel_is_404(api: Any) -> None:
    """Section 12.2."""
    assert api.post("/stepup/challenges/otp/").status_code == 404


@pytest.mark.parametrize("path", [ISSUE, ENROL])
@pytest.mark.parametrize(
    ("body", "multi", "payment_run"),
    [
        ({}, "REQUIRED", "REQUIRED"),
        ({"verificationCode": None}, "REQUIRED", "REQUIRED"),
        ({"verificationCode": "12345a"}, "REGEX", "REGEX"),
        ({"verificationCode": 123456}, "REGEX", "REGEX"),
        ({"verificationCode": "12345"}, "REGEX", "SIZE"),
        ({"verificationCode": "1234567"}, "REGEX", "SIZE"),
        ({"verificationCode": ""}, "REGEX", "SIZE"),
        ({"verificationCode": "１２３４５６"}, "REGEX", "REGEX"),
        ({"verificationCode": "123456\n"}, "REGEX", "REGEX"),
    ],
)
def test_a_code_that_is_not_six_digits_is_400_and_no_try(
    api: Any, path: str, body: Any, multi: str, payment_run: str
) -> None:
    """Sections 6.2, 12.2: Multi has one pattern, Payment Run tells characters from length; never counted as a try."""
    api.issue()
    expected = multi if api.surface == "multi" else payment_run
    for _ in range(6):
        assert field(api.post(f"{path}/verify", body)) == (400, "verificationCode", expected)
    assert api.verify().status_code == 204


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"{", b'{"verificationCode":"1","verificationCode":"2"}', b"\xff"]
)
def test_a_body_that_is_no_json_object_is_400(api: Any, raw: bytes) -> None:
    """Section 3."""
    answer = api.post(f"{ISSUE}/verify", raw)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Request not valid"


def test_the_channel_can_be_switched_off_for_the_programme(api: Any, world: Any) -> None:
    """Section 12.2: CHANNEL_NOT_SUPPORTED on all four."""
    world.put_user(programme={"channelsOff": ["SMS"]})
    for path in (ISSUE, f"{ISSUE}/verify", ENROL, f"{ENROL}/verify"):
        assert code(api.post(path, {"verificationCode": "123456"})) == (409, "CHANNEL_NOT_SUPPORTED")


def test_checks_come_in_the_published_order(api: Any, world: Any) -> None:
    """Section 12.1: key, token, channel, body, factor, limit, wait or code."""
    world.put_user(factors={})
    verify = f"{ISSUE}/verify"
    assert (
        api.post("/stepup/challenges/otp/EMAIL/verify", {}).json()["syntaxErrors"]["invalidFields"][0]["fieldName"]
        == "channel"
    )
    assert field(api.post(verify, {})) == (400, "verificationCode", "REQUIRED")
    assert code(api.post(verify, {"verificationCode": "123456"})) == (409, "CHANNEL_NOT_REGISTERED")
    world.put_user(factors={"SMS": "ACTIVE"})
    api.issue()
    world.advance(15)
    api.issue()
    assert api.issue().status_code == 400, "the limit is checked before the wait"


def test_a_refused_issue_neither_restarts_the_wait_nor_counts(api: Any, world: Any) -> None:
    """Section 12.1: the wait runs from the last accepted issue, verified or not."""
    api.step_up()
    world.advance(10)
    assert code(api.issue()) == (409, "RETRY_IN_15SEC")
    world.advance(5)
    assert api.issue().status_code == 204
    assert api.issue().status_code == 400
    assert api.stepped_up


# --- idempotency and rate limits ---------------------------------------------------------------------------------------


def test_a_repeated_idempotency_ref_gives_the_first_answer_and_no_second_sms(api: Any, world: Any) -> None:
    """Section 12.5: equal payload within 24 hours; another reference or payload is another call."""
    assert api.issue(idempotency_ref="a").status_code == 204
    world.advance(20)
    assert api.issue(idempotency_ref="a").status_code == 204
    assert len(world.messages()) == 1
    assert api.issue(idempotency_ref="b").status_code == 204
    assert len(world.messages()) == 2
    wrong = api.wrong()
    for _ in range(6):
        assert code(api.verify(wrong, idempotency_ref="c")) == (409, "VERIFICATION_CODE_INVALID")
    assert api.verify(idempotency_ref="c").status_code == 204, "payload is taken into account"


def test_an_idempotency_ref_is_forgotten_after_24_hours(api: Any, world: Any) -> None:
    """Section 2."""
    api.issue(idempotency_ref="a")
    world.advance(24 * 3600)
    api.login()
    assert api.issue(idempotency_ref="a").status_code == 204
    assert len(world.messages()) == 2


def test_an_idempotency_ref_is_the_users_own_and_of_one_operation(api: Any, world: Any) -> None:
    """Section 2: payload and operation are taken into account."""
    api.issue(idempotency_ref="a")
    world.put_user(factors={})
    assert api.post(ENROL, idempotency_ref="a").status_code == 204
    assert len(world.messages()) == 2


def test_a_call_that_still_runs_is_409_in_progress(api: Any, world: Any) -> None:
    """Sections 6, 12.5: three at once: one works, the others are told; exactly one SMS."""
    path = ("/weavr/multi" if api.surface == "multi" else "/weavr/payment-run/v1") + ISSUE
    headers = {"api-key": api.key, "Authorization": f"Bearer {api.token}", "idempotency-ref": "a"}

    async def three() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(world.http._transport.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as client:
            return list(await asyncio.gather(*(client.post(path, headers=headers) for _ in range(3))))

    answers = asyncio.run(three())
    assert sorted(map(code, answers), key=str) == [(204, None), *[(409, "IDEMPOTENT_REQUEST_IN_PROGRESS")] * 2]
    assert len(world.messages()) == 1


def test_429_tells_limit_and_reset_in_the_published_form(api: Any, world: Any) -> None:
    """Section 2: `20, 10;w=60, 20;w=3600`; without limits (the default) there is no 429."""
    world.put_user(programme={"rateLimits": [[2, 60], [3, 3600]]})
    api.issue()
    api.issue()
    world.advance(20)
    answer = api.issue()
    assert (answer.status_code, answer.content) == (429, b"")
    assert answer.headers["x-ratelimit-limit"] == "2, 2;w=60, 3;w=3600"
    assert answer.headers["x-ratelimit-reset"] == "40"
    world.advance(40)
    answer = api.issue()
    assert answer.status_code == 429
    assert answer.headers["x-ratelimit-limit"].startswith("3, ")
    assert answer.headers["x-ratelimit-reset"] == "3540"


# --- section 6: step-up by SMS -----------------------------------------------------------------------------------------


def test_the_wrong_code_ladder(api: Any, world: Any) -> None:
    """Section 12.3, row by row; the token stays valid throughout."""
    api.issue()
    right, wrong = world.code(), api.wrong()
    answers = [code(api.verify(wrong)) for _ in range(5)]
    assert answers == [
        (409, "VERIFICATION_CODE_INVALID"),
        (409, "VERIFICATION_CODE_INVALID"),
        (409, "VERIFICATION_CODE_INVALID"),
        (409, "ONE_CHALLENGE_LIMIT_REMAINING"),
        (409, "CHALLENGE_LIMIT_EXCEEDED"),
    ]
    assert code(api.verify(right)) == (409, "STATE_INVALID")
    assert code(api.verify(wrong)) == (409, "STATE_INVALID")
    assert not api.stepped_up


@pytest.mark.parametrize("wrong", range(5))
def test_the_right_code_is_taken_on_any_of_the_five_tries(api: Any, world: Any, wrong: int) -> None:
    """Section 12.3."""
    api.issue()
    for _ in range(wrong):
        api.verify(api.wrong())
    assert api.verify().status_code == 204


def test_the_count_of_wrong_codes_runs_on_over_retry_and_login(api: Any, world: Any) -> None:
    """Section 12.3: consecutive, by credential (RTS Art. 4(3)(b)); a dead older code is a wrong one."""
    api.issue()
    older = world.code()
    api.verify(api.wrong())
    world.advance(15)
    api.issue()
    assert code(api.verify(older)) == (409, "VERIFICATION_CODE_INVALID")
    api.post("/logout")
    api.login()
    api.issue()
    assert code(api.verify(api.wrong())) == (409, "VERIFICATION_CODE_INVALID")
    assert code(api.verify(api.wrong())) == (409, "ONE_CHALLENGE_LIMIT_REMAINING")
    assert code(api.verify(api.wrong())) == (409, "CHALLENGE_LIMIT_EXCEEDED")


def blocked_at(api: Any) -> bool:
    """Whether issue and login are refused as in a block (section 12.3)."""
    multi = api.surface == "multi"
    issued, logged_in = code(api.issue()), code(api.login())
    assert issued == ((409, "CHALLENGE_LIMIT_EXCEEDED") if multi else (400, "INVALID_REQUEST"))
    assert logged_in == ((423, None) if multi else (403, None))
    return True


def test_the_fifth_wrong_code_blocks_for_thirty_minutes_then_the_count_starts_anew(api: Any, world: Any) -> None:
    """Sections 6.2, 12.3; RTS Art. 4(3)(b)."""
    api.issue()
    for _ in range(5):
        api.verify(api.wrong())
    assert code(api.verify()) == (409, "STATE_INVALID")
    world.advance(15)
    assert blocked_at(api)
    world.advance(30 * 60 - 15)
    assert api.login().status_code == 200
    assert api.issue().status_code == 204
    assert code(api.verify(api.wrong())) == (409, "VERIFICATION_CODE_INVALID")
    assert api.verify().status_code == 204


def test_one_wrong_code_at_each_of_five_logins_blocks(api: Any, world: Any) -> None:
    """A right password is one element, and ends no row in which codes were guessed."""
    for number in range(5):
        assert api.login().status_code == 200, number
        api.issue()
        api.verify(api.wrong())
    assert blocked_at(api)


def test_wrong_passwords_and_wrong_codes_count_together(api: Any, world: Any) -> None:
    api.issue()
    for _ in range(2):
        api.verify(api.wrong())
    for _ in range(2):
        assert world.client(api.surface).login("wrong").status_code == 403
    assert code(api.verify(api.wrong())) == (409, "CHALLENGE_LIMIT_EXCEEDED")
    assert blocked_at(api)
    (block,) = [entry["fields"] for entry in world.stub("GET", "/log") if entry["event"] == "block_temp"]
    assert block["until"].startswith("2026-03-02T12:30:00")


def test_in_a_block_nothing_is_open_to_a_token_that_was_stepped_up(api: Any, world: Any) -> None:
    """All actions of PSD2 Art. 97(1) are refused, not the login alone."""
    api.issue()
    assert api.verify().status_code == 204
    call = ("GET", "/managed_accounts", None) if api.surface == "multi" else ("PATCH", "/buyers", {})
    before = api.send(*call).status_code
    assert before != 403
    for _ in range(5):
        world.client(api.surface).login("wrong")
    assert code(api.send(*call)) == (403, "STEP_UP_REQUIRED")
    world.stub("POST", "/users/110000000000000001/unblock", {"proofRef": "passport"})
    assert api.send(*call).status_code == before


def test_guesses_at_the_old_password_count_too(api: Any, world: Any) -> None:
    body = {"oldPassword": {"value": "Wr0ng-one!"}, "newPassword": {"value": "N3w-password"}}
    for _ in range(5):
        assert code(api.post("/passwords/update", body)) == (409, "PASSWORD_INCORRECT")
    right = {**body, "oldPassword": {"value": "Passw0rd!"}}
    assert code(api.post("/passwords/update", right)) == (409, "PASSWORD_INCORRECT")
    assert blocked_at(api)


def test_a_right_code_starts_the_count_anew(api: Any, world: Any) -> None:
    """Section 12.3."""
    api.issue()
    for _ in range(4):
        api.verify(api.wrong())
    assert api.verify().status_code == 204
    world.advance(15)
    api.issue()
    assert [code(api.verify(api.wrong()))[1] for _ in range(3)] == ["VERIFICATION_CODE_INVALID"] * 3


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(299.999999, (204, None)), (300, (409, "VERIFICATION_CODE_EXPIRED")), (3000, (409, "VERIFICATION_CODE_EXPIRED"))],
)
def test_a_challenge_lives_five_minutes(api: Any, world: Any, seconds: float, expected: Any) -> None:
    """Section 6.2, for right and wrong codes alike; an expired one does not count."""
    api.issue()
    keep_alive(api, world, seconds)
    if expected[0] == 409:
        for _ in range(6):
            assert code(api.verify(api.wrong())) == expected
    assert code(api.verify()) == expected


def keep_alive(api: Any, world: Any, seconds: float) -> None:
    """Let time pass without letting the token go idle."""
    while seconds > 200:
        world.advance(200)
        seconds -= 200
        api.protected()
    world.advance(seconds)


def test_verify_again_after_success(api: Any, world: Any) -> None:
    """Section 6.2: Multi ALREADY_VERIFIED, Payment Run STATE_INVALID; the token stays stepped up (12.3)."""
    api.step_up()
    expected = "ALREADY_VERIFIED" if api.surface == "multi" else "STATE_INVALID"
    assert code(api.verify()) == (409, expected)
    assert code(api.verify(api.wrong())) == (409, expected)
    assert api.stepped_up


@pytest.mark.parametrize(
    ("mobile", "multi", "payment_run"),
    [
        ("12345", "MOBILE_NUMBER_INVALID", "MOBILE_NUMBER_INVALID"),
        ("+15551234567", "MOBILE_COUNTRY_NOT_SUPPORTED", "MOBILE_NUMBER_INVALID"),
    ],
)
def test_a_number_that_no_sms_reaches(api: Any, world: Any, mobile: str, multi: str, payment_run: str) -> None:
    """Section 6.1: Payment Run's enumeration has no code for the country."""
    world.put_user(mobile=mobile)
    assert code(api.issue()) == (409, multi if api.surface == "multi" else payment_run)


def test_a_blocked_user_gets_no_challenge(api: Any, world: Any) -> None:
    """Section 6.1: CHALLENGE_LIMIT_EXCEEDED is in Multi's enumeration; at Payment Run it is the 400 of the limit."""
    api.issue()
    other = world.client()
    for _ in range(5):
        other.login("wrong")
    assert code(api.issue()) == (
        (409, "CHALLENGE_LIMIT_EXCEEDED") if api.surface == "multi" else (400, "INVALID_REQUEST")
    )
    assert code(api.verify()) == (409, "CHALLENGE_LIMIT_EXCEEDED")


# --- section 5: enrolment ----------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(api: Any, world: Any) -> Any:
    """Nothing enrolled yet."""
    world.put_user(factors={})
    return api


def states(world: Any) -> dict[str, str]:
    return dict(world.stub("GET", "/users")[0]["factors"])


def test_enrolment_sends_a_code_activates_and_steps_up(fresh: Any, world: Any) -> None:
    """Section 5: 204, 204; the session is stepped up, with a verdict of its own."""
    assert fresh.post(ENROL).status_code == 204
    assert states(world) == {"SMS": "PENDING_VERIFICATION"}
    assert fresh.post(f"{ENROL}/verify", {"verificationCode": world.code()}).status_code == 204
    assert states(world) == {"SMS": "ACTIVE"}
    assert fresh.stepped_up
    assert world.transactions()[0]["payload"] == {"purpose": "enrol-sms", "user": "110000000000000001"}
    assert world.verdict()["accepted"] is True


def test_enrolment_repeated_while_pending_sends_a_new_code_without_a_wait(fresh: Any, world: Any) -> None:
    """Section 12.4: only the newer code works."""
    fresh.post(ENROL)
    older = world.code()
    assert fresh.post(ENROL).status_code == 204
    assert code(fresh.post(f"{ENROL}/verify", {"verificationCode": older})) == (409, "VERIFICATION_CODE_INVALID")
    assert fresh.post(f"{ENROL}/verify", {"verificationCode": world.code()}).status_code == 204
    assert code(fresh.post(ENROL)) == (409, "CHANNEL_ALREADY_REGISTERED")
    assert code(fresh.post(f"{ENROL}/verify", {"verificationCode": world.code()})) == (
        409,
        "CHANNEL_ALREADY_REGISTERED",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mobile": None}, "MOBILE_NUMBER_NOT_AVAILABLE"),
        ({"mobile": "0770"}, "MOBILE_NUMBER_INVALID"),
        ({"mobile": "+15551234567"}, "MOBILE_COUNTRY_NOT_SUPPORTED"),
        ({"active": False}, "CREDENTIALS_INACTIVE"),
        ({"programme": {"channelsOff": ["SMS"]}}, "CHANNEL_NOT_SUPPORTED"),
        ({"factors": {"SMS": "ACTIVE"}}, "CHANNEL_ALREADY_REGISTERED"),
    ],
)
def test_enrolment_refusals(fresh: Any, world: Any, change: dict[str, Any], expected: str) -> None:
    """Section 5: each published code of the first call, at both APIs."""
    world.put_user(**change)
    assert code(fresh.post(ENROL)) == (409, expected)
    assert world.messages() == []


def test_an_api_client_cannot_enrol_at_multi(world: Any, multi: Any) -> None:
    """Section 5: Multi only."""
    world.put_user(factors={}, credentialsType="API_CLIENT")
    for path in (ENROL, f"{ENROL}/verify"):
        assert code(multi.post(path, {"verificationCode": "123456"})) == (409, "TYPE_DOES_NOT_SUPPORT_ENROLMENT")


def test_the_ladder_of_enrolment(fresh: Any, world: Any) -> None:
    """Section 12.3: the same ladder; Payment Run's enumeration has no STATE_INVALID."""
    fresh.post(ENROL)
    wrong = f"{(int(world.code()) + 1) % 10**6:06d}"
    answers = [code(fresh.post(f"{ENROL}/verify", {"verificationCode": wrong}))[1] for _ in range(5)]
    assert answers == [*["VERIFICATION_CODE_INVALID"] * 3, "ONE_CHALLENGE_LIMIT_REMAINING", "CHALLENGE_LIMIT_EXCEEDED"]
    later = "STATE_INVALID" if fresh.surface == "multi" else "CHALLENGE_LIMIT_EXCEEDED"
    assert code(fresh.post(f"{ENROL}/verify", {"verificationCode": world.code()})) == (409, later)
    assert states(world) == {"SMS": "PENDING_VERIFICATION"}


def test_an_enrolment_code_expires_after_five_minutes(fresh: Any, world: Any) -> None:
    """Section 5: VERIFICATION_CODE_EXPIRED."""
    fresh.post(ENROL)
    keep_alive(fresh, world, 300)
    assert code(fresh.post(f"{ENROL}/verify", {"verificationCode": world.code()})) == (409, "VERIFICATION_CODE_EXPIRED")


def test_verifying_an_enrolment_that_was_not_begun(fresh: Any) -> None:
    """Section 5: Multi STATE_INVALID; Payment Run, without it, VERIFICATION_CODE_INVALID."""
    expected = "STATE_INVALID" if fresh.surface == "multi" else "VERIFICATION_CODE_INVALID"
    assert code(fresh.post(f"{ENROL}/verify", {"verificationCode": "123456"})) == (409, expected)


# --- section 9: what needs a stepped-up token --------------------------------------------------------------------------


def test_payment_runs_protected_calls(payment_run: Any) -> None:
    """Section 9: PATCH /v1/buyers and POST /v1/users."""
    user = {
        "name": "B",
        "surname": "B",
        "email": "b@example.com",
        "mobile": {"countryCode": "+44", "number": "7700900456"},
    }
    calls = (("PATCH", "/buyers", {"tag": "t"}), ("POST", "/users", user))
    assert [code(payment_run.send(*call)) for call in calls] == [(403, "STEP_UP_REQUIRED")] * 2
    payment_run.step_up()
    assert [payment_run.send(*call).status_code for call in calls] == [200, 200]


def test_multis_protected_calls(multi: Any) -> None:
    """Section 9: users, managed accounts, transfers to look at, push to enrol and unlink."""
    transfer = multi.transfer()
    user = {
        "name": "B",
        "surname": "B",
        "email": "b@example.com",
        "mobile": {"countryCode": "+44", "number": "7700900456"},
    }
    calls = (
        ("POST", "/users", user),
        ("GET", "/managed_accounts", None),
        ("GET", f"/outgoing_wire_transfers/{transfer}", None),
        ("POST", f"{PUSH}/AUTHY", None),
        ("DELETE", f"{PUSH}/AUTHY", None),
        ("DELETE", f"{PUSH}/BIOMETRIC", None),
    )
    assert [code(multi.send(*call)) for call in calls] == [(403, "STEP_UP_REQUIRED")] * len(calls)


def test_creating_a_payment_needs_no_stepped_up_token(multi: Any, payment_run: Any, run: dict[str, Any]) -> None:
    """Section 9: it has a challenge of its own."""
    assert multi.transfer()
    assert payment_run.post("/payment_runs", run).status_code == 200


@pytest.mark.parametrize("path", ["/managed_cards", "/transfers", "/linked_accounts", "/sends"])
def test_calls_not_built_are_404(multi: Any, path: str) -> None:
    """Section 9."""
    assert multi.send("GET", path).status_code == 404
