"""A real phone against a real server: what honest runs, faults, bundles and the log come to when nothing is made by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.cli import main
from authenticator.server_process import running_server
from server_stub.appraisal import appraise
from server_stub.bundle import read_bundle
from server_stub.evidence_key import read_public_key
from server_stub.log_chain import verify_log_pages

USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
SECRETS = ("111234", "+447700900123", "demo-api-key", "447700900123")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server("--dialect", "bank", "--port", "0", "--database", "memory") as address:
        yield address


@pytest.fixture
def server(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url) as http:
        assert http.post("/_stub/reset").is_success
        yield http


@pytest.fixture
def phone(url: str, server: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "A" * 43)
    monkeypatch.delenv("STEPUP_PASSCODE", raising=False)

    def run(*arguments: str) -> Any:
        out = io.StringIO()
        main(
            [*arguments, "--server", url, "--home", str(tmp_path / "home"), "--json"], stdout=out, stderr=io.StringIO()
        )
        return json.loads(out.getvalue())

    return run


def latest(server: httpx2.Client) -> tuple[str, dict[str, Any]]:
    """The newest transaction that has a verdict, and its verdict."""
    for transaction in server.get("/_stub/transactions").json():
        answer = server.get(f"/_stub/transactions/{transaction['transactionId']}/verdict")
        if answer.is_success:
            return transaction["transactionId"], answer.json()
    raise AssertionError("no verdict")


def appraised(server: httpx2.Client, raw: bytes) -> dict[str, Any]:
    """The verdict over a bundle by one who has the server's key."""
    key = read_public_key(server.get("/_stub/evidence-key").content)
    return appraise(read_bundle(raw), server_key=key).verdict.to_json()


def pay(phone: Callable[..., Any], *how: str) -> Any:
    return phone("pay", "--amount", "10.00", "--currency", "GBP", "--payee", "Ada Lovelace", *how)


@pytest.mark.parametrize(
    ("profile", "how", "elements"),
    [
        (
            "pixel-9",
            ("--passcode", "111234"),
            [("knowledge", "passcode", "logged"), ("possession", "device-key", "proved")],
        ),
        ("pixel-9", ("--biometric",), [("possession", "device-key", "proved"), ("inherence", "biometric", "proved")]),
        ("iphone-17", ("--biometric",), [("possession", "device-key", "signed"), ("inherence", "biometric", "signed")]),
    ],
)
def test_honest_runs_are_two_factor_compliant(
    server: httpx2.Client, phone: Callable[..., Any], profile: str, how: tuple[str, ...], elements: list[Any]
) -> None:
    """DESIGN section 5: honest runs give `twoFactor: pass`; plain HTTP on loopback leaves RTS-35.1, and so `overall`, undetermined."""
    phone("enrol", "--profile", profile, "--user", USER, "--passcode", "111234")
    assert "paymentId" in pay(phone, *how)
    _, verdict = latest(server)
    rules = {rule["id"]: rule for rule in verdict["compliance"]["rules"]}
    assert verdict["accepted"] is True
    assert [rule for rule in rules.values() if rule["verdict"] == "fail"] == []
    assert (verdict["compliance"]["twoFactor"], verdict["compliance"]["overall"]) == ("pass", "undetermined")
    assert rules["RTS-35.1"]["reason"] == "loopback"
    assert [(e["category"], e["method"], e["grade"]) for e in verdict["elements"]] == elements


HEADERS = {"X-APIKEY": "demo-api-key"}
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "Ada", "sortCode": "010203", "accountNumber": "12345678"},
}


def step_up(
    server: httpx2.Client, phone: Callable[..., Any], passcode: str
) -> tuple[dict[str, str], dict[str, str], httpx2.Response]:
    """A client's login, payment and step-up with the phone's evidence: its tokens, the headers it sent, the answer."""
    tokens = server.post("/v1/oauth2/login", headers=HEADERS, json={"username": USER, "passcode": "111234"}).json()
    headers = HEADERS | {"Authorization": f"Bearer {tokens['accessToken']}"}
    transaction = server.post("/v1/payments/domestic", headers=headers, json=ORDER).json()["transactionId"]
    request = phone("approve", transaction, "--sign-only", "--passcode", "111234")
    answer = server.post(
        request["path"], headers=headers | request["headers"], json={**request["body"], "passcode": passcode}
    )
    return tokens, request["headers"], answer


def test_a_bundle_gives_the_servers_verdict_and_holds_no_secret(
    server: httpx2.Client, phone: Callable[..., Any]
) -> None:
    """Byte for byte in its JSON; no passcode, number, API key or token inside (RTS-22.1)."""
    phone("enrol", "--user", USER, "--passcode", "111234")
    tokens, _, answer = step_up(server, phone, "111234")
    assert answer.status_code == 200
    transaction, verdict = latest(server)
    raw = server.get(f"/_stub/transactions/{transaction}/evidence").content
    assert verdict["accepted"] is True
    assert json.dumps(appraised(server, raw)) == json.dumps(verdict)
    for secret in (
        *SECRETS,
        *(value for value in [*tokens.values(), *answer.json().values()] if isinstance(value, str) and len(value) > 15),
    ):
        assert secret.encode() not in raw


def test_a_wrong_passcode_is_a_plain_failure(server: httpx2.Client, phone: Callable[..., Any]) -> None:
    phone("enrol", "--user", USER, "--passcode", "111234")
    _, _, refused = step_up(server, phone, "111235")
    assert refused.status_code == 403
    transaction, verdict = latest(server)
    rules = {rule["id"]: rule for rule in verdict["compliance"]["rules"]}
    assert [f["check"] for f in verdict["findings"] if f["outcome"] == "fail"] == ["secret.correct"]
    assert verdict["compliance"]["twoFactor"] == "undetermined"
    assert rules["RTS-4.1-elements"]["verdict"] == "undetermined"
    assert rules["RTS-4.1-elements"]["reason"] == "no code was accepted: secret.correct refused the step-up"
    assert rules["RTS-4.3.a"]["verdict"] == "pass"
    raw = server.get(f"/_stub/transactions/{transaction}/evidence").content
    assert json.dumps(appraised(server, raw)) == json.dumps(verdict)
    assert b"111235" not in raw


def test_the_servers_log_is_a_whole_chain(server: httpx2.Client, phone: Callable[..., Any]) -> None:
    phone("enrol", "--user", USER, "--passcode", "111234")
    pay(phone, "--passcode", "111234")

    def page(after: int | None) -> bytes:
        return server.get("/_stub/log", params={"most": 5} | ({} if after is None else {"after": after})).content

    chain = verify_log_pages(page)
    assert chain.problem is None
    assert {"head": chain.head, "count": chain.count} == server.get("/_stub/log/head").json()
    assert chain.count == len(server.get("/_stub/log").json()) > 10

    def tampered(after: int | None) -> bytes:
        return page(after).replace(b'"code_accepted"', b'"code_replayed"', 1)

    problem = verify_log_pages(tampered).problem
    assert problem is not None
    assert problem.problem == "altered"
