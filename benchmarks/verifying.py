"""Rows `verify_assertion` and `verify_registration`: one verifier beside the raw signature checks that it cannot do without."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.material import NOW, ORIGIN, RP_ID, Authenticator, Certified, Maker, b64url
from benchmarks.processes import externals, node
from benchmarks.rounds import Contestant, InProcess, Row, compare
from device_keys.encoding import b64url_encode
from server_stub.checks.ceremonies import credential_facts, verify_assertion, verify_registration
from server_stub.policy import LENIENT
from server_stub.trust import NamedPem, Trust
from server_stub.verdict import Finding, Outcome

_ES256 = ec.ECDSA(hashes.SHA256())
ASSERTIONS = 256
REGISTRATIONS = 600  # more than any cache of ours keeps
ROUNDS = 9


def assertion_row() -> Row:
    """An AuthenticationResponseJSON text in, all findings out; the attestation's findings are those kept of the credential."""
    device = Authenticator()
    signed = [device.sign(counter + 1) for counter in range(ASSERTIONS)]
    facts = credential_facts(device.registration, device.challenge, NOW)
    policy, trust = LENIENT, Trust([], {})
    public = device.key.public_key()

    def raw(index: int) -> None:
        one = signed[index % ASSERTIONS]
        public.verify(one.signature, one.signed, _ES256)

    def ours(index: int) -> tuple[Finding, ...]:
        one = signed[index % ASSERTIONS]
        return verify_assertion(one.text, one.challenge, facts, policy, trust, NOW)

    _must_pass(ours(0))
    bad = msgspec.structs.replace(facts, sign_count=ASSERTIONS)
    _must_fail(verify_assertion(signed[0].text, signed[0].challenge, bad, policy, trust, NOW))
    contestants: dict[str, Contestant] = {"limit": InProcess(raw), "ours": InProcess(ours)}
    contestants |= {
        "py_webauthn": InProcess(_py_webauthn_assertion(device, signed)),
        "python-fido2": InProcess(_fido2_assertion(device, signed)),
    }
    material = {
        "rpId": RP_ID, "origin": ORIGIN, "credentialId": b64url(device.credential_id), "cose": b64url(device.cose),
        "assertions": [{"text": one.text, "challenge": b64url(one.challenge)} for one in signed],
    }  # fmt: skip
    return _row("verify_assertion", "raw ECDSA P-256 verify, key object kept", 0.85, contestants, "assertion", material)


def registration_row() -> Row:
    """A RegistrationResponseJSON in, all findings out; x5c holds leaf and intermediate, the root is in the store. Every leaf is new."""
    maker = Maker()
    made = [maker.register() for _ in range(REGISTRATIONS)]
    policy, trust = LENIENT, Trust([NamedPem("fido-bench", maker.root_pem)], {})
    flat = [one.signatures for one in made]

    def raw(index: int) -> None:
        for key, signature, data in flat[index % REGISTRATIONS]:
            key.verify(signature, data, _ES256)

    def ours(index: int) -> tuple[Finding, ...]:
        one = made[index % REGISTRATIONS]
        return verify_registration(one.record, one.challenge, policy, trust, NOW)

    _must_pass(ours(0), "attestation.chain", "attestation.statement")
    _must_fail(verify_registration(made[0].record, made[1].challenge, policy, trust, NOW))
    contestants: dict[str, Contestant] = {"limit": InProcess(raw), "ours": InProcess(ours)}
    contestants |= {
        "py_webauthn": InProcess(_py_webauthn_registration(maker, made)),
        "python-fido2": InProcess(_fido2_registration(maker, made)),
    }
    material = {
        "rpId": RP_ID, "origin": ORIGIN, "root": maker.root_pem,
        "registrations": [{"text": one.text, "challenge": b64url(one.challenge)} for one in made],
    }  # fmt: skip
    return _row("verify_registration", "its three raw verifies", 0.60, contestants, "registration", material)


def _row(name: str, limit: str, target: float, contestants: dict[str, Contestant], what: str, material: Any) -> Row:
    with externals({"SimpleWebAuthn": node("simplewebauthn.mjs", what)}, material) as others:
        costs = compare({**contestants, **others}, rounds=ROUNDS)
    peers = {peer: costs.share(peer, "limit") for peer in costs.per_round if peer not in ("limit", "ours")}
    return Row(
        name, limit, "higher", costs.share("ours", "limit"), target,
        {peer: sorted(values)[len(values) // 2] for peer, values in peers.items()}, "µs", costs.medians(1e6),
    )  # fmt: skip


def _must_pass(findings: tuple[Finding, ...], *ids: str) -> None:
    """A benchmark of a verifier that refuses, or that checks nothing, would mean nothing."""
    passed = {finding.check for finding in findings if finding.outcome is Outcome.PASS}
    refused = [finding for finding in findings if finding.outcome in (Outcome.FAIL, Outcome.NOT_RUN)]
    if refused or not passed.issuperset(ids) or not passed:
        raise RuntimeError(f"the material is not accepted: {refused}")


def _must_fail(findings: tuple[Finding, ...]) -> None:
    if not any(finding.outcome is Outcome.FAIL for finding in findings):
        raise RuntimeError("a wrong message is accepted")


# --- peers --------------------------------------------------------------------------------------------------------------


def _py_webauthn_assertion(device: Authenticator, signed: list[Any]) -> Callable[[int], object]:
    from webauthn import verify_authentication_response

    key = device.cose

    def one(index: int) -> object:
        message = signed[index % ASSERTIONS]
        return verify_authentication_response(
            credential=message.text, expected_challenge=message.challenge, expected_rp_id=RP_ID, expected_origin=ORIGIN,
            credential_public_key=key, credential_current_sign_count=0,
        )  # fmt: skip

    return one


def _py_webauthn_registration(maker: Maker, made: list[Certified]) -> Callable[[int], object]:
    from webauthn import verify_registration_response
    from webauthn.helpers.structs import AttestationFormat

    roots = {AttestationFormat.PACKED: [maker.root_pem.encode()]}

    def one(index: int) -> object:
        message = made[index % REGISTRATIONS]
        return verify_registration_response(
            credential=message.record, expected_challenge=message.challenge, expected_rp_id=RP_ID, expected_origin=ORIGIN,
            pem_root_certs_bytes_by_fmt=roots,
        )  # fmt: skip

    return one


def _fido2_assertion(device: Authenticator, signed: list[Any]) -> Callable[[int], object]:
    from fido2 import cbor
    from fido2.cose import CoseKey
    from fido2.server import Fido2Server
    from fido2.webauthn import AttestedCredentialData, PublicKeyCredentialRpEntity

    server = Fido2Server(PublicKeyCredentialRpEntity(name="bench", id=RP_ID))
    key = CoseKey.parse(cbor.decode(device.cose))
    credentials = [AttestedCredentialData.create(bytes(range(16)), device.credential_id, key)]
    records = [json.loads(message.text) for message in signed]

    def one(index: int) -> object:
        state = {"challenge": b64url_encode(signed[index % ASSERTIONS].challenge), "user_verification": None}
        return server.authenticate_complete(state, credentials, records[index % ASSERTIONS])

    return one


def _fido2_registration(maker: Maker, made: list[Certified]) -> Callable[[int], object]:
    from cryptography.hazmat.primitives.serialization import Encoding
    from fido2.attestation import AttestationVerifier
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialRpEntity

    root = maker.root.public_bytes(Encoding.DER)

    class Roots(AttestationVerifier):
        def ca_lookup(self, attestation_result: Any, auth_data: Any) -> bytes:
            return root

    server = Fido2Server(
        PublicKeyCredentialRpEntity(name="bench", id=RP_ID), attestation="direct", verify_attestation=Roots()
    )

    def one(index: int) -> object:
        message = made[index % REGISTRATIONS]
        state = {"challenge": b64url_encode(message.challenge), "user_verification": None}
        return server.register_complete(state, message.record)

    return one
