"""DESIGN sections 2 (`stepup-server`), 3 and 5: options, paths, and the exact shape of a verdict."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from authenticator.server_process import running_server
from device_keys.encoding import b64url_decode, b64url_encode, cbor_decode
from tests.support.http import open_http

USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
VERDICTS = {"pass", "fail", "not_applicable", "undetermined"}
GRADES = {"proved", "signed", "logged", "declared"}
Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--database", "memory", "--workers", "2"], 2, "--workers"),
        (["--database", ":memory:", "--workers", "2"], 2, "--workers"),
        (["--seed", "abc", "--workers", "2"], 2, "--workers"),
        (["--workers", "0"], 2, "--workers"),
        (["--host", "0.0.0.0"], 2, "--token"),
        (["--port", "65536"], 2, "--port"),
        (["--dialect", "swift"], 2, "--dialect"),
        (["--policy", "spec-vector"], 2, "--policy"),
        (["--clock", "noon"], 2, "--clock"),
        (["--methods", "PASSCODE,SMS"], 2, "--methods"),
        (["--fixed-otp", "12345"], 2, "--fixed-otp"),
        (["--database", "mysql://localhost/x"], 2, "--database"),
        (["--webhook", "localhost"], 2, "--webhook"),
        (["--sms-webhook", "ftp://localhost"], 2, "--sms-webhook"),
        (["--smtp", "localhost"], 2, "--smtp"),
        (["--tls-cert", "cert.pem"], 2, "--tls-key"),
        (["--tls-cert", "no.pem", "--tls-key", "no.key"], 3, "--tls-cert"),
        (["--trust-anchors", "no-such-folder"], 3, "--trust-anchors"),
        (["--revocation-list", "no-such-file"], 3, "--revocation-list"),
    ],
)
def test_what_cannot_be_served_is_said_before_serving(
    arguments: list[str], code: int, named: str, command: Command
) -> None:
    if "--database" not in arguments and "--workers" not in arguments:
        arguments = [*arguments, "--database", "memory"]
    port = [] if "--port" in arguments else ["--port", "0"]
    ran = command("server_stub", "serve", *arguments, *port, "--json")
    assert (ran.code, named in ran.json["error"]["message"]) == (code, True), ran.out


def test_trust_that_cannot_be_read_is_said_before_serving(command: Command, tmp_path: Path) -> None:
    """Later it would fail closed for every phone."""
    (tmp_path / "list.json").write_text('{"revoked": []}')
    (tmp_path / "root.pem").write_text("no certificate")
    (tmp_path / "key.pem").write_text("no key")
    pair = ["--tls-cert", str(tmp_path / "root.pem"), "--tls-key", str(tmp_path / "key.pem")]
    ran = command("server_stub", "serve", "--port", "0", "--database", "memory", *pair, "--json")
    assert (ran.code, "--tls-key" in ran.json["error"]["message"]) == (3, True), ran.out
    (tmp_path / "key.pem").unlink()
    for option, value in (("--revocation-list", tmp_path / "list.json"), ("--trust-anchors", tmp_path)):
        ran = command("server_stub", "serve", "--database", "memory", option, str(value), "--json")
        assert (ran.code, option in ran.json["error"]["message"]) == (3, True), ran.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["report"], 2),
        (["log", "erase"], 2),
        (["clock", "set"], 2),
        (["clock", "advance", "-1"], 2),
        (["clock", "advance", "nan"], 2),
        (["clock", "show", "--server", "localhost"], 2),
        (["report", "some-id", "--attempt", "first"], 2),
        (["report", "some-id", "--server", "http://127.0.0.1:9"], 3),
        (["evidence", "some-id", "--server", "http://127.0.0.1:9"], 3),
        (["log", "verify", "--server", "http://127.0.0.1:9"], 3),
        (["appraise", "no-such-file"], 3),
    ],
)
def test_errors_are_one_json_document(arguments: list[str], code: int, command: Command) -> None:
    ran = command("server_stub", *arguments, "--json")
    assert (ran.code, set(ran.json), ran.err) == (code, {"error"}, "")
    plain = command("server_stub", *arguments)
    assert (plain.code, plain.out) == (code, "")
    assert plain.err.startswith("stepup-server: ")


def test_one_dialect_stands_at_the_root_and_the_options_hold(command: Command) -> None:
    """`--dialect --methods --fixed-otp --token --policy --clock` together; device and operator routes stay where they are."""
    options = ["--dialect", "bank", "--methods", "PASSCODE", "--fixed-otp", "123456", "--token", "sesame"]
    options += ["--policy", "lenient", "--clock", "2027-03-01T10:00:00Z", "--seed", "abc", "--database", "memory"]
    with running_server("--port", "0", *options) as url, open_http(url) as http:
        assert http.get("/_stub/health").status_code == 401
        http.headers["Authorization"] = "Bearer sesame"
        assert http.get("/_stub/clock").json() == {"now": "2027-03-01T10:00:00.000000Z", "frozen": True}
        paths = set(http.get("/openapi.json").json()["paths"])
        assert {"/v1/oauth2/stepup", "/v1/payments/domestic", "/device/v1/enrolments", "/_stub/reset"} <= paths
        assert not [path for path in paths if path.startswith(("/bank", "/weavr", "/loginradius", "/multi"))]
        shared = ("--server", url, "--token", "sesame", "--json")
        enrolled = command("authenticator", "enrol", "--passcode", PASSCODE, *shared)
        assert enrolled.json["enrolledAt"].startswith("2027-03-01T10:00:00")
        (message,) = command("authenticator", "sms", *shared).json
        assert message["code"] == "123456"
        paid = command("authenticator", "pay", "--amount", "1.00", "--passcode", PASSCODE, *shared).json
        assert paid["method"] == "PASSCODE"
        verdict = http.get(f"/_stub/transactions/{paid['transactionId']}/verdict").json()
        assert (verdict["policy"], verdict["accepted"]) == ("lenient", True)
        (transaction,) = http.get("/_stub/transactions").json()
        assert transaction["methods"] == ["PASSCODE"]
        ran = command("server_stub", "clock", "advance", "90", *shared)
        assert ran.json == {"now": "2027-03-01T10:01:30.000000Z", "frozen": True}
        assert command("server_stub", "clock", "show", "--server", url, "--json").code == 1


def test_the_token_may_come_from_the_environment_of_either_program(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 9: secrets are in no process list; an option on a command line is in it."""
    monkeypatch.setenv("STEPUP_TOKEN", "sesame")
    with running_server("--port", "0", "--database", "memory") as url:
        assert command("server_stub", "clock", "show", "--server", url, "--json").code == 0
        assert command("authenticator", "sms", "--server", url, "--json").code == 0
        monkeypatch.delenv("STEPUP_TOKEN")
        assert command("server_stub", "clock", "show", "--server", url, "--json").code == 1
        assert command("authenticator", "sms", "--server", url, "--json").code == 1


def test_trust_anchors_and_revocation_list_decide_whom_the_server_believes(command: Command, tmp_path: Path) -> None:
    """The same phone at the same database: refused as of an unknown maker, believed with that maker's root, refused again once revoked."""
    database = ["--database", str(tmp_path / "server.sqlite3")]

    def outcome_of_a_payment(url: str, check: str) -> tuple[bool, str]:
        command("authenticator", "pay", "--amount", "1.00", "--passcode", PASSCODE, "--server", url)
        with open_http(url) as http:
            newest = http.get("/_stub/transactions").json()[0]["transactionId"]
            verdict = http.get(f"/_stub/transactions/{newest}/verdict").json()
        ran = command("server_stub", "evidence", newest, "--server", url)
        (tmp_path / "bundle.json").write_text(ran.out)
        return verdict["accepted"], {one["check"]: one["outcome"] for one in verdict["findings"]}[check]

    port = ["--port", "0"]
    with running_server(*port, *database) as url:
        port = ["--port", url.rpartition(":")[2]]
        assert (
            command("authenticator", "enrol", "--passcode", PASSCODE, "--fault", "unknown-maker", "--server", url).code
            == 0
        )
        assert outcome_of_a_payment(url, "attestation.chain") == (False, "fail")
    bundle = json.loads((tmp_path / "bundle.json").read_bytes())
    enrolled = bundle["evidence"]["credential"]["registration"]["response"]["attestationObject"]
    attestation = cbor_decode(b64url_decode(enrolled, "attestation"))
    chain = [x509.load_der_x509_certificate(der) for der in attestation["attStmt"]["x5c"]]
    from cryptography.hazmat.primitives.serialization import Encoding

    anchors = tmp_path / "anchors"
    anchors.mkdir()
    (anchors / "android-lab.pem").write_bytes(chain[-1].public_bytes(Encoding.PEM))
    trusting = ["--trust-anchors", str(anchors)]
    with running_server(*port, *database, *trusting) as url:
        assert outcome_of_a_payment(url, "attestation.chain") == (True, "pass")
    entries = {f"{chain[1].serial_number:x}": {"status": "REVOKED", "reason": "KEY_COMPROMISE"}}
    (tmp_path / "status.json").write_text(json.dumps({"entries": entries}))
    with running_server(*port, *database, *trusting, "--revocation-list", str(tmp_path / "status.json")) as url:
        assert outcome_of_a_payment(url, "attestation.revocation") == (False, "fail")


def assert_shape_of(verdict: dict[str, Any], checks: list[str]) -> None:
    assert list(verdict) == [
        "transactionId", "attempt", "accepted", "decidedAt", "policy", "elements", "findings", "compliance",
    ]  # fmt: skip
    assert INSTANT.fullmatch(verdict["decidedAt"])
    for element in verdict["elements"]:
        assert set(element) == {"category", "method", "grade"}
        assert element["category"] in ("knowledge", "possession", "inherence")
        assert element["grade"] in GRADES
    assert [finding["check"] for finding in verdict["findings"]] == checks
    for finding in verdict["findings"]:
        assert {"check", "outcome", "reason", "citation"} <= set(finding)
        assert set(finding) <= {"check", "outcome", "reason", "citation", "expected", "actual"}
        assert finding["outcome"] in ("pass", "fail", "not_applicable", "not_run")
    compliance = verdict["compliance"]
    assert set(compliance) == {"ruleSet", "twoFactor", "overall", "rules"}
    assert {compliance["twoFactor"], compliance["overall"]} <= {"pass", "fail", "undetermined"}
    for rule in compliance["rules"]:
        assert set(rule) - {"reason"} == {"id", "obligation", "verdict", "grade", "findings"}
        assert rule["verdict"] in VERDICTS
        assert rule["grade"] in GRADES or (rule["grade"], rule["verdict"]) == ("none", "undetermined")
        assert set(rule["findings"]) <= set(checks)


def test_a_verdict_has_exactly_the_members_of_the_contract(phone: Command, http: httpx2.Client, customer: Any) -> None:
    """Section 5, accepted and refused; honest plain HTTP leaves RTS-35.1 and so `overall` undetermined."""
    checks = [check["id"] for check in http.get("/_stub/checks").json()]
    client = customer()
    transaction_id = client.start()
    assert client.step_up(transaction_id, {"username": USER, "passcode": "000000"}).status_code == 403
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    assert phone("approve", transaction_id, "--passcode", PASSCODE).code == 0
    assert client.step_up(transaction_id).status_code == 200
    refused = http.get(f"/_stub/transactions/{transaction_id}/verdict?attempt=1").json()
    accepted = http.get(f"/_stub/transactions/{transaction_id}/verdict").json()
    assert [(one["attempt"], one["accepted"]) for one in (refused, accepted)] == [(1, False), (2, True)]
    for verdict in (refused, accepted):
        assert_shape_of(verdict, checks)
    assert (accepted["compliance"]["twoFactor"], accepted["compliance"]["overall"]) == ("pass", "undetermined")
    rules = {rule["id"]: rule["verdict"] for rule in accepted["compliance"]["rules"]}
    assert rules["RTS-35.1"] == "undetermined"
    assert set(rules) == {rule["id"] for rule in refused["compliance"]["rules"]}
    assert http.get(f"/_stub/transactions/{transaction_id}/verdict?attempt=3").status_code == 404


def test_every_challenge_of_every_dialect_is_a_transaction_newest_first(http: httpx2.Client, customer: Any) -> None:
    """Section 3: `GET transactions`, with `?dialect=` and `?user=`."""
    first = customer().start()
    weavr = {"api-key": "demo-api-key"}
    login = {"email": "alice@example.com", "password": {"value": "Passw0rd!"}}
    token = http.post("/weavr/multi/login_with_password", json=login, headers=weavr).json()["token"]
    weavr["Authorization"] = f"Bearer {token}"
    assert http.post("/weavr/multi/stepup/challenges/otp/SMS", headers=weavr).is_success
    query = {"apikey": "11111111-1111-4111-8111-111111111111"}
    login = {"email": "alice@example.com", "password": "Passw0rd!"}
    answer = http.post("/loginradius/identity/v2/auth/login", params=query, json=login).json()
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    sent = http.get("/loginradius/identity/v2/auth/account/reauth/2fa/otp", params=query, headers=bearer)
    if sent.status_code >= 400:  # the trigger that lists the methods is a challenge too
        sent = http.get("/loginradius/identity/v2/auth/account/reauth/2fa", params=query, headers=bearer)
    assert sent.is_success, sent.text
    listed = http.get("/_stub/transactions").json()
    assert {one["dialect"] for one in listed} == {"bank", "weavr", "loginradius"}
    assert [one["createdAt"] for one in listed] == sorted((one["createdAt"] for one in listed), reverse=True)
    assert listed[-1]["transactionId"] == first
    assert {one["dialect"] for one in http.get("/_stub/transactions?dialect=weavr").json()} == {"weavr"}
    assert [one["transactionId"] for one in http.get("/_stub/transactions", params={"user": USER}).json()] == [first]


def test_messages_are_listed_oldest_first_and_can_be_narrowed(
    phone: Command, http: httpx2.Client, customer: Any
) -> None:
    """`{"channel", "to", "text", "code"?, "sentAt"}`; `sentAt` of fixed width; number, channel."""
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    customer().start()
    messages = http.get("/_stub/messages").json()
    assert [one["channel"] for one in messages] == ["sms", "push"]
    assert all({"channel", "to", "text", "sentAt"} <= set(one) and INSTANT.fullmatch(one["sentAt"]) for one in messages)
    assert [one["sentAt"] for one in messages] == sorted(one["sentAt"] for one in messages)
    narrowed = http.get("/_stub/messages", params={"channel": "sms", "to": "+447700900123"}).json()
    assert narrowed == messages[:1]
    assert re.fullmatch(r"\d{6}", narrowed[0]["code"])
    assert http.get("/device/v1/inbox", params={"to": "+447700900123"}).json() == narrowed


def test_the_clock_answers_with_itself(http: httpx2.Client) -> None:
    """`GET|PUT clock`, `POST clock/advance`: 200 with `{"now", "frozen"}`; the Date header obeys it."""
    noon = {"now": "2027-01-01T12:00:00.000000Z", "frozen": True}
    answer = http.put("/_stub/clock", json={"now": "2027-01-01T12:00:00Z", "frozen": True})
    assert (answer.status_code, answer.json()) == (200, noon)
    answer = http.post("/_stub/clock/advance", json={"seconds": 90})
    assert (answer.status_code, answer.json()["now"]) == (200, "2027-01-01T12:01:30.000000Z")
    answer = http.get("/_stub/clock")
    assert (answer.json()["frozen"], answer.headers["Date"]) == (True, "Fri, 01 Jan 2027 12:01:30 GMT")
    assert http.post("/_stub/reset").status_code == 200
    assert http.get("/_stub/clock").json()["now"] == "2027-01-01T12:01:30.000000Z"
    assert http.put("/_stub/clock", json={"frozen": False}).json()["frozen"] is False


def test_a_fresh_server_holds_the_demo_users_with_their_secrets(http: httpx2.Client) -> None:
    users = {one["dialect"]: one for one in http.get("/_stub/users").json()}
    assert (users["bank"]["id"], users["bank"]["passcode"], users["bank"]["mobile"]) == (
        USER,
        PASSCODE,
        "+447700900123",
    )
    assert users["bank"]["balances"] == {"GBP": "10000.00"}
    assert (users["weavr"]["email"], users["weavr"]["password"]) == ("alice@example.com", "Passw0rd!")
    assert users["weavr"]["mobile"] == "+447700900123"
    assert (users["loginradius"]["password"], users["loginradius"]["pin"]) == ("Passw0rd!", "1234")


def registration(challenge: str, folder: Path, command: Command) -> dict[str, Any]:
    """A RegistrationResponseJSON by a plain WebAuthn client, whose attestation `stepup-phone attest` makes."""
    client_data = json.dumps(
        {"type": "webauthn.create", "challenge": challenge, "origin": "https://stepup-simulator.test"}
    )
    digest = b64url_encode(hashlib.sha256(client_data.encode()).digest())
    ran = command(
        "authenticator", "attest", "--challenge", digest, "--format", "packed", "--out", str(folder), "--json"
    )
    return {
        "id": ran.json["credentialId"],
        "rawId": ran.json["credentialId"],
        "type": "public-key",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": b64url_encode(client_data.encode()),
            "attestationObject": b64url_encode((folder / "attestation.bin").read_bytes()),
        },
    }


def test_a_plain_webauthn_client_enrols_with_one_key_and_sees_its_step_ups(
    command: Command, http: httpx2.Client, customer: Any, tmp_path: Path
) -> None:
    """Section 3, `/device/v1`: shapes, one credential, a further nonce each time, and no nonce in the list."""
    client = customer()
    begun = http.post("/device/v1/enrolments", headers=client.headers).json()
    assert set(begun) == {"enrolmentId", "publicKey"}
    code = http.get("/_stub/messages", params={"to": "+447700900123"}).json()[-1]["code"]
    made = registration(begun["publicKey"]["challenge"], tmp_path, command)
    body = {"activationCode": code, "credentials": [{"factor": "possession", "registration": made}]}
    path = f"/device/v1/enrolments/{begun['enrolmentId']}"
    assert http.post(path, json=body | {"activationCode": f"{(int(code) + 1) % 10**6:06}"}).status_code == 403
    done = http.post(path, json=body)  # the contract asks for a bearer at the first call only
    assert set(done.json()) == {"deviceId", "deviceToken"}
    assert http.post(path, json=body).status_code == 403
    phone = {"Authorization": f"Bearer {done.json()['deviceToken']}"}
    transaction_id = client.start()
    (row,) = http.get("/device/v1/step-ups", headers=phone).json()
    assert {"transactionId", "dialect", "kind", "payload", "expiresAt", "methods", "request"} <= set(row)
    assert not {"nonce", "publicKey"} & set(row)
    one, other = (http.get(f"/device/v1/step-ups/{transaction_id}", headers=phone).json() for _ in range(2))
    assert set(one) >= {
        "transactionId",
        "dialect",
        "kind",
        "nonce",
        "payload",
        "publicKey",
        "expiresAt",
        "methods",
        "request",
    }
    assert one["nonce"] != other["nonce"]
    assert (one["request"], one["methods"]) == ({"method": "POST", "path": "/bank/v1/oauth2/stepup"}, ["PASSCODE"])
    assert http.post(f"/device/v1/step-ups/{transaction_id}", json={"outcome": "declined"}, headers=phone).is_success
    assert http.get("/device/v1/step-ups", headers={"Authorization": "Bearer nobody"}).status_code == 401


def test_an_enrolment_whose_login_is_not_named_must_still_have_begun_with_one(http: httpx2.Client) -> None:
    body = {"activationCode": "123456", "credentials": []}
    assert http.post("/device/v1/enrolments", json={}).status_code == 401
    assert http.post("/device/v1/enrolments/no-such-id", json=body).status_code == 404


def test_a_lost_phone_is_revoked_and_told_how_to_come_back(phone: Command, http: httpx2.Client) -> None:
    """RTS Art. 27(a); `DELETE users/{id}/devices/{deviceId}`."""
    device = phone("enrol", "--passcode", PASSCODE, "--json").json["deviceId"]
    assert http.delete(f"/_stub/users/{USER}/devices/{device}").json()[0]["state"] == "revoked"
    ran = phone("pay", "--amount", "1.00", "--passcode", PASSCODE, "--json")
    assert ran.code != 0
    assert "enrol" in ran.json["error"]["message"].lower()
