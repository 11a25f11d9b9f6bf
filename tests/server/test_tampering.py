"""Every bit counts: one bit flipped anywhere in what was signed, or in the signature, and the step-up is refused (RTS-4.2.c)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from device_keys.encoding import b64url_decode, b64url_encode
from server_stub.checks.table import accepted, judge
from server_stub.evidence import Evidence
from server_stub.server import Server

from .conftest import Bank, Handset


@pytest.fixture(params=["possession", "biometric"])
def accepted_evidence(request: pytest.FixtureRequest, bank: Bank, handset: Handset, server: Server) -> Evidence:
    """The evidence of a step-up that was accepted."""
    transaction = bank.start()
    body = bank.biometric() if request.param == "biometric" else None
    assert bank.step_up(transaction, body, handset.header(transaction, request.param)).status_code == 200
    with server.store.reading() as unit:
        stored = unit.verdict(transaction)
    assert stored is not None
    assert accepted(judge(stored.evidence, server.policy, server.trust))
    return stored.evidence


def flipped(evidence: Evidence, member: str) -> Iterator[Evidence]:
    """The evidence with each single bit of one member of the response flipped."""
    assert evidence.assertion is not None
    whole = json.loads(evidence.assertion)
    raw = b64url_decode(whole["response"][member])
    for index in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[index // 8] ^= 1 << (index % 8)
        response = whole["response"] | {member: b64url_encode(bytes(changed))}
        yield msgspec.structs.replace(evidence, assertion=json.dumps(whole | {"response": response}))


@pytest.mark.parametrize("member", ["clientDataJSON", "authenticatorData", "signature"])
def test_a_single_flipped_bit_is_refused(accepted_evidence: Evidence, server: Server, member: str) -> None:
    tried = 0
    for evidence in flipped(accepted_evidence, member):
        tried += 1
        assert not accepted(judge(evidence, server.policy, server.trust))
    assert tried > 37 * 8 - 1
