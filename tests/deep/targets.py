"""What is fuzzed: each parser with its one permitted answer to bad input, a `FormatError`, and what must hold where it accepts.

Used twice: by `fuzz.py`, coverage-guided and for as long as one likes, and by `test_fuzz.py`, bounded and in every test run.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import cbor2

from authenticator.attest import make
from authenticator.inspect import inspect
from authenticator.profiles import PROFILES
from device_keys.attestation import android_key, app_attest
from device_keys.attestation.certificates import extension_value, load_certificate
from device_keys.encoding import (
    FormatError,
    b64url_decode,
    b64url_encode,
    canonical_json,
    cbor_decode,
    cbor_encode,
    parse_json,
)
from device_keys.entropy import SeededEntropy
from device_keys.messages import (
    Assertion,
    Registration,
    build_client_data,
    parse_attestation_object,
    parse_authenticator_data,
    parse_client_data,
)
from server_stub.appraisal import appraise
from server_stub.bundle import read_bundle
from server_stub.checks.chain import read_chain
from server_stub.evidence_key import EvidenceKey
from tests.support.bundles import resealed

NOW: Final = datetime(2026, 5, 5, 12, 30, tzinfo=UTC)


class Target(NamedTuple):
    """`run` raises only where the parser is wrong; `seeds` makes inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def attestation(profile: str) -> Any:
    return make(PROFILES[profile], b"c" * 32, now=NOW, entropy=SeededEntropy("fuzz"))


def run_cbor(data: bytes) -> None:
    """What is accepted is canonical: it is encoded again to the same bytes, and another library reads the same."""
    try:
        value = cbor_decode(data)
    except FormatError:
        return
    assert cbor_encode(value) == data
    assert cbor2.dumps(cbor2.loads(data)) == cbor2.dumps(value)


def cbor_seeds() -> list[bytes]:
    values: list[Any] = [
        {1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32},
        {"fmt": "none", "attStmt": {}, "authData": b"a" * 37},
        [],
        [True, False, "text", 2**32, -1],
    ]
    return [*map(cbor_encode, values), attestation("pixel-9").attestation]


def run_client_data(data: bytes) -> None:
    """What is accepted, Python's own parser reads alike."""
    with suppress(FormatError):
        parsed = parse_client_data(data)
        assert json.loads(data)["type"] == parsed.type
        assert b64url_decode(json.loads(data)["challenge"]) == parsed.challenge


def client_data_seeds() -> list[bytes]:
    payment = {"payeeName": "ACME", "total": {"value": "10.00", "currency": "GBP"}}
    return [
        build_client_data("webauthn.get", b"c" * 32, "https://stepup-simulator.test"),
        build_client_data("payment.get", b"c" * 32, "https://a.test", payment=payment, device={"nonce": "n"}),
    ]


def run_key_description(data: bytes) -> None:
    """What is accepted is strict DER: it is encoded again to the same bytes."""
    with suppress(FormatError):
        assert android_key.parse_key_description(data).encode() == data


def key_description_seeds() -> list[bytes]:
    found = []
    for profile in ("pixel-9", "emulator"):
        fields = parse_attestation_object(attestation(profile).attestation)
        for der in fields.statement["x5c"]:
            value = extension_value(load_certificate(der), android_key.KEY_DESCRIPTION_OID)
            found += [value] if value else []
    return found


def run_chain(data: bytes) -> None:
    """A certificate in an `x5c`, with all that later checks look at."""
    with suppress(FormatError):
        for link in read_chain([data]):
            if link.key_description is not None:
                android_key.parse_key_description(link.key_description)


def chain_seeds() -> list[bytes]:
    found: list[bytes] = []
    for profile in ("pixel-9", "iphone-17"):
        found += parse_attestation_object(attestation(profile).attestation).statement["x5c"]
    return found


def run_app_attest(data: bytes) -> None:
    """Attestation, assertion and their authenticator data."""
    for parse in (app_attest.parse_attestation, app_attest.parse_assertion):
        with suppress(FormatError):
            parse(data)
    for attested in (True, False):
        with suppress(FormatError):
            app_attest.parse_auth_data(data, attested=attested)


def app_attest_seeds() -> list[bytes]:
    whole = attestation("iphone-17").attestation
    assertion = app_attest.encode_assertion(b"s" * 70, b"r" * 32 + b"\x40" + b"\0\0\0\1")
    return [whole, assertion, b"r" * 32 + b"\x40" + b"\0\0\0\1"]


def run_webauthn(data: bytes) -> None:
    """Attestation object, authenticator data, and the JSON forms around them."""
    for parse in (parse_attestation_object, parse_authenticator_data):
        with suppress(FormatError):
            parse(data)
    for record in (Registration, Assertion):
        with suppress(FormatError):
            record.from_json(parse_json(data))  # type: ignore[attr-defined]


def webauthn_seeds() -> list[bytes]:
    whole = attestation("pixel-9").attestation
    auth_data = parse_attestation_object(whole).auth_data
    response = {"clientDataJSON": b64url_encode(client_data_seeds()[0]), "attestationObject": b64url_encode(whole)}
    record = {"id": "aWQ", "rawId": "aWQ", "type": "public-key", "response": response, "clientExtensionResults": {}}
    signed = record | {
        "response": {"clientDataJSON": response["clientDataJSON"], "authenticatorData": "YQ", "signature": "YQ"}
    }
    return [whole, auth_data, json.dumps(record).encode(), json.dumps(signed).encode()]


def run_inspect(data: bytes) -> None:
    """JWS, PEM, JSON, CBOR, DER: the inspector answers everything, in words and as JSON."""
    json.dumps(inspect(data).to_json())


def inspect_seeds() -> list[bytes]:
    head, body = (b64url_encode(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, {"iss": "x"}))
    pem = b"-----BEGIN CERTIFICATE-----\n" + b64encode(chain_seeds()[0]) + b"\n-----END CERTIFICATE-----\n"
    return [f"{head}.{body}.{b64url_encode(b's' * 64)}".encode(), pem, *webauthn_seeds(), *app_attest_seeds()]


def run_bundle(body: bytes) -> None:
    """A bundle's body, brought into canonical form with digests and a signature that fit; what is read is appraised without a crash."""
    with suppress(FormatError):
        members = parse_json(body)
        if isinstance(members, dict):
            appraise(read_bundle(resealed(members, EVIDENCE_KEY)), server_key=EVIDENCE_KEY.public)


@cache
def bundle_body() -> bytes:
    """The body of an honest step-up's bundle, made by a server and a phone in process."""
    from .story import evidence_of_a_payment

    members = json.loads(evidence_of_a_payment())
    del members["digest"], members["signature"]
    return canonical_json(members)


EVIDENCE_KEY: Final = EvidenceKey(bytes(32))
TARGETS: Final[dict[str, Target]] = {
    "cbor": Target(run_cbor, cbor_seeds),
    "client_data": Target(run_client_data, client_data_seeds),
    "key_description": Target(run_key_description, key_description_seeds),
    "chain": Target(run_chain, chain_seeds),
    "app_attest": Target(run_app_attest, app_attest_seeds),
    "webauthn": Target(run_webauthn, webauthn_seeds),
    "inspect": Target(run_inspect, inspect_seeds),
    "bundle": Target(run_bundle, lambda: [bundle_body()]),
}
