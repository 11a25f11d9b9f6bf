"""Push at MFA login: the headless phone registers by the QR code's address and signs Yes or No; whatever else is signed is refused."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import segno
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from authenticator.apps import loginradius as app
from authenticator.errors import Refused
from authenticator.phone import Phone
from tests.in_process import InProcessClient
from tests.support.server import client_of, phones, servers

from .conftest import Client

URL = "http://127.0.0.1:9"
A = "/identity/v2/auth/account/2fa"
KEY = "11111111-1111-4111-8111-111111111111"


def refusal(answer: Any) -> tuple[int, int]:
    body = answer.json()
    assert {"Description", "ErrorCode", "Message", "IsProviderError", "ProviderErrorResponse"} <= set(body), body
    return answer.status_code, body["ErrorCode"]


def spki(key: Any) -> str:
    text: str = (
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo).hex()
    )
    return text


def register_by_hand(site: Any, key: Any, url: str = "", **changes: Any) -> Any:
    """What the vendor's app does, written from the published description."""
    body = {
        "deviceName": "Pixel",
        "deviceType": "android",
        "publicKey": spki(key) if key else "",
        "deviceToken": "push-1",
        **changes,
    }
    return site.http.post(url or site.ok(site.get(A))["PushQRCode"], json=body)


def signature(key: rsa.RSAPrivateKey, text: str) -> str:
    return key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()


def answer(site: Any, verify: str, signed: str, token: str = "") -> Any:
    path = "/identity/v2/auth/login/2fa/verification/push"
    site.access = ""
    return site.put(path, {"verify": verify, "signature": signed}, secondfactorauthenticationtoken=token or site.mfa)


def ping(site: Any) -> Any:
    return site.second("GET", "/push/ping")


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def make_phone(site: Any, tmp_path: Path) -> Iterator[Callable[[], Phone]]:
    with phones(tmp_path) as new:
        yield lambda: new(site.http)


@pytest.fixture
def phone(site: Any, make_phone: Callable[[], Phone]) -> Phone:
    """A phone that is registered for the demo user."""
    made = make_phone()
    app.register(made, site.ok(site.get(A))["PushQRCode"], "pixel-9")
    return made


# --- from the phone --------------------------------------------------------------------------------------------------


def test_push_approval_from_the_headless_phone(site: Any, phone: Phone) -> None:
    first = site.mfa_login()
    assert first["SecondFactorAuthentication"]["IsPushDeviceRegistered"] is True
    assert refusal(ping(site)) == (403, 1295)
    (waiting,) = app.pushes(phone, URL)
    assert waiting.payload["identifier"] == "alice@example.com"
    app.answer(phone, waiting, approved=True)
    body = ping(site).json()
    assert body["Profile"]["Uid"] == site.uid
    site.keep(ping_answer := site.second("GET", "/push/ping"))
    assert refusal(ping_answer) == (403, 1311)  # collected once
    site.access = body["access_token"]
    site.ok(site.get("/identity/v2/auth/account"))
    assert app.pushes(phone, URL) == []


def test_the_verdict_of_a_pushed_login_shows_two_categories(site: Any, phone: Phone) -> None:
    site.mfa_login()
    app.answer(phone, app.pushes(phone, URL)[0], approved=True)
    transaction = next(t for t in site.stub("GET", "/transactions") if t["methods"] == ["PUSH"])
    verdict = site.stub("GET", f"/transactions/{transaction['transactionId']}/verdict")
    assert verdict["accepted"] is True
    assert [(e["category"], e["method"], e["grade"]) for e in verdict["elements"]] == [
        ("knowledge", "password", "logged"), ("possession", "device-key", "logged"),
    ]  # fmt: skip
    rules = {rule["id"]: rule for rule in verdict["compliance"]["rules"]}
    assert {
        rules[name]["verdict"] for name in ("RTS-4.1-elements", "RTS-4.2.a", "RTS-4.2.b", "RTS-4.2.c", "RTS-9.1")
    } == {"pass"}
    assert "registered key" in rules["RTS-4.2.c"]["reason"]


def test_push_denied_from_the_headless_phone(site: Any, phone: Phone) -> None:
    site.mfa_login()
    app.answer(phone, app.pushes(phone, URL)[0], approved=False)
    assert refusal(ping(site)) == (403, 1312)
    assert site.stub("GET", "/users")[0]["failures"] == 0
    assert app.pushes(phone, URL) == []


def test_a_denied_login_has_a_verdict_that_says_so_and_counts_for_nothing(site: Any, phone: Phone) -> None:
    for _ in range(6):
        site.advance(600)  # so that the limit of SMS is not reached
        site.mfa_login()
        app.answer(phone, app.pushes(phone, URL)[0], approved=False)
        assert site.stub("GET", "/users")[0]["failures"] == 0
        verdict = site.verdict()
        assert (verdict["accepted"], verdict["elements"][1:]) == (False, [])
        found = {finding["check"]: finding["outcome"] for finding in verdict["findings"]}
        assert (found["evidence.approved"], found["secret.correct"]) == ("fail", "not_run")
        (attempt,) = [
            entry["fields"]
            for entry in site.stub("GET", "/log")
            if entry["event"] == "sca_attempt" and entry["transaction"] == verdict["transactionId"]
        ]
        assert (attempt["outcome"], attempt["public_problem_id"]) == ("declined", "1312")


def test_pending_names_the_transaction_that_the_operator_sees(site: Any, phone: Phone) -> None:
    site.mfa_login()
    (waiting,) = app.pushes(phone, URL)
    assert waiting.to_json()["transactionId"] in {t["transactionId"] for t in site.stub("GET", "/transactions")}
    assert app.find_push(phone, URL, waiting.token) == app.find_push(phone, URL, waiting.transaction_id) == waiting


def test_a_phone_that_was_replaced_signs_in_vain(site: Any, phone: Phone, make_phone: Callable[[], Phone]) -> None:
    """Another key: the published 1297."""
    site.mfa_login()
    (waiting,) = app.pushes(phone, URL)
    site.login()
    site.ok(site.call("DELETE", f"{A}/authenticator/push"))
    app.register(make_phone(), site.ok(site.get(A))["PushQRCode"], "pixel-9")
    with pytest.raises(Refused):
        app.answer(phone, waiting, approved=True)
    assert refusal(ping(site)) == (403, 1295)


def test_a_push_that_is_sent_again_replaces_the_one_before(site: Any, phone: Phone) -> None:
    site.mfa_login()
    (first,) = app.pushes(phone, URL)
    assert site.ok(site.call("POST", "/identity/v2/auth/login/2FA", {}, secondfactorauthenticationtoken=site.mfa)) == {
        "IsPosted": True
    }
    (second,) = app.pushes(phone, URL)
    assert first.transaction_id != second.transaction_id
    assert first.token == second.token
    app.answer(phone, second, approved=True)
    site.ok(ping(site))


def test_the_phone_holds_back_what_ran_out(site: Any, phone: Phone) -> None:
    site.mfa_login()
    site.advance(300)
    assert refusal(ping(site)) == (403, 1296)
    assert app.pushes(phone, URL) == []


# --- by hand: another client, and what must be refused ---------------------------------------------------------------


def test_yes_signed_by_any_rsa_key_that_was_registered(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    assert register_by_hand(site, rsa_key).json() == {"isRegistered": True}
    site.mfa_login()
    assert site.messages("push")[-1]["to"] == "push-1"
    assert answer(site, "Yes", signature(rsa_key, f"Yes{site.mfa}")).status_code == 200
    assert ping(site).status_code == 200


def test_a_signature_by_another_key_is_1297(
    site: Any, rsa_key: rsa.RSAPrivateKey, other_key: rsa.RSAPrivateKey
) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    assert refusal(answer(site, "Yes", signature(other_key, f"Yes{site.mfa}"))) == (403, 1297)
    assert refusal(ping(site)) == (403, 1295)


@pytest.mark.parametrize(
    "what", ["other token", "no token", "no instead of yes", "garbage", "empty hex", "upper case word"]
)
def test_a_signature_over_anything_else_is_1297(site: Any, rsa_key: rsa.RSAPrivateKey, what: str) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    texts = {
        "other token": f"Yes{uuid.uuid4()}",
        "no token": "Yes",
        "no instead of yes": f"No{site.mfa}",
        "upper case word": f"YES{site.mfa}",
    }
    signed = {"garbage": "zz", "empty hex": "00"}.get(what) or signature(rsa_key, texts[what])
    assert refusal(answer(site, "Yes", signed)) == (403, 1297)
    assert refusal(ping(site)) == (403, 1295)


def test_a_signed_answer_to_another_login_is_refused(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    first = site.mfa
    site.mfa_login()
    assert refusal(answer(site, "Yes", signature(rsa_key, f"Yes{first}"))) == (403, 1297)
    assert refusal(answer(site, "Yes", signature(rsa_key, f"Yes{first}"), token=str(uuid.uuid4()))) == (403, 1296)


@pytest.mark.parametrize("collected", [False, True])
def test_a_replayed_answer_is_1311(site: Any, rsa_key: rsa.RSAPrivateKey, collected: bool) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    signed = signature(rsa_key, f"Yes{site.mfa}")
    assert answer(site, "Yes", signed).status_code == 200
    if collected:
        assert ping(site).status_code == 200
    assert refusal(answer(site, "Yes", signed)) == (403, 1311)
    assert refusal(answer(site, "No", signature(rsa_key, f"No{site.mfa}"))) == (403, 1311)


def test_an_answer_after_five_minutes_is_1296(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    site.advance(300)
    assert refusal(answer(site, "Yes", signature(rsa_key, f"Yes{site.mfa}"))) == (403, 1296)


def test_an_approved_login_must_be_collected_in_time(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    assert answer(site, "Yes", signature(rsa_key, f"Yes{site.mfa}")).status_code == 200
    site.advance(300)
    assert refusal(ping(site)) == (403, 1296)


def test_wrong_signatures_count_towards_the_lock(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    register_by_hand(site, rsa_key)
    site.mfa_login()
    for _ in range(5):
        assert refusal(answer(site, "Yes", "00")) == (403, 1297)
    assert refusal(answer(site, "Yes", signature(rsa_key, f"Yes{site.mfa}"))) == (403, 1198)


def test_without_a_phone_there_is_no_push(site: Any) -> None:
    site.mfa_login()
    assert refusal(ping(site)) == (403, 1313)
    again = site.call("POST", "/identity/v2/auth/login/2fa", {}, secondfactorauthenticationtoken=site.mfa)
    assert refusal(again) == (403, 1299)
    site.mfa = str(uuid.uuid4())
    assert refusal(ping(site)) == (403, 1296)


def test_step_up_and_login_tokens_are_not_exchangeable(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    token = site.ok(site.put("/identity/v2/auth/account/reauth/pin", {"pin": "1234"}))["SecondFactorValidationToken"]
    site.mfa_login()
    assert refusal(site.validate(site.mfa)) == (403, 1193)
    site.mfa = token
    assert refusal(site.second("PUT", "/verification/otp", {"otp": "1"})) == (403, 1103)


# --- registration ----------------------------------------------------------------------------------------------------


def test_the_registration_address_is_a_qr_code_of_itself_and_serves_once(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    url = site.ok(site.get(A))["PushQRCode"]
    picture = site.http.get(url)
    assert picture.headers["content-type"] == "image/png"
    expected = io.BytesIO()
    segno.make(url, error="m").save(expected, kind="png", scale=4)
    assert picture.content == expected.getvalue()
    assert register_by_hand(site, rsa_key, url).json() == {"isRegistered": True}
    assert refusal(register_by_hand(site, rsa_key, url)) == (403, 1296)
    assert refusal(site.http.get(url)) == (403, 1296)


def test_the_picture_holds_the_registration_address_alone(site: Any) -> None:
    """Whatever else a call brings: three thousand characters fit into no QR code."""
    url = site.ok(site.get(A))["PushQRCode"]
    assert site.http.get(f"{url}&more={'m' * 3000}").content == site.http.get(url).content


def test_a_host_too_long_for_a_qr_code_is_refused_by_name() -> None:
    """Only a server that is guarded by a token answers under other names than the loopback's."""
    with servers() as new:
        site = Client(client_of(new(dialects=("loginradius",), token="operator")))
        assert site.login().status_code == 200
        url = site.ok(site.get(A))["PushQRCode"]
        refused = site.http.get(url, headers={"Host": f"{'h' * 3000}.test"})
    assert (refused.status_code, refused.json()["ErrorCode"]) == (403, 908)
    assert "Host" in refused.json()["Description"]


def test_over_tls_the_registration_address_and_its_picture_are_of_https(
    make_client: Any, rsa_key: rsa.RSAPrivateKey
) -> None:
    """A phone that followed http would send its key in the clear."""
    site = make_client()
    site.http = InProcessClient(site.http.app, base_url="https://127.0.0.1:9")
    assert site.login().status_code == 200
    url = site.ok(site.get(A))["PushQRCode"]
    assert url.startswith("https://127.0.0.1:9/")
    expected = io.BytesIO()
    segno.make(url, error="m").save(expected, kind="png", scale=4)
    assert site.http.get(url).content == expected.getvalue()


def test_the_registration_address_is_good_for_fifteen_minutes(site: Any, rsa_key: rsa.RSAPrivateKey) -> None:
    url = site.ok(site.get(A))["PushQRCode"]
    site.advance(900)
    assert refusal(register_by_hand(site, rsa_key, url)) == (403, 1296)


@pytest.mark.parametrize(
    "what", ["not hex", "upper case", "short rsa", "elliptic", "truncated", "missing", "no push token"]
)
def test_a_key_that_is_no_rsa_2048_key_in_lower_case_hex_is_refused(
    site: Any, rsa_key: rsa.RSAPrivateKey, what: str
) -> None:
    good = spki(rsa_key)
    changes = {
        "not hex": {"publicKey": "zz"},
        "upper case": {"publicKey": good.upper()},
        "short rsa": {"publicKey": spki(rsa.generate_private_key(65537, 2040))},
        "elliptic": {"publicKey": spki(ec.generate_private_key(ec.SECP256R1()))},
        "truncated": {"publicKey": good[:-8]},
        "missing": {"publicKey": ""},
        "no push token": {"deviceToken": ""},
    }[what]
    url = site.ok(site.get(A))["PushQRCode"]
    assert refusal(register_by_hand(site, rsa_key, url, **changes)) == (403, 908)
    assert register_by_hand(site, rsa_key, url).json() == {"isRegistered": True}  # a bad try does not use it up
