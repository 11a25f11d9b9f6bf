"""Whatever the evidence holds, `judge` gives a finding for every check and never raises: bad input is an answer, not a crash."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authenticator.profiles import PROFILES
from device_keys.encoding import b64url_decode, b64url_encode
from server_stub.checks.case import Case, received_counters
from server_stub.checks.table import CHECKS, accepted, judge, judge_case
from server_stub.evidence import CredentialFacts, Evidence, NonceFacts, SecretFacts, TransactionFacts
from server_stub.policy import LENIENT, STRICT
from server_stub.trust import Trust
from server_stub.verdict import Outcome

QUICK = settings(max_examples=150)
DEEP = settings(max_examples=10_000)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=30),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "id",
        "rawId",
        "type",
        "response",
        "clientDataJSON",
        "authenticatorData",
        "signature",
        "userHandle",
        "clientExtensionResults",
        "appAttest",
        "challenge",
        "origin",
        "crossOrigin",
        "topOrigin",
        "payment",
        "device",
        "nonce",
        "signedAt",
        "total",
        "value",
        "currency",
        "payeeName",
        "rpId",
        "instrument",
        "displayName",
        "fmt",
        "attStmt",
        "authData",
        "attestationObject",
        "amount",
        "payee",
        "name",
    ]
)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
TEXTS = st.text(max_size=40) | st.binary(max_size=40).map(b64url_encode)


@lru_cache
def base(honest: ModuleType, name: str, method: str) -> Evidence:
    evidence: Evidence = honest.Approval(honest.Enrolled(PROFILES[name]), method).evidence()
    return evidence


def judged_without_raising(evidence: Evidence, trust: Trust) -> None:
    for policy in (STRICT, LENIENT):
        case = Case(evidence, policy, trust)
        findings = judge_case(case)
        assert [finding.check for finding in findings] == [check.id for check in CHECKS]
        assert all(finding.outcome in Outcome for finding in findings)
        assert len(received_counters(case)) == 2


def _mutate(draw: st.DrawFn, value: Any, depth: int = 0) -> Any:
    """The same JSON with some parts replaced, removed, or looked into: base64url texts are decoded, altered and encoded again."""
    if isinstance(value, dict):
        changed = {
            name: _mutate(draw, child, depth + 1) for name, child in value.items() if draw(st.integers(0, 40)) != 7
        }
        return {**changed, draw(NAMES): draw(JSON)} if draw(st.integers(0, 25)) == 3 else changed
    if draw(st.integers(0, 12)) != 5:
        return value
    if isinstance(value, str) and draw(st.booleans()):
        try:
            data = b64url_decode(value)
        except ValueError:
            return draw(TEXTS)
        if data.startswith(b"{"):
            return b64url_encode(json.dumps(_mutate(draw, json.loads(data), depth + 1)).encode())
        if data:
            at, bits = draw(st.integers(0, len(data) - 1)), draw(st.integers(1, 255))
            data = data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
        return b64url_encode(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)
    return draw(JSON)


@st.composite
def altered_json(draw: st.DrawFn, value: Any) -> Any:
    return _mutate(draw, value)


def _altered_assertion(data: st.DataObject, honest: ModuleType, trust: Trust) -> None:
    name, method = (
        data.draw(st.sampled_from(["pixel-9", "iphone-17"])),
        data.draw(st.sampled_from(["PASSCODE", "BIOMETRIC"])),
    )
    evidence = base(honest, name, method)
    record = data.draw(altered_json(json.loads(evidence.assertion or "")))
    changed = msgspec.structs.replace(evidence, assertion=json.dumps(record))
    judged_without_raising(changed, trust)
    if record != json.loads(evidence.assertion or "") and _signed_parts(record) != _signed_parts(
        json.loads(evidence.assertion or "")
    ):
        assert not accepted(judge(changed, STRICT, trust))


def _signed_parts(record: Any) -> Any:
    response = record.get("response") if isinstance(record, dict) else None
    names = ("clientDataJSON", "authenticatorData", "signature")
    return [response.get(name) for name in names] if isinstance(response, dict) else None


def _altered_registration(data: st.DataObject, honest: ModuleType, trust: Trust) -> None:
    name = data.draw(st.sampled_from(["pixel-9", "pixel-5", "iphone-17", "emulator", "security-key"]))
    evidence = base(honest, name, "PASSCODE")
    assert evidence.credential is not None
    changes = {
        "registration": data.draw(altered_json(evidence.credential.registration)),
        "app_attest": data.draw(altered_json(evidence.credential.app_attest))
        if evidence.credential.app_attest
        else None,
        "app_attest_covers": data.draw(
            st.just(evidence.credential.app_attest_covers) | st.lists(TEXTS, max_size=2).map(tuple)
        ),
    }
    if not isinstance(changes["registration"], dict) or not isinstance(changes["app_attest"], dict | None):
        return
    credential = msgspec.structs.replace(evidence.credential, **changes)
    judged_without_raising(msgspec.structs.replace(evidence, credential=credential), trust)


def _arbitrary(data: st.DataObject, honest: ModuleType, trust: Trust) -> None:
    """Every field of the evidence at once; the assertion is any text."""
    draw = data.draw
    known = base(honest, "pixel-9", "PASSCODE")
    payload = draw(st.just(honest.PAYMENT) | st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=5) | JSON)
    transaction = TransactionFacts(
        id=draw(TEXTS), dialect="bank", kind=draw(st.sampled_from(["payment", "account-access"])), user=draw(TEXTS), session=draw(TEXTS),
        state=draw(st.sampled_from(["ISSUED", "VERIFIED", "VOID", "?"])), payload=payload, created_at=draw(INSTANTS),
        expires_at=draw(INSTANTS),
    )  # fmt: skip
    credential = CredentialFacts(
        credential_id=draw(TEXTS), device_id="", dialect="bank", user=draw(TEXTS), factor="possession",
        registration=draw(st.dictionaries(NAMES, JSON, max_size=4)), challenge=draw(TEXTS), enrolled_at=draw(INSTANTS), sign_count=3,
        app_attest=draw(st.none() | st.dictionaries(NAMES, JSON, max_size=3)),
    )  # fmt: skip
    evidence = Evidence(
        now=draw(INSTANTS),
        attempt=1,
        method=draw(st.sampled_from(["PASSCODE", "BIOMETRIC", "AUTHY", "SMS"]) | st.text(max_size=9)),
        transaction=draw(st.just(known.transaction) | st.just(transaction)),
        caller=known.caller,
        secret=draw(st.none() | st.just(known.secret) | st.just(SecretFacts(kind="otp-sms", result="expired"))),
        declined=draw(st.booleans()),
        assertion=draw(st.none() | st.just(known.assertion) | JSON.map(json.dumps) | st.text(max_size=60)),
        assertion_unreadable=draw(st.none() | TEXTS),
        credential=draw(st.none() | st.just(known.credential) | st.just(credential)),
        nonce=draw(
            st.none()
            | st.just(known.nonce)
            | st.builds(NonceFacts, value=TEXTS, transaction_id=TEXTS, issued_at=INSTANTS, expires_at=INSTANTS)
        ),
        device_required=draw(st.booleans()),
    )
    judged_without_raising(evidence, trust)


KINDS = [_altered_assertion, _altered_registration, _arbitrary]


@pytest.mark.parametrize("kind", KINDS)
def test_judge_never_raises(kind: Any, honest: ModuleType, trust: Trust) -> None:
    QUICK(given(st.data())(lambda data: kind(data, honest, trust)))()


@pytest.mark.deep
@pytest.mark.parametrize("kind", KINDS)
def test_judge_never_raises_at_length(kind: Any, honest: ModuleType, trust: Trust) -> None:
    DEEP(given(st.data())(lambda data: kind(data, honest, trust)))()


def test_evidence_judged_again_from_its_json_gives_the_same_findings(honest: ModuleType, trust: Trust) -> None:
    """A bundle is appraised years later: nothing may hang on the objects in memory."""
    from server_stub.evidence import decode_evidence, encode

    for name in ("pixel-9", "iphone-17"):
        for method in ("PASSCODE", "BIOMETRIC"):
            evidence = base(honest, name, method)
            again = decode_evidence(encode(evidence))
            assert judge(again, STRICT, Trust.from_json(trust.to_json())) == judge(evidence, STRICT, trust)
