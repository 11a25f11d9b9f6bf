"""A secret of a call is looked for in what is kept of the call, as a whole text outside the order; where it stands is noted, it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_keys.encoding import b64url_decode, b64url_encode
from server_stub.disclosure import found_in
from server_stub.evidence import Evidence
from server_stub.relying_party import Try

from ..server.conftest import PASSCODE
from .conftest import stage
from .histories import Play

SECRET = "kq9$837465"


def evidence() -> Evidence:
    return stage("Android, passcode").evidence


def with_response(change: Callable[[dict[str, Any]], None]) -> Evidence:
    response = json.loads(evidence().assertion or "")
    change(response)
    return msgspec.structs.replace(evidence(), assertion=json.dumps(response))


def with_client_data(**members: Any) -> Evidence:
    def change(response: dict[str, Any]) -> None:
        data = json.loads(b64url_decode(response["response"]["clientDataJSON"], "clientDataJSON"))
        response["response"]["clientDataJSON"] = b64url_encode(json.dumps({**data, **members}).encode())

    return with_response(change)


def in_the_registration() -> Evidence:
    credential = evidence().credential
    assert credential is not None
    registration = {**credential.registration, "note": SECRET}
    return msgspec.structs.replace(
        evidence(), credential=msgspec.structs.replace(credential, registration=registration)
    )


def in_the_name() -> Evidence:
    return msgspec.structs.replace(evidence(), caller=msgspec.structs.replace(evidence().caller, user=SECRET))


@pytest.mark.parametrize(
    ("made", "places"),
    [
        (evidence, []),
        (lambda: with_client_data(note=SECRET), ["the signed client data"]),
        (lambda: with_client_data(device={"list": [1, {"deep": SECRET}]}), ["the signed client data"]),
        (lambda: with_client_data(payment={"payee": SECRET}), []),
        (lambda: with_client_data(note=f"{SECRET}0"), []),
        (lambda: with_client_data(**{SECRET: "a name"}), []),
        (lambda: with_response(lambda r: r["clientExtensionResults"].update(note=SECRET)), ["the response"]),
        (lambda: msgspec.structs.replace(evidence(), assertion=SECRET), ["the response"]),
        (
            lambda: msgspec.structs.replace(evidence(), assertion_unreadable=SECRET),
            ["a response that could not be read"],
        ),
        (in_the_registration, ["the registration"]),
        (in_the_name, ["the names of user, session and transaction"]),
    ],
)
def test_a_secret_is_found_where_it_stands_as_a_whole_text_outside_the_order(
    made: Callable[[], Evidence], places: list[str]
) -> None:
    assert found_in([SECRET], made()) == places
    assert found_in(["", "another"], made()) == []


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_a_phone_sends_is_looked_through(sent: Any) -> None:
    whole = json.dumps({"outer": sent, "inner": [SECRET]})
    assert found_in([SECRET], msgspec.structs.replace(evidence(), assertion=whole)) == ["the response"]


def test_the_server_notes_that_it_looked_and_where_a_secret_stands_and_the_rules_read_it() -> None:
    found: list[Any] = []
    with ExitStack() as stack:
        play = Play(stack, scheme="https")
        bank, handset = play.bank()
        assert handset is not None
        for leak in (False, True):
            transaction = bank.start()
            response = json.loads(b64url_decode(handset.header(transaction), "header"))
            if leak:
                response["clientExtensionResults"]["note"] = PASSCODE
            header = b64url_encode(json.dumps(response).encode())
            assert bank.step_up(transaction, None, header).status_code == 200
            bundle = json.loads(bank.http.get(f"/_stub/transactions/{transaction}/evidence").content)
            entry = next(e for e in bundle["log"] if e["event"] == "sca_attempt" and e["transaction"] == transaction)
            rules = {rule["id"]: rule["verdict"] for rule in bank.verdict(transaction)["compliance"]["rules"]}
            found.append((entry["fields"]["secret_found_in"], rules["RTS-6.2"], rules["RTS-22.1"]))
    assert found == [([], "pass", "pass"), (["the response"], "fail", "fail")]


def test_a_secret_is_in_no_printed_form_of_a_call() -> None:
    assert SECRET not in repr(Try(method="PASSCODE", problem="", given=(SECRET,)))
