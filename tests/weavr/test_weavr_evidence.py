"""Weavr's verdicts as evidence: bundles that appraise alike, no secret in them or in the log, and runs that repeat with a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from device_keys.entropy import SeededEntropy
from server_stub.appraisal import appraise
from server_stub.bundle import read_bundle
from server_stub.evidence_key import read_public_key

TYPE = "outgoing_wire_transfers"


def bundle(world: Any, transaction: str) -> bytes:
    answer = world.http.get(f"/_stub/transactions/{transaction}/evidence")
    assert answer.status_code == 200
    return bytes(answer.content)


def by_sms(multi: Any, world: Any, handset: Any) -> str:
    multi.step_up()
    return str(world.transactions()[0]["transactionId"])


def by_wrong_code(multi: Any, world: Any, handset: Any) -> str:
    multi.issue()
    multi.verify(multi.wrong())
    return str(world.transactions()[0]["transactionId"])


def by_biometric(multi: Any, world: Any, handset: Any) -> str:
    challenge = multi.post("/stepup/challenges/push/BIOMETRIC").json()["id"]
    handset.approve(challenge)
    return str(challenge)


def by_payment_push(multi: Any, world: Any, handset: Any) -> str:
    resources = {"resourceType": TYPE, "resourceIds": [multi.transfer()]}
    challenge = multi.post("/challenges/push/BIOMETRIC", resources).json()["scaChallengeId"]
    handset.approve(challenge)
    return str(challenge)


@pytest.mark.parametrize("way", [by_sms, by_wrong_code, by_biometric, by_payment_push])
def test_a_bundle_appraises_like_the_server_and_holds_no_secret(
    multi: Any, world: Any, handset: Any, way: Callable[..., str]
) -> None:
    """Issue 5: a verdict and a report for every step-up, like the bank's; nothing secret and no contact data in the bundle."""
    multi.login()
    transaction = way(multi, world, handset)
    raw = bundle(world, transaction)
    key = read_public_key(world.http.get("/_stub/evidence-key").content)
    appraised = json.loads(json.dumps(appraise(read_bundle(raw), server_key=key).verdict.to_json()))
    assert appraised == world.verdict(transaction)
    secrets = [multi.token, "Passw0rd!", "+447700900123", "alice@example.com", *(m["code"] for m in world.messages())]
    log = json.dumps(world.stub("GET", "/log"))
    assert [secret for secret in secrets if secret.encode() in raw or secret in log] == []


def test_every_challenge_of_every_kind_is_a_transaction(multi: Any, world: Any, handset: Any) -> None:
    """DESIGN: newest first, with kind and payload; enrolment, step-up and payment alike."""
    multi.login()
    world.put_user(factors={})
    multi.post("/authentication_factors/otp/SMS")
    multi.post("/authentication_factors/otp/SMS/verify", {"verificationCode": world.code()})
    by_sms(multi, world, handset)
    by_payment_push(multi, world, handset)
    multi.post("/login_via_biometrics", {"email": "alice@example.com"})
    kinds = [(t["kind"], t["payload"].get("purpose"), t["methods"]) for t in world.transactions()]
    assert kinds == [
        ("account-access", "login", ["BIOMETRIC"]),
        ("payment", None, ["BIOMETRIC", "PASSCODE"]),
        ("account-access", "step-up", ["SMS"]),
        ("account-access", "enrol-sms", ["SMS"]),
    ]


def test_the_phone_lists_pushes_and_not_codes(multi: Any, world: Any, handset: Any) -> None:
    """A code by SMS is nothing to approve."""
    multi.login()
    multi.issue()
    assert handset.pending() == []


def test_codes_and_secrets_lie_in_the_store_as_digests(multi: Any, world: Any) -> None:
    """RTS Art. 22(2)(b): neither code nor token nor password in sessions, tokens or transactions; SMS and test users lie outside."""
    multi.issue()
    with world.server.store.reading() as unit:
        held = [*unit.transactions(), *unit.sessions("weavr", "110000000000000001")]
        tokens = [unit.token_record(multi.token)]
    text = repr([held, tokens])
    assert [secret for secret in (world.code(), multi.token, "Passw0rd!") if secret in text] == []


def transcript(make_world: Callable[..., Any]) -> list[Any]:
    world = make_world(seed="same")
    world.server.store.entropy = SeededEntropy("same")
    multi = world.client()
    answers = [
        multi.login(),
        multi.issue(),
        multi.verify(),
        multi.post("/outgoing_wire_transfers", {}),
        multi.protected(),
    ]
    return [(answer.status_code, sorted(answer.headers.items()), answer.content) for answer in answers] + [
        world.messages(),
        world.transactions(),
        world.stub("GET", "/log"),
    ]


def test_with_a_seed_everything_repeats_to_the_byte(make_world: Callable[..., Any]) -> None:
    """DESIGN 4: tokens, ids, codes, log hashes and references of answers."""
    assert transcript(make_world) == transcript(make_world)
