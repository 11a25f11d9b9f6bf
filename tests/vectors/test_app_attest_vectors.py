"""A genuine App Attest session of 2021: attestation and assertion, at their own time and a minute too late, whole and altered."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from device_keys.attestation.app_attest import parse_attestation
from device_keys.keys import PublicKey
from server_stub.checks.ceremonies import failures, verify_app_assertion, verify_app_attestation
from server_stub.policy import STRICT
from server_stub.trust import NamedPem, Trust
from server_stub.verdict import Outcome


class Session:
    """The sample, decoded."""

    def __init__(self, folder: Path) -> None:
        attestation, assertion = json.loads((folder / "ios-14.4.json").read_text())[:2]
        self.attestation = base64.b64decode(attestation["attestationBase64"])
        self.key_id = base64.b64decode(attestation["keyIdBase64"])
        self.client_data_hash = hashlib.sha256(base64.b64decode(attestation["clientDataBase64"])).digest()
        self.now = datetime.fromisoformat(attestation["timestamp"])
        self.app_id = f"{attestation['teamIdentifier']}.{attestation['bundleIdentifier']}"
        self.assertion = base64.b64decode(assertion["assertionBase64"])
        self.client_data = base64.b64decode(assertion["clientDataBase64"])
        root = (folder / "Apple_App_Attestation_Root_CA.pem").read_text()
        self.trust = Trust([NamedPem("app-attest-apple", root)], {})
        self.policy = msgspec.structs.replace(
            STRICT, apple_app_ids=(self.app_id,), apple_environments=("appattestdevelop",)
        )
        self.leaf = x509.load_der_x509_certificate(parse_attestation(self.attestation).x5c[0])

    def judge(self, **changes: Any) -> dict[str, str]:
        given = {
            name: getattr(self, name)
            for name in ("attestation", "key_id", "client_data_hash", "policy", "trust", "now")
        }
        given |= changes
        return failures(verify_app_attestation(*given.values()))

    def judge_assertion(self, **changes: Any) -> dict[str, str]:
        given = {
            "assertion": self.assertion,
            "key": self.key,
            "app_id": self.app_id,
            "client_data": self.client_data,
            "counter": 0,
        }
        given |= changes
        counter = given.pop("counter")
        return failures(verify_app_assertion(*given.values(), self.policy, self.trust, counter=counter))

    @property
    def key(self) -> PublicKey:
        credential = parse_attestation(self.attestation).auth_data.credential
        assert credential is not None
        return credential.public_key


@pytest.fixture(scope="module")
def session(vectors: Path) -> Session:
    return Session(vectors / "app-attest")


def test_the_genuine_attestation_verifies_at_its_own_time(session: Session) -> None:
    """Apple, "Validating apps that connect to your server", every step."""
    findings = verify_app_attestation(
        session.attestation, session.key_id, session.client_data_hash, session.policy, session.trust, session.now
    )
    assert failures(findings) == {}
    judged = {f.check for f in findings if f.outcome is Outcome.PASS}
    assert judged >= {
        "attestation.chain", "attestation.validity", "attestation.key", "attestation.application", "attestation.challenge",
        "app_attest.environment", "app_attest.counter_zero",
    }  # fmt: skip


def test_it_fails_outside_the_leaf_s_three_days(session: Session) -> None:
    first, last = session.leaf.not_valid_before_utc, session.leaf.not_valid_after_utc
    assert session.judge(now=last) == {}
    assert session.judge(now=last + timedelta(minutes=1)) == {"attestation.validity": "expired"}
    assert session.judge(now=last + timedelta(seconds=1)) == {"attestation.validity": "expired"}
    assert session.judge(now=first - timedelta(seconds=1)) == {"attestation.validity": "not-yet-valid"}
    assert session.judge(now=datetime(2026, 11, 22, tzinfo=UTC)) == {"attestation.validity": "expired"}


def test_each_step_of_apple_s_list_is_tried(session: Session) -> None:
    assert session.judge(client_data_hash=bytes(32)) == {"attestation.challenge": "nonce"}
    assert session.judge(key_id=bytes(32)) == {"attestation.key": "key-id"}
    other_app = msgspec.structs.replace(session.policy, apple_app_ids=("6MURL8TA57.another",))
    assert session.judge(policy=other_app) == {"attestation.application": "application"}
    production = msgspec.structs.replace(session.policy, apple_environments=("appattest",))
    assert session.judge(policy=production) == {"app_attest.environment": "environment"}
    assert session.judge(trust=Trust([], {})) == {"attestation.chain": "unknown-maker"}
    serial = f"{session.leaf.serial_number:x}"
    assert session.judge(trust=Trust(session.trust.pems, {serial: "REVOKED"})) == {"attestation.revocation": "revoked"}


def test_one_byte_changed_anywhere_is_noticed(session: Session) -> None:
    """All of the authenticator data and both certificates; the receipt is Apple's own business and judged by no check."""
    start, stop = session.attestation.index(b"receipt"), session.attestation.index(b"authData")
    for index in [*range(0, start, 11), *range(stop, len(session.attestation), 5)]:
        broken = bytearray(session.attestation)
        broken[index] ^= 1
        assert session.judge(attestation=bytes(broken)), index


def test_the_genuine_assertion_verifies_with_the_nonce_hashed_twice(session: Session) -> None:
    assert session.judge_assertion() == {}


def test_assertions_altered_replayed_or_of_another_app_fail(session: Session) -> None:
    assert session.judge_assertion(client_data=b"other") == {"app_attest.assertion": "signature"}
    assert session.judge_assertion(counter=1) == {"app_attest.counter": "regression"}
    assert session.judge_assertion(app_id="6MURL8TA57.another") == {"app_attest.application": "application"}
    for index in range(len(session.assertion)):
        broken = bytearray(session.assertion)
        broken[index] ^= 1
        assert "app_attest.assertion" in session.judge_assertion(assertion=bytes(broken)), index
