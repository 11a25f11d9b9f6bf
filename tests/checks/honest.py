"""An honest phone in a few lines: keys, attested registrations and signed approvals as DESIGN says, each part open to alteration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from authenticator.app_maker import attest_app
from authenticator.maker import attest_key
from authenticator.profiles import Profile
from device_keys.algorithms import ES256
from device_keys.attestation.app_attest import (
    app_id_hash,
    assertion_nonce,
    build_auth_data,
    encode_assertion,
    extension_map,
)
from device_keys.attestation.app_attest import (
    key_id as app_key_id,
)
from device_keys.clock import rfc3339
from device_keys.defaults import DEFAULT_ORIGIN, DEFAULT_RP_ID
from device_keys.encoding import b64url_decode, b64url_encode
from device_keys.entropy import SeededEntropy
from device_keys.messages import (
    Assertion,
    Flags,
    Kind,
    Registration,
    build_authenticator_data,
    build_client_data,
    payload_digest,
    step_up_challenge,
)
from device_keys.orders import read_order
from device_keys.secure_hardware import AuthenticatorType, Gate, SecureHardware
from server_stub.evidence import (
    CallerFacts,
    CredentialFacts,
    Evidence,
    NonceFacts,
    SecretFacts,
    TransactionFacts,
    user_handle,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PAYMENT = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "Élan & Söhne", "sortCode": "112233", "accountNumber": "12345678"},
}
RP_HASH = hashlib.sha256(DEFAULT_RP_ID.encode()).digest()


@dataclass
class Enrolled:
    """A phone with both keys enrolled at `at`. `edit` alters the maker's claims, `draft` the registration's authenticator data."""

    profile: Profile
    at: datetime = NOW - timedelta(days=3)
    formats: str | None = None
    claims: Callable[[Any], Any] = lambda claims: claims
    app_claims: Callable[[Any], Any] = lambda claims: claims
    with_app_attest: bool = True
    algorithm: int = ES256
    registration: dict[str, Any] = field(default_factory=dict)
    hardware: SecureHardware = field(default_factory=lambda: SecureHardware(entropy=SeededEntropy("checks")))

    def __post_init__(self) -> None:
        self.challenge = hashlib.sha256(b"enrolment").digest()
        self.keys = {
            factor: self.hardware.generate(
                gate=gate, algorithm=self.algorithm, level=self.profile.security_level, counter=self.profile.counter
            )
            for factor, gate in (("possession", Gate.NONE), ("biometric", Gate.BIOMETRIC))
        }
        made = {factor: self._register(factor) for factor in self.keys}
        self.app_key: str | None = None
        app: dict[str, Any] | None = None
        covers: tuple[str, ...] = ()
        if self.profile.apple is not None and self.with_app_attest:
            app, covers = self._app_attest(made)
        self.credentials = {
            factor: CredentialFacts(
                credential_id=b64url_encode(registration.credential_id),
                device_id=b64url_encode(made["possession"].credential_id),
                dialect="bank",
                user=USER,
                factor=factor,  # type: ignore[arg-type]
                registration=registration.to_json(),
                challenge=b64url_encode(self.challenge),
                enrolled_at=self.at,
                sign_count=1,
                app_attest=app,
                app_attest_covers=covers,
            )
            for factor, registration in made.items()
        }

    def sign(self, factor: str, data: bytes) -> bytes:
        key = self.keys[factor]
        if factor == "possession":
            return self.hardware.sign(key, data)
        operation = self.hardware.begin(key)
        token = self.hardware.mint_token(
            challenge=operation, authenticator_type=AuthenticatorType.BIOMETRIC, timestamp_ms=0
        )
        return self.hardware.sign(key, data, operation=operation, token=token)

    def _register(self, factor: str) -> Registration:
        given = {
            "flags": Flags.UP,
            "type": "webauthn.create",
            "origin": DEFAULT_ORIGIN,
            "rp": RP_HASH,
            **self.registration,
        }
        key = self.keys[factor]
        credential_id = hashlib.sha256(factor.encode()).digest()
        data = build_authenticator_data(
            given["rp"], given["flags"], self.hardware.next_counter(key), aaguid=self.profile.aaguid,
            credential_id=credential_id, public_key=self.hardware.public_key(key),
        )  # fmt: skip
        client_data = build_client_data(given["type"], self.challenge, given["origin"])
        made = attest_key(
            self.profile, self.hardware, key, auth_data=data, client_data_hash=hashlib.sha256(client_data).digest(), now=self.at,
            format=self.formats or ("packed" if self.profile.apple else None), sign=lambda signed: self.sign(factor, signed),
            edit=self.claims,
        )  # fmt: skip
        return Registration(credential_id, client_data, made.encode(), ("internal",))

    def _app_attest(self, made: dict[str, Registration]) -> tuple[dict[str, Any], tuple[str, ...]]:
        self.app_key = self.hardware.generate(level=self.profile.security_level)
        objects = [registration.attestation_object for registration in made.values()]
        attestation = attest_app(
            self.profile, self.hardware, self.app_key, client_data_hash=hashlib.sha256(b"".join(objects)).digest(),
            now=self.at, edit=self.app_claims,
        )  # fmt: skip
        name = app_key_id(self.hardware.public_key(self.app_key))
        return {"keyId": b64url_encode(name), "attestation": b64url_encode(attestation)}, tuple(
            map(b64url_encode, objects)
        )


@dataclass
class Approval:
    """One approval, honest unless told otherwise; `evidence()` signs it and puts everything together."""

    phone: Enrolled
    method: str = "PASSCODE"
    kind: str = "payment"
    payload: Any = field(default_factory=lambda: json.loads(json.dumps(PAYMENT)))
    now: datetime = NOW
    factor: str = ""
    device: dict[str, Any] = field(default_factory=dict)
    payment: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    auth: dict[str, Any] = field(default_factory=dict)
    app: dict[str, Any] = field(default_factory=dict)
    after: Callable[[Assertion], Assertion] = lambda assertion: assertion
    facts: dict[str, Any] = field(default_factory=dict)
    transaction: dict[str, Any] = field(default_factory=dict)
    caller: dict[str, Any] = field(default_factory=dict)
    secret: dict[str, Any] = field(default_factory=dict)
    nonce: dict[str, Any] = field(default_factory=dict)
    credential: dict[str, Any] = field(default_factory=dict)

    def evidence(self) -> Evidence:
        factor = self.factor or ("biometric" if self.method == "BIOMETRIC" else "possession")
        nonce_bytes = hashlib.sha256(b"nonce").digest()
        digest = payload_digest(self.payload)
        challenge = step_up_challenge(Kind(self.kind), nonce_bytes, "t-1", digest)
        credential = msgspec.structs.replace(self.phone.credentials[factor], **self.credential)
        assertion = self.after(self._sign(factor, challenge, nonce_bytes, credential))
        biometric = self.method == "BIOMETRIC"
        secret = SecretFacts(
            **{
                "kind": "refresh-token" if biometric else "passcode",
                "result": "" if biometric else "right",
                "username_matches": None if biometric else True,
                "refresh_token_matches": True if biometric else None,
                **self.secret,
            }
        )
        fields: dict[str, Any] = {
            "now": self.now,
            "attempt": 1,
            "method": self.method,
            "transaction": TransactionFacts(
                **{
                    "id": "t-1",
                    "dialect": "bank",
                    "kind": self.kind,
                    "user": USER,
                    "session": "s-1",
                    "state": "ISSUED",
                    "payload": self.payload,
                    "created_at": NOW - timedelta(seconds=30),
                    "expires_at": NOW + timedelta(seconds=210),
                    **self.transaction,
                }
            ),
            "caller": CallerFacts(**{"user": USER, "session": "s-1", **self.caller}),
            "secret": secret,
            "evidence_source": "header",
            "assertion": json.dumps(assertion.to_json(), separators=(",", ":")),
            "credential": credential,
            "nonce": NonceFacts(
                **{
                    "value": b64url_encode(nonce_bytes),
                    "transaction_id": "t-1",
                    "issued_at": NOW - timedelta(seconds=20),
                    "expires_at": NOW + timedelta(seconds=100),
                    **self.nonce,
                }
            ),
            **self.facts,
        }
        return Evidence(**fields)

    def _sign(self, factor: str, challenge: bytes, nonce: bytes, credential: CredentialFacts) -> Assertion:
        device = {"nonce": b64url_encode(nonce), "signedAt": rfc3339(NOW - timedelta(seconds=2)), **self.device}
        members: dict[str, Any] = {"device": {k: v for k, v in device.items() if v is not None}}
        order = read_order(self.payload)
        if self.kind == "payment":
            payment = {
                "rpId": DEFAULT_RP_ID,
                "topOrigin": DEFAULT_ORIGIN,
                "instrument": {"displayName": "Account", "icon": "x"},
            }
            if order is not None:
                payment |= {"payeeName": order.payee_name, "total": {"value": order.amount, "currency": order.currency}}
            members["payment"] = {**payment, **self.payment}
        client = {
            "type": "payment.get" if self.kind == "payment" else "webauthn.get",
            "challenge": challenge,
            "origin": DEFAULT_ORIGIN,
        }
        client |= self.client
        client_data = build_client_data(
            client.pop("type"), client.pop("challenge"), client.pop("origin"), **members, **client
        )
        given = {
            "rp": RP_HASH,
            "flags": Flags.UP | Flags.UV if factor == "biometric" else Flags.UP,
            "counter": 2,
            **self.auth,
        }
        extensions = {"uvm": [[2, 4, 2]]} if factor == "biometric" else None
        auth_data = build_authenticator_data(given["rp"], given["flags"], given["counter"], extensions=extensions)
        signature = self.phone.sign(factor, auth_data + hashlib.sha256(client_data).digest())
        results = {} if self.phone.app_key is None else {"appAttest": b64url_encode(self._app_assertion(client_data))}
        handle = user_handle("bank", USER)
        return Assertion(b64url_decode(credential.credential_id), client_data, auth_data, signature, handle, results)

    def _app_assertion(self, client_data: bytes) -> bytes:
        profile = self.phone.profile
        assert profile.apple is not None
        assert self.phone.app_key is not None
        given = {"rp": app_id_hash(profile.app.apple_id), "counter": 1, **self.app}
        extensions = extension_map("1", 4) if profile.apple.extension_map else None
        data = build_auth_data(given["rp"], given["counter"], extensions=extensions)
        nonce = assertion_nonce(data, hashlib.sha256(client_data).digest())
        return encode_assertion(self.phone.hardware.sign(self.phone.app_key, nonce), data)
