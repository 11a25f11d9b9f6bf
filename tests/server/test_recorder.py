"""The recorder tells an error's code from a one-time code: the reviewer reads the one, and nobody the other (docs/security.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server_stub.recorder import HIDDEN, recorded, without_secrets

ERROR_CODES = ("403.000.51", "401.000.02", "400.001", "NOT_FOUND", "METHOD_NOT_ALLOWED", "unknown_step_up")
ONE_TIME_CODES = (
    "903162",
    "0000",
    "12345678",
    "ABC123",
    "AbCdEf",
    "ABCDEF",
    "a1b2-c3d4",
    "403 000",
    "",
    "1.5",
    "4.03.000",
)


@pytest.mark.parametrize("code", ERROR_CODES)
def test_the_code_of_a_refusal_can_be_read(code: str) -> None:
    assert without_secrets({"code": code, "message": "Step-up required"})["code"] == code
    assert without_secrets({"error": {"code": code}}) == {"error": {"code": code}}


@pytest.mark.parametrize("code", ONE_TIME_CODES)
def test_whatever_may_be_a_one_time_code_is_hidden(code: str) -> None:
    assert without_secrets([{"code": code}]) == [{"code": HIDDEN}]


@pytest.mark.parametrize("value", [903162, None, ["903162"], True])
def test_a_code_that_is_no_text_is_hidden(value: Any) -> None:
    assert without_secrets({"code": value}) == {"code": HIDDEN}


@pytest.mark.parametrize(
    "member", ["otp", "Code", "passcode", "verificationCode", "activationCode", "value", "password", "refreshToken"]
)
def test_no_other_secret_member_is_let_through_because_it_looks_like_an_error(member: str) -> None:
    """Weavr's and LoginRadius's one-time codes and secrets, whatever they look like."""
    assert without_secrets({member: "403.000.51"}) == {member: HIDDEN}


def test_a_refused_payment_in_the_record() -> None:
    """As `/_stub/requests` shows it: S0's refusal with its code, the passcode of the request left out."""
    entry = {
        "id": "1", "at": "2026-03-01T09:41:00Z", "method": "POST", "path": "/bank/v1/oauth2/login", "query": {"code": "903162"},
        "headers": {"Authorization": "Bearer x"}, "body": b'{"username": "u", "passcode": "111234"}', "status": 403,
        "answer": json.dumps({"code": "403.000.51", "message": "Step-up required"}).encode(),
    }  # fmt: skip
    seen = recorded(entry)
    assert seen["answer"] == {"code": "403.000.51", "message": "Step-up required"}
    assert seen["body"] == {"username": "u", "passcode": HIDDEN}
    assert seen["query"] == {"code": HIDDEN}
