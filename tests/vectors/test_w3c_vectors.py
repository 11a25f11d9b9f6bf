"""The fifteen credentials of the WebAuthn Level 3 test vectors: judged as they are, and with one thing altered each."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from device_keys.encoding import FormatError
from device_keys.messages import AttestationObject, parse_attestation_object
from server_stub.checks.ceremonies import credential_facts, failures, verify_assertion, verify_registration
from server_stub.policy import SPEC_VECTOR, STRICT
from server_stub.trust import NamedPem, Trust
from server_stub.verdict import Outcome
from tests.support.w3c_vectors import CASE_BY_NAME, DIGESTS, attestation_ca, derive

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CA_START, CA_END = datetime(2024, 1, 1, tzinfo=UTC), datetime(3024, 1, 1, tzinfo=UTC)
CARRIED = (
    "android-key-es256", "apple-es256", "none-es256", "none-es256-crossOrigin", "none-es256-long-credential-id",
    "none-es256-topOrigin", "packed-ed448", "packed-eddsa", "packed-es256", "packed-es384", "packed-es512", "packed-rs256",
    "packed-self-es256",
)  # fmt: skip
NOT_CARRIED = ("fido-u2f-es256", "tpm-es256")
CERTIFIED = tuple(name for name in CARRIED if name.startswith(("packed-e", "packed-r", "apple", "android")))

# Which rules of the strict policy each vector breaks, beside its relying party's name; `docs/vectors.md` says why.
BACKED_UP = "attestation.backup_policy"
STRICT_FAILURES = {
    "android-key-es256": {"attestation.chain", "attestation.security_level", "attestation.key_origin", "attestation.purpose",
                          "attestation.application", "attestation.verified_boot", "attestation.device_locked",
                          "attestation.patch_level", "attestation.gate", BACKED_UP},
    "apple-es256": {"attestation.format", BACKED_UP},
    "none-es256": {"attestation.format", BACKED_UP},
    "none-es256-crossOrigin": {"attestation.format", "attestation.client_data"},
    "none-es256-long-credential-id": {"attestation.format", BACKED_UP},
    "none-es256-topOrigin": {"attestation.format", "attestation.client_data"},
    "packed-ed448": {"attestation.format", "attestation.algorithm", BACKED_UP},
    "packed-eddsa": {"attestation.format", "attestation.algorithm"},
    "packed-es256": {"attestation.format", BACKED_UP},
    "packed-es384": {"attestation.format", "attestation.algorithm", BACKED_UP},
    "packed-es512": {"attestation.format", "attestation.algorithm", BACKED_UP},
    "packed-rs256": {"attestation.format", "attestation.algorithm", BACKED_UP},
    "packed-self-es256": {"app_attest.present", BACKED_UP},
    "fido-u2f-es256": {"attestation.format"},
    "tpm-es256": {"attestation.format", BACKED_UP},
}  # fmt: skip


@pytest.fixture(scope="module")
def anchors() -> Trust:
    certificate = x509.load_der_x509_certificate(attestation_ca())
    return Trust([NamedPem("w3c", certificate.public_bytes(Encoding.PEM).decode())], {})


def judge_registration(
    case: Any, anchors: Trust, *, policy: Any = SPEC_VECTOR, now: datetime = NOW, **changes: Any
) -> dict[str, str]:
    challenge = changes.pop("challenge", case.made["challenge"])
    return failures(verify_registration(case.registration(**changes), challenge, policy, anchors, now))


def test_all_fifteen_are_here(w3c: dict[str, Any]) -> None:
    assert sorted(w3c) == sorted((*CARRIED, *NOT_CARRIED))
    assert sorted(DIGESTS) == sorted((*w3c, "attestation-ca"))


@pytest.mark.parametrize("name", sorted((*CARRIED, *NOT_CARRIED)))
def test_every_value_made_again_is_the_specification_s(name: str) -> None:
    """WebAuthn L3 "Test Vectors": what follows judges the published bytes, although they are not kept here."""
    made = derive(CASE_BY_NAME[name])
    for value, digest in DIGESTS[name].items():
        ceremony, _, field = value.partition(".")
        assert hashlib.sha256(made[ceremony][field]).hexdigest() == digest, value


def test_the_root_made_again_is_the_specification_s() -> None:
    expected = DIGESTS["attestation-ca"]["attestation_ca_cert"]
    assert hashlib.sha256(attestation_ca()).hexdigest() == expected


def test_the_published_files_hold_the_same_bytes(vectors: Path) -> None:
    folder = vectors / "webauthn-l3"
    records = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    assert bytes.fromhex(records.pop("attestation-ca")["attestation_ca_cert"]) == attestation_ca()
    assert sorted(records) == sorted(CASE_BY_NAME)
    for name, record in records.items():
        for ceremony, values in derive(CASE_BY_NAME[name]).items():
            assert {field: record[ceremony][field] for field in values} == {f: v.hex() for f, v in values.items()}, name


@pytest.mark.parametrize("name", CARRIED)
def test_registration_of_every_carried_format_passes_spec_vector(
    name: str, w3c: dict[str, Any], anchors: Trust
) -> None:
    """WebAuthn L3 "Registering a New Credential": nothing fails, nothing is left unjudged, and something was judged."""
    findings = verify_registration(w3c[name].registration(), w3c[name].made["challenge"], SPEC_VECTOR, anchors, NOW)
    assert {finding.outcome for finding in findings} <= {Outcome.PASS, Outcome.NOT_APPLICABLE}
    passed = {finding.check for finding in findings if finding.outcome is Outcome.PASS}
    assert {"attestation.client_data", "attestation.rp_id", "attestation.algorithm", "attestation.format"} <= passed
    assert ("attestation.chain" in passed) == (name in CERTIFIED)
    assert ("attestation.statement" in passed) == name.startswith(("packed", "android"))


@pytest.mark.parametrize("name", NOT_CARRIED)
def test_formats_that_no_phone_makes_are_refused_by_name(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    findings = verify_registration(w3c[name].registration(), w3c[name].made["challenge"], SPEC_VECTOR, anchors, NOW)
    assert failures(findings) == {"attestation.format": "no-phone-makes-it"}
    refusal = next(finding for finding in findings if finding.check == "attestation.format")
    assert (refusal.actual or "").startswith(name.removesuffix("-es256"))


@pytest.mark.parametrize("name", sorted((*CARRIED, *NOT_CARRIED)))
def test_the_strict_policy_refuses_each_for_the_documented_reasons(
    name: str, w3c: dict[str, Any], anchors: Trust
) -> None:
    policy = msgspec.structs.replace(STRICT, rp_id="example.org", origins=("https://example.org",))
    assert set(judge_registration(w3c[name], anchors, policy=policy)) == STRICT_FAILURES[name]


@pytest.mark.parametrize("name", sorted((*CARRIED, *NOT_CARRIED)))
def test_every_assertion_verifies(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    """WebAuthn L3 "Verifying an Authentication Assertion", with the key of the registration, for all fifteen."""
    findings = assertion_findings(w3c[name], anchors)
    bad = {check: reason for check, reason in failures(findings).items() if not check.startswith("attestation.")}
    assert not bad
    assert outcome(findings, "assertion.signature") is Outcome.PASS
    assert outcome(findings, "assertion.challenge") is Outcome.PASS
    if name in CARRIED:
        assert not failures(findings)


def assertion_findings(
    case: Any, anchors: Trust, *, policy: Any = SPEC_VECTOR, challenge: bytes | None = None, **changes: bytes
) -> Any:
    facts = credential_facts(case.registration(), case.made["challenge"], NOW)
    return verify_assertion(case.assertion(**changes), challenge or case.used["challenge"], facts, policy, anchors, NOW)


def outcome(findings: Any, check: str) -> Outcome:
    found: Outcome = next(finding.outcome for finding in findings if finding.check == check)
    return found


# --- altered twins ------------------------------------------------------------------------------------------------------


def flipped(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


@pytest.mark.parametrize("name", sorted((*CARRIED, *NOT_CARRIED)))
@pytest.mark.parametrize("part", ["clientDataJSON", "authenticatorData", "signature"])
def test_one_bit_changed_anywhere_in_an_assertion_is_noticed(
    name: str, part: str, w3c: dict[str, Any], anchors: Trust
) -> None:
    """Every byte in turn would be slow for all; every seventh, from the first on, covers each field."""
    case = w3c[name]
    good = case.used[part]
    for index in range(0, len(good), 7):
        findings = assertion_findings(case, anchors, **{part: flipped(good, index)})
        assert any(
            f.outcome in (Outcome.FAIL, Outcome.NOT_RUN) and not f.check.startswith("attestation.") for f in findings
        ), index


@pytest.mark.parametrize("name", CARRIED)
def test_another_challenge_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    assert judge_registration(w3c[name], anchors, challenge=b"x" * 32) == {"attestation.client_data": "challenge"}
    assert failures(assertion_findings(w3c[name], anchors, challenge=b"x" * 32)) == {"assertion.challenge": "challenge"}


@pytest.mark.parametrize("name", CARRIED)
def test_another_origin_or_relying_party_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    """The policy's expectation changes, the bytes do not: so nothing but this rule can fail."""
    elsewhere = msgspec.structs.replace(SPEC_VECTOR, origins=("https://example.net",))
    assert judge_registration(w3c[name], anchors, policy=elsewhere) == {"attestation.client_data": "origin"}
    assert failures(assertion_findings(w3c[name], anchors, policy=elsewhere)) == {
        "attestation.client_data": "origin",
        "assertion.origin": "origin",
    }
    other = msgspec.structs.replace(SPEC_VECTOR, rp_id="example.net")
    assert judge_registration(w3c[name], anchors, policy=other) == {"attestation.rp_id": "rp-id-hash"}


@pytest.mark.parametrize("name", ["none-es256-crossOrigin", "none-es256-topOrigin"])
def test_embedding_is_refused_unless_the_policy_allows_it(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    alone = msgspec.structs.replace(SPEC_VECTOR, allow_cross_origin=False)
    found = failures(assertion_findings(w3c[name], anchors, policy=alone))
    assert found == {"attestation.client_data": "cross-origin", "assertion.cross_origin": "cross-origin"}
    if name.endswith("topOrigin"):
        nobody = msgspec.structs.replace(SPEC_VECTOR, top_origins=())
        found = failures(assertion_findings(w3c[name], anchors, policy=nobody))
        assert found == {"attestation.client_data": "top-origin", "assertion.top_origin": "top-origin"}


def replaced_statement(case: Any, **fields: Any) -> bytes:
    original = parse_attestation_object(case.made["attestationObject"])
    return AttestationObject(original.fmt, {**original.statement, **fields}, original.auth_data).encode()


@pytest.mark.parametrize("name", [name for name in CARRIED if name.startswith(("packed", "android"))])
def test_a_changed_statement_signature_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    signature = parse_attestation_object(w3c[name].made["attestationObject"]).statement["sig"]
    broken = replaced_statement(w3c[name], sig=flipped(signature, len(signature) - 1))
    assert judge_registration(w3c[name], anchors, attestationObject=broken) == {"attestation.statement": "signature"}


@pytest.mark.parametrize("name", [name for name in CARRIED if name.startswith(("packed", "android"))])
def test_another_statement_algorithm_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    broken = replaced_statement(w3c[name], alg=-37)
    assert set(judge_registration(w3c[name], anchors, attestationObject=broken)) == {"attestation.statement"}


@pytest.mark.parametrize("name", CERTIFIED)
def test_a_changed_certificate_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    """The last byte of a certificate belongs to its issuer's signature."""
    [leaf] = parse_attestation_object(w3c[name].made["attestationObject"]).statement["x5c"]
    broken = replaced_statement(w3c[name], x5c=[flipped(leaf, len(leaf) - 1)])
    assert judge_registration(w3c[name], anchors, attestationObject=broken) == {"attestation.chain": "unknown-maker"}


@pytest.mark.parametrize("name", CERTIFIED)
def test_a_chain_without_its_root_among_the_anchors_is_refused(name: str, w3c: dict[str, Any]) -> None:
    assert judge_registration(w3c[name], Trust([], {})) == {"attestation.chain": "unknown-maker"}


@pytest.mark.parametrize("name", CERTIFIED)
def test_without_a_revocation_list_certified_formats_fail_closed(
    name: str, w3c: dict[str, Any], anchors: Trust
) -> None:
    assert judge_registration(w3c[name], Trust(anchors.pems, None)) == {"attestation.revocation": "list-unavailable"}


@pytest.mark.parametrize("name", [name for name in CERTIFIED if not name.startswith("android")])
def test_one_second_outside_validity_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    """RFC 5280: both ends of the validity belong to it. (An Android leaf's dates are the phone's own and not judged.)"""
    [leaf] = parse_attestation_object(w3c[name].made["attestationObject"]).statement["x5c"]
    certificate = x509.load_der_x509_certificate(leaf)
    first, last, second = certificate.not_valid_before_utc, certificate.not_valid_after_utc, timedelta(seconds=1)
    assert judge_registration(w3c[name], anchors, now=first) == {}
    assert judge_registration(w3c[name], anchors, now=last) == {}
    assert judge_registration(w3c[name], anchors, now=first - second) == {"attestation.validity": "not-yet-valid"}
    assert judge_registration(w3c[name], anchors, now=last + second) == {"attestation.validity": "expired"}


@pytest.mark.parametrize("name", CARRIED)
def test_a_truncated_attestation_object_is_a_format_error(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    whole = w3c[name].made["attestationObject"]
    for end in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(FormatError):
            judge_registration(w3c[name], anchors, attestationObject=whole[:end])


@pytest.mark.parametrize("name", CERTIFIED)
def test_one_bit_changed_in_an_attestation_object_is_noticed(name: str, w3c: dict[str, Any], anchors: Trust) -> None:
    """Refused by a finding, or unreadable as the documented error: never accepted, never anything else."""
    whole = w3c[name].made["attestationObject"]
    for index in range(0, len(whole), 5):
        try:
            assert judge_registration(w3c[name], anchors, attestationObject=flipped(whole, index)), index
        except FormatError:
            continue
