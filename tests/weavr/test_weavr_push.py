"""Push and biometric challenges on the enrolled phone (weavr.md 5, 7, 12.5): the right key signs, the embedder hears by webhook."""

from __future__ import annotations

from typing import Any

import pytest

PUSH = "/authentication_factors/push"
STEP_UP = "/stepup/challenges/push"


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("errorCode") if answer.content else None


def forged(name: str) -> Any:
    """A fault of the phone, by name."""
    from authenticator.faults import find_fault

    return find_fault(name).edits


@pytest.fixture
def phone(multi: Any, handset: Any) -> Any:
    """The phone is enrolled; the client has a login of its own, not stepped up."""
    multi.login()
    return handset


@pytest.fixture
def with_authy(multi: Any, phone: Any) -> Any:
    """Push is enrolled too."""
    multi.step_up()
    assert multi.post(f"{PUSH}/AUTHY").status_code == 204
    phone.approve(phone.pending()[0]["transactionId"], "possession")
    multi.login()
    return phone


def factors(multi: Any) -> dict[str, str]:
    listed = multi.send("GET", "/authentication_factors").json()["factors"]
    return {entry["channel"]: f"{entry['type']} {entry['status']}" for entry in listed}


# --- the verdict -------------------------------------------------------------------------------------------------------


def test_a_biometric_push_shows_three_elements_and_proves_two(multi: Any, phone: Any, world: Any) -> None:
    """S1-4, S1-15: the password of the login, the phone's key, the biometric that released it; two-factor compliant."""
    challenge = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    assert challenge.isdigit()
    (pending,) = phone.pending()
    assert (pending["transactionId"], pending["methods"], pending["kind"]) == (
        challenge,
        ["BIOMETRIC", "PASSCODE"],
        "account-access",
    )
    phone.approve(challenge)
    verdict = world.verdict(challenge)
    assert verdict["accepted"] is True
    found = [(e["category"], e["method"], e["grade"]) for e in verdict["elements"]]
    assert found == [
        ("knowledge", "password", "logged"),
        ("possession", "device-key", "proved"),
        ("inherence", "biometric", "proved"),
    ]
    assert verdict["compliance"]["twoFactor"] == "pass"
    assert phone.pending() == []


def test_the_phone_is_told_what_a_step_up_is_for_and_whom(multi: Any, phone: Any) -> None:
    """DESIGN section 3: the payload is what the phone shows and signs."""
    multi.post(f"{STEP_UP}/BIOMETRIC")
    assert phone.pending()[0]["payload"] == {"purpose": "step-up", "user": "110000000000000001"}


def test_a_plain_push_shows_password_and_device_key(multi: Any, with_authy: Any, world: Any) -> None:
    """S1-15: two categories with the possession key; whether others could use that key stays open (RTS-7.1)."""
    challenge = multi.post(f"{STEP_UP}/AUTHY").json()["id"]
    with_authy.approve(challenge, "possession")
    verdict = world.verdict(challenge)
    assert [(e["category"], e["method"]) for e in verdict["elements"]] == [
        ("knowledge", "password"),
        ("possession", "device-key"),
    ]
    rules = {rule["id"]: rule["verdict"] for rule in verdict["compliance"]["rules"]}
    assert (rules["RTS-4.1-elements"], rules["RTS-7.1"], rules["RTS-7.2"]) == ("pass", "undetermined", "pass")
    assert (verdict["compliance"]["twoFactor"], verdict["compliance"]["overall"]) == ("pass", "undetermined")
    assert multi.stepped_up


def test_the_passcode_stands_in_for_a_biometric(multi: Any, phone: Any) -> None:
    """Section 7: the possession key answers a biometric challenge; the elements are then two."""
    challenge = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    phone.approve(challenge, "possession")
    assert multi.stepped_up


def test_a_plain_push_is_not_answered_with_another_key(multi: Any, with_authy: Any, world: Any) -> None:
    """RTS Art. 9(1): a key per factor; the biometric key does not serve for AUTHY."""
    challenge = multi.post(f"{STEP_UP}/AUTHY").json()["id"]
    with_authy.approve(challenge, "biometric")
    assert not multi.stepped_up
    assert [f["check"] for f in world.verdict(challenge)["findings"] if f["outcome"] == "fail"] == ["credential.factor"]


# --- issuing -----------------------------------------------------------------------------------------------------------


def test_no_push_without_a_registered_channel(multi: Any) -> None:
    """Section 7: CHANNEL_NOT_REGISTERED for both."""
    for channel in ("AUTHY", "BIOMETRIC"):
        assert code(multi.post(f"{STEP_UP}/{channel}")) == (409, "CHANNEL_NOT_REGISTERED")
    assert multi.post(f"{STEP_UP}/SMS").json()["syntaxErrors"]["invalidFields"][0]["error"] == "NOT_IN"


def test_a_channel_switched_off(multi: Any, phone: Any, world: Any) -> None:
    """Section 7: CHANNEL_NOT_SUPPORTED."""
    world.put_user(programme={"channelsOff": ["BIOMETRIC"]})
    assert code(multi.post(f"{STEP_UP}/BIOMETRIC")) == (409, "CHANNEL_NOT_SUPPORTED")
    assert code(multi.post("/login_via_biometrics", {"email": "alice@example.com"})) == (409, "CHANNEL_NOT_SUPPORTED")


def test_one_push_at_a_time_and_none_after_success(multi: Any, phone: Any, world: Any) -> None:
    """Section 12.5: STATE_INVALID while one is pending and after VERIFIED; after DECLINED or EXPIRED a new one."""
    first = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    assert code(multi.post(f"{STEP_UP}/BIOMETRIC")) == (409, "STATE_INVALID")
    phone.decline(first)
    second = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    for _ in range(2):
        world.advance(150)
        multi.send("GET", "/identities")
    third = multi.post(f"{STEP_UP}/BIOMETRIC")
    assert third.status_code == 200, "the second one expired after five minutes"
    assert len({first, second, third.json()["id"]}) == 3
    phone.approve(third.json()["id"])
    assert code(multi.post(f"{STEP_UP}/BIOMETRIC")) == (409, "STATE_INVALID")


def test_a_push_of_a_login_that_ended_cannot_be_approved(multi: Any, phone: Any) -> None:
    """RTS Art. 4(3)(c): the challenge belongs to its session."""
    multi.post(f"{STEP_UP}/BIOMETRIC")
    multi.post("/logout")
    assert phone.pending() == []


def test_five_failures_block_for_thirty_minutes(multi: Any, phone: Any, world: Any) -> None:
    """Sections 7, 12.5: badly signed, whatever was declined between; then CHALLENGE_LIMIT_EXCEEDED, and 423 at the biometric login."""
    for number in range(5):
        phone.decline(multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"])
        answer = multi.post(f"{STEP_UP}/BIOMETRIC")
        assert answer.status_code == 200, number
        phone.approve(answer.json()["id"], edits=forged("forged-signature"))
    assert code(multi.post(f"{STEP_UP}/BIOMETRIC")) == (409, "CHALLENGE_LIMIT_EXCEEDED")
    assert code(multi.post("/login_via_biometrics", {"email": "alice@example.com"})) == (423, None)
    world.advance(30 * 60)
    assert multi.post("/login_via_biometrics", {"email": "alice@example.com"}).status_code == 200


def test_whoever_floods_a_phone_with_pushes_locks_nobody_out(multi: Any, phone: Any, world: Any) -> None:
    """The user's own no counts as no failure: not at a step-up, not at a login."""
    for number in range(6):
        challenge = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
        phone.decline(challenge)
        login = multi.post("/login_via_biometrics", {"email": "alice@example.com"})
        assert login.status_code == 200, number
        phone.decline(login.json()["challengeId"])
        for name in (challenge, login.json()["challengeId"]):
            assert [f["check"] for f in world.verdict(name)["findings"] if f["outcome"] == "fail"] == [
                "evidence.approved"
            ]
    tried = [entry["fields"]["outcome"] for entry in world.stub("GET", "/log") if entry["event"] == "sca_attempt"]
    assert tried[-12:] == ["declined"] * 12
    assert world.stub("GET", "/users")[0]["failures"] == 0
    assert multi.login().status_code == 200


# --- what the embedder hears -------------------------------------------------------------------------------------------


def test_a_verified_biometric_push_brings_the_callers_token(multi: Any, phone: Any, embedder: Any) -> None:
    """Sections 8, 12.5: VERIFIED, with the token that is now stepped up; the request's call-ref comes along."""
    challenge = multi.post(f"{STEP_UP}/BIOMETRIC", call_ref="ref-1").json()["id"]
    phone.approve(challenge)
    (body,) = embedder.bodies("/stepup/watch")
    assert body.pop("publishedTimestamp") == 1772452800000
    assert body == {
        "challengeId": challenge,
        "credential": {"type": "ROOT", "id": "110000000000000001"},
        "identity": {"type": "CORPORATE", "id": "120000000000000001"},
        "status": "VERIFIED",
        "type": "BIOMETRIC",
        "authToken": multi.token,
    }
    assert embedder.received[-1].headers["call-ref"] == "ref-1"


def test_a_verified_plain_push_brings_no_token(multi: Any, with_authy: Any, embedder: Any) -> None:
    """Section 12.5: `authToken` otherwise absent."""
    with_authy.approve(multi.post(f"{STEP_UP}/AUTHY").json()["id"], "possession")
    body = embedder.bodies("/stepup/watch")[-1]
    assert (body["status"], body["type"]) == ("VERIFIED", "AUTHY")
    assert "authToken" not in body


def test_declined_and_badly_signed_are_told_alike(multi: Any, phone: Any, embedder: Any, world: Any) -> None:
    """Section 12.5, RTS Art. 4(3)(a): DECLINED is all that the embedder hears; the verdicts differ."""
    first = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    phone.decline(first)
    second = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    phone.approve(second, edits=forged("forged-signature"))
    bodies = embedder.bodies("/stepup/watch")
    assert [{**body, "challengeId": ""} for body in bodies] == [{**bodies[0], "challengeId": ""}] * 2
    assert (bodies[0]["status"], "authToken" in bodies[0]) == ("DECLINED", False)
    failed = [
        [f["check"] for f in world.verdict(name)["findings"] if f["outcome"] == "fail"] for name in (first, second)
    ]
    assert failed == [["evidence.approved"], ["assertion.signature"]]
    assert not multi.stepped_up


def test_an_unanswered_push_is_told_as_expired(multi: Any, phone: Any, embedder: Any, world: Any) -> None:
    """Section 8: EXPIRED, once, after five minutes of the server's clock."""
    from server_stub.dialects.weavr.push import chore

    challenge = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    chore(world.server)
    assert embedder.bodies("/stepup/watch") == []
    world.advance(300)
    chore(world.server)
    chore(world.server)
    (body,) = embedder.bodies("/stepup/watch")
    assert (body["challengeId"], body["status"]) == (challenge, "EXPIRED")


# --- enrolling and unlinking -------------------------------------------------------------------------------------------


def test_enrolling_the_phone_steps_up_its_login_tells_the_user_and_the_embedder(
    multi: Any, handset: Any, world: Any, embedder: Any
) -> None:
    """Section 5: by the mobile SDK; an e-mail about the new device; the factor is listed as PUSH / BIOMETRIC (12.4)."""
    assert world.messages("email")[-1]["to"] == "alice@example.com"
    assert factors(multi) == {"SMS": "OTP ACTIVE", "BIOMETRIC": "PUSH ACTIVE"}
    body = embedder.bodies("/authentication_factors/watch")[-1]
    assert (body["status"], body["type"], body["credentialId"]["type"]) == ("ACTIVE", "BIOMETRIC", "ROOT")


def test_push_is_pending_until_the_phone_approves(multi: Any, phone: Any, embedder: Any) -> None:
    """Section 5: PENDING_VERIFICATION, then ACTIVE; declined it is INACTIVE."""
    multi.step_up()
    assert multi.post(f"{PUSH}/AUTHY").status_code == 204
    assert factors(multi)["AUTHY"] == "PUSH PENDING_VERIFICATION"
    assert code(multi.post(f"{PUSH}/AUTHY")) == (409, "CHANNEL_NOT_READY")
    phone.decline(phone.pending()[0]["transactionId"])
    assert factors(multi)["AUTHY"] == "PUSH INACTIVE"
    multi.post(f"{PUSH}/AUTHY")
    phone.approve(phone.pending()[0]["transactionId"], "possession")
    assert factors(multi)["AUTHY"] == "PUSH ACTIVE"
    assert [body["status"] for body in embedder.bodies("/authentication_factors/watch") if body["type"] == "AUTHY"] == [
        "INACTIVE",
        "ACTIVE",
    ]
    assert code(multi.post(f"{PUSH}/AUTHY")) == (409, "CHANNEL_ALREADY_REGISTERED")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"programme": {"channelsOff": ["AUTHY"]}}, "CHANNEL_NOT_SUPPORTED"),
        ({"mobile": None}, "MOBILE_NUMBER_NOT_AVAILABLE"),
        ({"mobile": "+15551234567"}, "MOBILE_COUNTRY_NOT_SUPPORTED"),
        ({"credentialsType": "API_CLIENT"}, "TYPE_DOES_NOT_SUPPORT_ENROLMENT"),
        ({"password": None}, "PASSCODE_NOT_SET"),
        ({}, "CHANNEL_NOT_READY"),
    ],
)
def test_refusals_of_push_enrolment(multi: Any, world: Any, change: dict[str, Any], expected: str) -> None:
    """Section 5: each published code; CHANNEL_NOT_READY where no phone is enrolled."""
    multi.step_up()
    world.put_user(**change)
    assert code(multi.post(f"{PUSH}/AUTHY")) == (409, expected)


def test_push_enrolment_is_limited(multi: Any, phone: Any) -> None:
    """Section 5: ENROLMENT_LIMIT_EXCEEDED after five that were not completed, where none was declined."""
    multi.step_up()
    for _ in range(4):
        assert multi.post(f"{PUSH}/AUTHY").status_code == 204
        phone.decline(phone.pending()[0]["transactionId"])
    assert multi.post(f"{PUSH}/AUTHY").status_code == 204
    multi.post("/logout")
    multi.login()
    multi.step_up()
    assert code(multi.post(f"{PUSH}/AUTHY")) == (409, "ENROLMENT_LIMIT_EXCEEDED")


def test_push_enrolment_of_a_blocked_user(multi: Any, phone: Any, world: Any) -> None:
    """Section 5: CHALLENGE_LIMIT_EXCEEDED."""
    multi.step_up()
    other = world.client()
    for _ in range(5):
        other.login("wrong")
    assert code(multi.post(f"{PUSH}/AUTHY")) == (409, "CHALLENGE_LIMIT_EXCEEDED")


def test_unlinking(multi: Any, with_authy: Any, embedder: Any) -> None:
    """Section 5: 204 and INACTIVE; again CHANNEL_NOT_REGISTERED; an unlinked phone is signed out for good."""
    multi.step_up()
    for channel in ("AUTHY", "BIOMETRIC"):
        assert multi.send("DELETE", f"{PUSH}/{channel}").status_code == 204
        assert factors(multi)[channel] == "PUSH INACTIVE"
        assert code(multi.send("DELETE", f"{PUSH}/{channel}")) == (409, "CHANNEL_NOT_REGISTERED")
    assert [b["type"] for b in embedder.bodies("/authentication_factors/watch") if b["status"] == "INACTIVE"] == [
        "AUTHY",
        "BIOMETRIC",
    ]
    from authenticator.errors import Refused

    with pytest.raises(Refused):
        with_authy.pending()


def test_unlinking_with_inactive_credentials(multi: Any, phone: Any, world: Any) -> None:
    """Section 5: CREDENTIALS_INACTIVE."""
    multi.step_up()
    world.put_user(active=False)
    assert code(multi.send("DELETE", f"{PUSH}/BIOMETRIC")) == (409, "CREDENTIALS_INACTIVE")


# --- biometric login ---------------------------------------------------------------------------------------------------


def test_login_via_biometrics_brings_an_auth_token_that_is_stepped_up(
    multi: Any, phone: Any, embedder: Any, world: Any
) -> None:
    """Section 7: challengeId, then both webhooks; the AUTH token becomes an ACCESS token with status STEPPED_UP."""
    multi.token = ""
    answer = multi.post("/login_via_biometrics", {"email": "alice@example.com"})
    challenge = answer.json()["challengeId"]
    assert (answer.status_code, challenge.isdigit()) == (200, True)
    phone.approve(challenge)
    step_up, login = embedder.bodies("/stepup/watch")[-1], embedder.bodies("/login/watch")[-1]
    assert (step_up["challengeId"], step_up["status"], step_up["type"]) == (challenge, "VERIFIED", "BIOMETRIC")
    assert (login["status"], login["type"], "authToken" in login) == ("VERIFIED", "BIOMETRIC", False)
    multi.token = step_up["authToken"]
    assert code(multi.send("GET", "/managed_accounts")) == (403, "ACCESS_TOKEN_REQUIRED")
    exchanged = multi.post("/access_token", {}).json()
    assert exchanged["status"] == "STEPPED_UP"
    multi.token = exchanged["token"]
    assert multi.stepped_up
    verdict = world.verdict(challenge)
    assert [(e["category"], e["grade"]) for e in verdict["elements"]] == [
        ("possession", "proved"),
        ("inherence", "proved"),
    ]
    assert verdict["compliance"]["twoFactor"] == "pass"


def test_a_biometric_login_needs_the_biometric_key(multi: Any, phone: Any, embedder: Any) -> None:
    """No password was shown: the possession key alone would be one factor."""
    challenge = multi.post("/login_via_biometrics", {"email": "alice@example.com"}).json()["challengeId"]
    phone.approve(challenge, "possession")
    assert embedder.bodies("/stepup/watch")[-1]["status"] == "DECLINED"


@pytest.mark.parametrize(
    "body",
    [{"email": "nobody@example.com"}, {"email": "alice@example.com", "identity": {"type": "CORPORATE", "id": "1"}}],
)
def test_a_biometric_login_of_nobody_is_403(multi: Any, phone: Any, body: Any) -> None:
    """Section 7."""
    assert code(multi.post("/login_via_biometrics", body)) == (403, None)


def test_a_biometric_login_without_a_phone(multi: Any) -> None:
    """Section 7: CHANNEL_NOT_REGISTERED."""
    assert code(multi.post("/login_via_biometrics", {"email": "alice@example.com"})) == (409, "CHANNEL_NOT_REGISTERED")


# --- Simulator ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "told", "status"),
    [
        ("verify_success", "COMPLETED", "VERIFIED"),
        ("verify_invalid", "DENIED", "DECLINED"),
        ("verify_expired", "DENIED", "EXPIRED"),
    ],
)
@pytest.mark.parametrize("header", ["programme-key", "api-key"])
def test_the_simulator_decides_a_push(
    multi: Any, phone: Any, embedder: Any, outcome: str, told: str, status: str, header: str
) -> None:
    """Section 11: with either name of the key; there is no verdict, since no element was shown."""
    challenge = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    base = f"/weavr/simulate/api/factors/110000000000000001/challenges/{challenge}"
    headers = {header.replace("-", "_"): "demo-api-key"}
    multi.key = ""
    assert code(multi.post(f"/{outcome}", base=base)) == (401, None)
    answer = multi.post(f"/{outcome}", base=base, **headers)
    assert (answer.status_code, answer.json()) == (200, {"code": told})
    assert code(multi.post(f"/{outcome}", base=base, **headers)) == (409, "STATE_INVALID")
    multi.key = "demo-api-key"
    assert multi.stepped_up == (status == "VERIFIED")
    assert embedder.bodies("/stepup/watch")[-1]["status"] == status
    assert multi.world.http.get(f"/_stub/transactions/{challenge}/verdict").status_code == 404


def test_the_simulator_makes_active_the_factor_that_was_enrolled_and_no_other(
    multi: Any, phone: Any, embedder: Any, world: Any
) -> None:
    """Section 11: a push that is answered for the user says nothing of the SMS factor."""
    multi.step_up()
    assert multi.post(f"{PUSH}/AUTHY").status_code == 204
    challenge = phone.pending()[0]["transactionId"]
    world.put_user(factors={"SMS": "INACTIVE", "AUTHY": "PENDING_VERIFICATION"})
    base = f"/weavr/simulate/api/factors/110000000000000001/challenges/{challenge}"
    assert multi.post("/verify_success", base=base).json() == {"code": "COMPLETED"}
    assert world.stub("GET", "/users?dialect=weavr")[0]["factors"] == {"SMS": "INACTIVE", "AUTHY": "ACTIVE"}
    told = embedder.bodies()[-1]
    assert (told["type"], told["status"]) == ("AUTHY", "ACTIVE")


@pytest.mark.parametrize("channel", ["AUTHY", "BIOMETRIC"])
def test_the_simulator_s_answer_is_told_with_the_channel_of_the_push(
    multi: Any, with_authy: Any, embedder: Any, channel: str
) -> None:
    challenge = multi.post(f"{STEP_UP}/{channel}").json()["id"]
    base = f"/weavr/simulate/api/factors/110000000000000001/challenges/{challenge}"
    multi.post("/verify_success", base=base)
    assert embedder.bodies("/stepup/watch")[-1]["type"] == channel


def test_the_simulator_decides_a_code_by_its_transaction(multi: Any, world: Any) -> None:
    """Section 12.5: challenge ids of SMS step-ups are shown by the control interface."""
    multi.issue()
    challenge = world.transactions()[0]["transactionId"]
    base = f"/weavr/simulate/api/factors/110000000000000001/challenges/{challenge}"
    assert multi.post("/verify_success", base=base).json() == {"code": "COMPLETED"}
    assert multi.stepped_up


def test_the_simulator_knows_only_the_users_own_challenges(multi: Any, phone: Any) -> None:
    """Section 3: 404 with code and message."""
    challenge = multi.post(f"{STEP_UP}/BIOMETRIC").json()["id"]
    for path in (f"110000000000000001/challenges/1{challenge}", f"1/challenges/{challenge}"):
        answer = multi.post("/verify_success", base=f"/weavr/simulate/api/factors/{path}")
        assert (answer.status_code, set(answer.json())) == (404, {"code", "message"})


def test_calls_without_call_ref_are_told_without_one(multi: Any, with_authy: Any, embedder: Any) -> None:
    """Section 8: the webhook repeats the reference of the call that caused it; these had none."""
    for channel, factor in (("BIOMETRIC", "biometric"), ("AUTHY", "possession")):
        multi.login()
        with_authy.approve(multi.post(f"{STEP_UP}/{channel}").json()["id"], factor)
    multi.login()
    multi.step_up()
    assert multi.send("DELETE", f"{PUSH}/AUTHY").status_code == 204
    embedder.round()
    assert {request.url.path.rpartition("/hooks")[2] for request in embedder.received} >= {
        "/login/watch",
        "/stepup/watch",
    }
    assert {request.headers.get("call-ref", "") for request in embedder.received} == {""}
