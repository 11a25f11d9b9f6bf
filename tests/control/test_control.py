"""The control API (issue 8): W3C WebDriver's names and strictness, and what a phone has beyond them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from authenticator.control_events import Events
from server_stub.testing import InProcessServer
from tests.control.conftest import ROOT, Client

Ask = Callable[..., Any]


# --- WebDriver's commands (WebAuthn L3 section 12) -------------------------------------------------------------------------


def test_add_and_remove_virtual_authenticator(value_of: Ask, error_of: Ask) -> None:
    standard = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": False, "hasUserVerification": True}
    name = value_of("POST", ROOT, standard | {"isUserConsenting": True, "isUserVerified": True})
    assert [phone["authenticatorId"] for phone in value_of("GET", ROOT)] == [name]
    assert value_of("GET", f"{ROOT}/{name}")["answers"]["decision"] == "approve"
    assert value_of("DELETE", f"{ROOT}/{name}") is None
    assert value_of("GET", ROOT) == []
    status, error = error_of("DELETE", f"{ROOT}/{name}")
    assert (status, error["error"]) == (400, "invalid argument")
    assert set(error) == {"error", "message", "stacktrace", "data"}


@pytest.mark.parametrize(
    "body",
    [
        {"transport": "usb"},
        {"hasResidentKey": True},
        {"hasUserVerification": False},
        {"profile": "nokia-3310"},
        {"profil": "pixel-9"},
        {"isUserVerified": "yes"},
        {"protocol": "ctap1/u2f"},
    ],
)
def test_what_a_phone_is_not_cannot_be_asked_of_it(error_of: Ask, value_of: Ask, body: dict[str, Any]) -> None:
    status, error = error_of("POST", ROOT, body)
    assert (status, error["error"]) == (400, "invalid argument")
    assert error["data"]["field"]
    assert value_of("GET", ROOT) == []


def test_get_and_remove_credentials_never_with_the_private_key(value_of: Ask, error_of: Ask, phone: str) -> None:
    credentials = value_of("GET", f"{phone}/credentials")
    assert {c["factor"] for c in credentials} == {"possession", "biometric"}
    assert all(c["rpId"] == "stepup-simulator.test" and c["isResidentCredential"] is False for c in credentials)
    assert not any("privateKey" in c for c in credentials)
    value_of("DELETE", f"{phone}/credentials/{credentials[0]['credentialId']}")
    assert value_of("GET", f"{phone}/credentials") == credentials[1:]
    status, error = error_of("DELETE", f"{phone}/credentials/{credentials[0]['credentialId']}")
    assert (status, error["data"]["field"]) == (400, "credentialId")
    value_of("DELETE", f"{phone}/credentials")
    assert value_of("GET", f"{phone}/keys") == []


def test_set_user_verified_decides_what_the_sensor_meets(
    value_of: Ask, error_of: Ask, phone: str, client: Client
) -> None:
    value_of("POST", f"{phone}/uv", {"isUserVerified": False})
    transaction_id = client.ask()
    status, error = error_of("POST", f"{phone}/approve", {"transactionId": transaction_id, "method": "BIOMETRIC"})
    assert (status, error["error"], error["data"]["code"]) == (403, "refused", "no_match")
    value_of("POST", f"{phone}/uv", {"isUserVerified": True})
    value_of("POST", f"{phone}/approve", {"transactionId": transaction_id, "method": "BIOMETRIC"})
    assert client.step_up(transaction_id, "BIOMETRIC") == 200


# --- strictness and guard ---------------------------------------------------------------------------------------------------


def test_every_command_refuses_an_unknown_key(control: TestClient, phone: str) -> None:
    document = control.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation and method not in ("post", "put"):
                continue
            real = path.replace(f"{ROOT}/{{authenticatorId}}", phone)
            answer = control.request(method.upper(), real, json={"noSuchKey": 1})
            assert answer.status_code == 400, (method, path, answer.text)
            assert "noSuchKey" in answer.text
            tried += 1
    assert tried == 17
    assert control.get(f"{phone}/inbox?chanel=sms").status_code == 400


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"[]", "object"), (b"{", "JSON"), (b'{"a":1,"a":2}', "a"), (b"\xff", "body"), (b'"x"', "object")],
)
def test_a_body_that_is_no_object_is_an_error(control: TestClient, content: bytes, says: str) -> None:
    answer = control.post(ROOT, content=content)
    assert answer.status_code == 400
    assert says in answer.json()["value"]["message"]


def test_unknown_paths_methods_and_bodies_too_large(error_of: Ask, control: TestClient) -> None:
    assert error_of("GET", "/nowhere")[1]["error"] == "unknown command"
    assert error_of("PATCH", ROOT)[1]["error"] == "unknown method"
    assert control.post(ROOT, content=b'{"profile":"' + b"x" * 70_000 + b'"}').status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Host": "rebound.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_origins_may_not_drive_phones(error_of: Ask, value_of: Ask, headers: dict[str, str]) -> None:
    for path in (ROOT, "/reset"):
        assert error_of("POST", path, {}, headers=headers)[0] == 403
    assert error_of("GET", "/events", headers=headers)[0] == 403
    assert value_of("GET", ROOT) == []


def test_with_a_token_only_its_bearer(bank: InProcessServer, tmp_path: Any) -> None:
    from authenticator.control import create_app, open_control

    app = create_app(open_control(bank.url, tmp_path, http_factory=bank.open_http), "s3cret")
    with TestClient(app, base_url="http://phones.example") as client:
        assert client.get(ROOT).status_code == 401
        assert client.get(ROOT, headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_the_openapi_document_is_valid_and_whole(control: TestClient) -> None:
    from authenticator.control_commands import COMMANDS

    document = control.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    listed = {(m.upper(), path) for path, operations in document["paths"].items() for m in operations}
    assert listed == {(command.method, command.path) for command in COMMANDS} | {("GET", "/events")}
    ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids))
    body = document["components"]["schemas"]["SetAnswers"]
    assert body["additionalProperties"] is False


# --- step-ups ----------------------------------------------------------------------------------------------------------------


def test_approve_waits_for_the_step_up_and_decline_refuses(value_of: Ask, phone: str, client: Client) -> None:
    transaction_id = client.ask()
    done = value_of("POST", f"{phone}/approve", {"waitSeconds": 5})
    assert done == {"transactionId": transaction_id, "outcome": "approved", "method": "PASSCODE"}
    assert client.step_up(transaction_id) == 200
    declined = client.ask()
    value_of("POST", f"{phone}/decline", {"transactionId": declined})
    assert value_of("GET", f"{phone}/pending/{declined}")["outcome"] == "declined"
    assert client.step_up(declined) == 403


def test_with_nothing_waiting_and_with_several_approve_says_so(error_of: Ask, phone: str, client: Client) -> None:
    assert error_of("POST", f"{phone}/approve", {})[1]["data"]["code"] == "nothing_waits"
    ids = {client.ask(), client.ask()}
    status, error = error_of("POST", f"{phone}/approve", {})
    assert status == 400
    assert all(name in error["message"] for name in ids)


def test_sign_only_gives_the_clients_request(value_of: Ask, phone: str, client: Client) -> None:
    transaction_id = client.ask()
    request = value_of("POST", f"{phone}/approve", {"transactionId": transaction_id, "signOnly": True})
    assert set(request) == {"method", "path", "headers", "body"}
    assert set(request["headers"]) == {"X-TransactionId", "X-Device-Assertion"}
    headers = {"X-APIKEY": "demo-api-key", "Authorization": f"Bearer {client.tokens['accessToken']}"}
    answer = client.http.request(
        request["method"], request["path"], json=request["body"], headers=headers | request["headers"]
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(("amount", "outcome"), [("100.00", "approved"), ("100.01", "declined")])
def test_by_rule_over_the_amount(value_of: Ask, phone: str, client: Client, amount: str, outcome: str) -> None:
    value_of("PUT", f"{phone}/answers", {"decision": "approve", "amountOver": "100.00", "otherwise": "decline"})
    transaction_id = client.ask(amount)
    assert value_of("GET", f"{phone}/pending/{transaction_id}?waitSeconds=20")["outcome"] == outcome
    assert client.step_up(transaction_id) == (200 if outcome == "approved" else 403)


def test_once_is_once(value_of: Ask, phone: str, client: Client) -> None:
    value_of("PUT", f"{phone}/answers", {"decision": "approve", "times": "once"})
    first = client.ask()
    assert value_of("GET", f"{phone}/pending/{first}?waitSeconds=20")["outcome"] == "approved"
    assert client.step_up(first) == 200
    assert value_of("GET", f"{phone}/answers")["decision"] == "ask"
    second = client.ask()
    assert value_of("GET", f"{phone}/pending/{second}")["outcome"] is None


def test_an_automatic_answer_that_fails_is_not_tried_into_a_lockout(value_of: Ask, phone: str, client: Client) -> None:
    value_of("PUT", f"{phone}/biometric", {"outcome": "no-match"})
    value_of("PUT", f"{phone}/answers", {"decision": "approve", "method": "BIOMETRIC"})
    transaction_id = client.ask()
    assert value_of("GET", f"{phone}/pending/{transaction_id}?waitSeconds=1")["outcome"] is None
    value_of("PUT", f"{phone}/biometric", {"outcome": "match"})
    value_of(
        "POST", f"{phone}/approve", {"transactionId": transaction_id, "method": "BIOMETRIC"}
    )  # no lockout in the way
    assert client.step_up(transaction_id, "BIOMETRIC") == 200


def test_a_fault_acts_until_it_is_cleared(
    value_of: Ask, error_of: Ask, phone: str, client: Client, bank: InProcessServer
) -> None:
    value_of("PUT", f"{phone}/fault", {"name": "altered-amount"})
    assert value_of("GET", f"{phone}/fault")["check"] == "binding.amount"
    transaction_id = client.ask()
    value_of("POST", f"{phone}/approve", {"transactionId": transaction_id})
    assert client.step_up(transaction_id) == 403
    assert bank.verdict().first_failure is not None
    assert bank.verdict().first_failure.check == "binding.amount"  # type: ignore[union-attr]
    value_of("DELETE", f"{phone}/fault")
    value_of("POST", f"{phone}/approve", {"transactionId": transaction_id})
    assert client.step_up(transaction_id) == 200
    assert error_of("PUT", f"{phone}/fault", {"name": "no-such"})[0] == 400


def test_the_phone_pays_and_reads_its_messages(value_of: Ask, phone: str) -> None:
    assert value_of("POST", f"{phone}/pay", {"amount": "12.34"})["status"] == "ACCEPTED"
    assert value_of("POST", f"{phone}/pay", {"amount": "12.34", "method": "BIOMETRIC"})["method"] == "BIOMETRIC"
    (activation,) = value_of("GET", f"{phone}/inbox")
    assert activation["code"] in activation["text"]
    assert value_of("GET", f"{phone}/inbox?channel=push")


# --- clocks and reset ---------------------------------------------------------------------------------------------------------


def test_the_clock_is_set_advanced_frozen_and_released(value_of: Ask, error_of: Ask) -> None:
    assert (
        value_of("PUT", "/clock", {"now": "2026-01-31T12:00:00Z", "frozen": True})["now"]
        == "2026-01-31T12:00:00.000000Z"
    )
    assert value_of("POST", "/clock/advance", {"seconds": 1.5})["now"] == "2026-01-31T12:00:01.500000Z"
    assert value_of("GET", "/status")["now"].startswith("2026-01-31T12:00:01")
    assert value_of("PUT", "/clock", {"frozen": False})["frozen"] is False
    assert error_of("POST", "/clock/advance", {"seconds": -1})[0] == 400
    assert error_of("PUT", "/clock", {"now": "teatime"})[0] >= 400


def test_a_phones_own_clock_can_be_wrong(value_of: Ask, phone: str, client: Client, bank: InProcessServer) -> None:
    """challenge.skew: signedAt within the server's tolerance."""
    value_of("PUT", f"{phone}/clock", {"skewSeconds": 420})
    transaction_id = client.ask()
    value_of("POST", f"{phone}/approve", {"transactionId": transaction_id})
    assert client.step_up(transaction_id) == 403
    assert bank.verdict().first_failure.check == "challenge.skew"  # type: ignore[union-attr]
    value_of("PUT", f"{phone}/clock", {"skewSeconds": 0, "now": "2001-02-03T04:05:06Z"})
    assert value_of("GET", f"{phone}/clock") == {
        "now": "2001-02-03T04:05:06.000000Z",
        "frozen": True,
        "skewSeconds": 0.0,
    }
    value_of("PUT", f"{phone}/clock", {"now": None})
    assert value_of("GET", f"{phone}/clock")["frozen"] is False


def test_reset_leaves_no_phone_and_a_fresh_server(
    value_of: Ask, phone: str, client: Client, bank: InProcessServer
) -> None:
    client.ask()
    value_of("PUT", "/clock", {"now": "2026-01-31T12:00:00Z", "frozen": True})
    value_of("POST", "/reset")
    assert value_of("GET", ROOT) == []
    assert bank.transactions() == []
    assert value_of("GET", "/clock")["frozen"] is False


def test_wipe_forgets_enrolment_and_keys(value_of: Ask, phone: str, client: Client) -> None:
    value_of("POST", f"{phone}/wipe")
    assert value_of("GET", phone)["enrolments"] == []
    assert value_of("GET", f"{phone}/pending") == []


def test_profiles_and_faults_are_listed(value_of: Ask) -> None:
    assert "pixel-9" in {profile["name"] for profile in value_of("GET", "/profiles")}
    assert all(fault["check"] for fault in value_of("GET", "/faults"))


def test_a_phone_of_another_profile_enrols(value_of: Ask, client: Client) -> None:
    path = f"{ROOT}/{value_of('POST', ROOT, {})}"
    value_of("PUT", f"{path}/profile", {"profile": "iphone-17"})
    value_of("POST", f"{path}/enrol", {})
    assert {key["securityLevel"] for key in value_of("GET", f"{path}/keys")} == {"SecureEnclave"}


def test_an_unreachable_server_is_said_not_raised(tmp_path: Any) -> None:
    from authenticator.control import create_app, open_control

    with TestClient(create_app(open_control("http://127.0.0.1:9", tmp_path)), base_url="http://localhost") as client:
        assert client.get("/status").json()["value"]["ready"] is False
        assert client.get("/clock").status_code == 502


# --- events -------------------------------------------------------------------------------------------------------------------


def test_events_reach_each_listener_in_order_from_any_thread() -> None:
    async def listen() -> list[list[bytes]]:
        events = Events()
        streams = [events.stream(), events.stream()]
        for stream in streams:
            assert b"connected" in await anext(stream)
        assert events.heard
        await asyncio.to_thread(events.publish, "approved", transactionId="t1")
        await asyncio.to_thread(events.publish, "declined", transactionId="t2")
        heard = [[await anext(stream), await anext(stream)] for stream in streams]
        for stream in streams:
            await stream.aclose()
        assert not events.heard
        return heard

    one, other = asyncio.run(listen())
    assert one == other
    assert one[0] == b'id: 1\nevent: approved\ndata: {"transactionId":"t1"}\n\n'
    assert b"event: declined" in one[1]
