"""Hand-made step-ups: evidence, findings and log as an honest server would hold them, to be bent by each test.

The findings are stated, not computed: these tests are about what the rules make of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from device_keys.attestation.android_key import AuthorizationList, KeyDescription, Origin, SecurityLevel
from device_keys.clock import rfc3339
from device_keys.encoding import b64url_encode
from device_keys.keys import public_key
from device_keys.messages import (
    Assertion,
    AttestationObject,
    Flags,
    Kind,
    Registration,
    build_authenticator_data,
    build_client_data,
    payload_digest,
    step_up_challenge,
)
from device_keys.orders import read_order
from server_stub.checks.table import CHECKS
from server_stub.compliance import SERVER_CONFIG, Config, Observations, judge_compliance
from server_stub.evidence import CallerFacts, CredentialFacts, Evidence, NonceFacts, SecretFacts, TransactionFacts
from server_stub.log_chain import GENESIS, LogEntry, append_entry
from server_stub.rules.probes import Rejudge
from server_stub.verdict import Compliance, Finding, Outcome, Rule

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ENROLLED = NOW - timedelta(days=2)
USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
NONCE = bytes(range(32))
TRANSACTION = "00000000-0000-4000-8000-000000000001"
PAYLOAD = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "Ada Lovelace", "sortCode": "010203", "accountNumber": "12345678"},
}
OBSERVED = Observations(nonce_repeated=False, key_bound_to_another_user=False, device_bound_to_another_user=False)
Phone = Literal["android", "iphone", "self"]


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(7, ec.SECP256R1())


@cache
def android_leaf(hardware: AuthorizationList) -> bytes:
    """A leaf certificate with a KeyDescription; its issuer is nobody, for no rule looks at the chain itself."""
    description = KeyDescription(
        300, SecurityLevel.TRUSTED_ENVIRONMENT, 300, SecurityLevel.TRUSTED_ENVIRONMENT, bytes(32), b"", AuthorizationList(), hardware
    )  # fmt: skip
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Android Keystore Key")])
    builder = x509.CertificateBuilder(name, name, key().public_key(), 1, ENROLLED, ENROLLED + timedelta(days=365))
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.1.17"), description.encode())
    certificate = builder.add_extension(extension, critical=False).sign(key(), hashes.SHA256())
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def registration(phone: Phone, factor: str, **hardware: Any) -> dict[str, Any]:
    """RegistrationResponseJSON of the phone's format; the statement's signature is not looked at here."""
    client_data = build_client_data("webauthn.create", bytes(32), "https://stepup-simulator.test")
    auth_data = build_authenticator_data(
        hashlib.sha256(b"stepup-simulator.test").digest(), Flags.UP | Flags.UV, 1, credential_id=b"credential",
        public_key=public_key(key().public_key()),
    )  # fmt: skip
    if phone == "android":
        gate = {"no_auth_required": True} if factor == "possession" else {"user_auth_type": 2}
        listed = AuthorizationList(purpose=(2,), origin=Origin.GENERATED, **{**gate, **hardware})
        statement = AttestationObject("android-key", {"alg": -7, "sig": b"s", "x5c": [android_leaf(listed)]}, auth_data)
    else:
        statement = AttestationObject("packed", {"alg": -7, "sig": b"s"}, auth_data)
    return Registration(b"credential", client_data, statement.encode()).to_json()


@dataclass
class Stage:
    """One honest step-up; `bend` and the like change it, `report` judges it."""

    phone: Phone = "android"
    method: str = "PASSCODE"
    evidence: Evidence = field(default=None)  # type: ignore[assignment]
    outcomes: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    log: list[LogEntry] = field(default_factory=list)
    accepted: bool = True
    config: Config = SERVER_CONFIG
    observed: Observations = OBSERVED
    rejudge: Rejudge | None = None

    def bend(self, **facts: Any) -> Stage:
        """Change members of the evidence."""
        self.evidence = msgspec.structs.replace(self.evidence, **facts)
        return self

    def fail(self, check: str, *not_run: str) -> Stage:
        """Let one check fail, these become not_run, and the step-up be refused."""
        self.outcomes[check] = (Outcome.FAIL, "made to fail")
        for other in not_run:
            self.outcomes[other] = (Outcome.NOT_RUN, "a check that this one needs did not pass")
        return self.refuse(check)

    def refuse(self, *reasons: str, problem: str = "403.000.52") -> Stage:
        """Refuse the step-up, in the log too."""
        self.accepted = False
        kept = [
            entry
            for entry in self.log
            if entry.event not in ("code_accepted", "session_ended") or entry.transaction != TRANSACTION
        ]
        self.log = []
        for entry in kept:
            fields = entry.fields
            if entry.event == "sca_attempt" and entry.transaction == TRANSACTION:
                fields = {**fields, "outcome": "failed", "internal_reason": list(reasons), "public_problem_id": problem}
            self.write(
                entry.event,
                at=entry.at,
                session=entry.session,
                transaction=entry.transaction,
                user=entry.user,
                **fields,
            )
        return self

    def write(
        self,
        event: str,
        *,
        at: datetime | str = NOW,
        session: str = "session",
        transaction: str = TRANSACTION,
        user: str = USER,
        **fields: Any,
    ) -> str:
        """Append an event; returns its id."""
        when = at if isinstance(at, str) else rfc3339(at)
        entry = append_entry(
            self.log[-1].hash if self.log else GENESIS, seq=len(self.log) + 1, at=when, clock_id="server", event=event, dialect="bank",
            user=user, session=session, transaction=transaction, fields=fields,
        )  # fmt: skip
        self.log.append(entry)
        return entry.event_id

    def rewrite(self, event: str, **fields: Any) -> Stage:
        """Change fields of every entry of an event, and chain the log anew; a field that is None goes."""
        entries, self.log = self.log, []
        for entry in entries:
            merged = {**entry.fields, **fields} if entry.event == event else entry.fields
            kept = {
                name: value
                for name, value in merged.items()
                if not (entry.event == event and fields.get(name, 0) is None)
            }
            self.write(
                entry.event, at=entry.at, session=entry.session, transaction=entry.transaction, user=entry.user, **kept
            )
        return self

    def drop(self, *events: str) -> Stage:
        """Leave events out of the log."""
        entries, self.log = self.log, []
        for entry in entries:
            if entry.event not in events:
                self.write(
                    entry.event,
                    at=entry.at,
                    session=entry.session,
                    transaction=entry.transaction,
                    user=entry.user,
                    **entry.fields,
                )
        return self

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(check.id, *self.outcomes.get(check.id, (Outcome.PASS, "ok")), check.citation) for check in CHECKS
        )

    def report(self) -> Compliance:
        return judge_compliance(
            self.evidence,
            self.findings,
            tuple(self.log),
            self.config,
            accepted=self.accepted,
            observed=self.observed,
            rejudge=self.rejudge,
        )

    def rule(self, rule_id: str) -> Rule:
        return next(rule for rule in self.report().rules if rule.id == rule_id)

    def verdicts(self) -> dict[str, str]:
        return {rule.id: rule.verdict for rule in self.report().rules}


def assertion_json(
    payload: Any,
    method: str,
    kind: Kind = Kind.PAYMENT,
    *,
    flags: Flags = Flags.UP,
    extensions: dict[str, Any] | None = None,
    **members: Any,
) -> str:
    """What an honest phone signs; the signature itself is not looked at here."""
    order = read_order(payload) if kind is Kind.PAYMENT else None
    challenge = step_up_challenge(kind, NONCE, TRANSACTION, payload_digest(payload))
    extra: dict[str, Any] = {
        "device": {
            "nonce": b64url_encode(NONCE),
            "signedAt": rfc3339(NOW),
            "lockout": {"screenFailures": 0, "biometricFailures": 0},
        }
    }
    if kind is Kind.PAYMENT:
        extra["payment"] = {"rpId": "stepup-simulator.test", "topOrigin": "https://stepup-simulator.test"}
        if order is not None:
            extra["payment"] |= {
                "payeeName": order.payee_name,
                "total": {"currency": order.currency, "value": order.amount},
            }
    client_data = build_client_data(
        "payment.get" if kind is Kind.PAYMENT else "webauthn.get",
        challenge,
        "https://stepup-simulator.test",
        **{**extra, **members},
    )
    if method == "BIOMETRIC":
        flags |= Flags.UV
    auth_data = build_authenticator_data(
        hashlib.sha256(b"stepup-simulator.test").digest(), flags, 2, extensions=extensions
    )
    return json.dumps(Assertion(b"credential", client_data, auth_data, b"signature").to_json())


# What does not apply to a kind of phone: the ids that its honest run leaves not_applicable.
NOT_ON: dict[str, tuple[str, ...]] = {
    "android": ("app_attest.",),
    "iphone": ("attestation.description", "attestation.position", "attestation.security_level", "attestation.key_origin",
               "attestation.purpose",
               "attestation.all_applications", "attestation.verified_boot", "attestation.device_locked", "attestation.patch_level",
               "attestation.gate"),
    "self": ("app_attest.", "attestation."),
}  # fmt: skip


def honest(
    phone: Phone = "android",
    method: str = "PASSCODE",
    payload: Any = PAYLOAD,
    kind: Kind = Kind.PAYMENT,
    **hardware: Any,
) -> Stage:
    """An honest, accepted step-up at the bank, enrolment and log included."""
    factor: Literal["possession", "biometric"] = "biometric" if method == "BIOMETRIC" else "possession"
    nonce = b64url_encode(NONCE)
    stage = Stage(phone, method)
    stage.evidence = Evidence(
        now=NOW, attempt=1, method=method,
        transaction=TransactionFacts(
            id=TRANSACTION, dialect="bank", kind=kind.value, user=USER, session="session", state="ISSUED", payload=payload,
            created_at=NOW - timedelta(seconds=20), expires_at=NOW + timedelta(seconds=220), methods=("PASSCODE", "BIOMETRIC"),
            trigger="b" if kind is Kind.PAYMENT else "a",
        ),
        caller=CallerFacts(user=USER, session="session"),
        secret=SecretFacts(kind="passcode", result="right", username_matches=True)
        if method == "PASSCODE" else SecretFacts(kind="", refresh_token_matches=True),
        evidence_source="delivered",
        assertion=assertion_json(payload, method, kind),
        credential=CredentialFacts(
            credential_id=b64url_encode(b"credential"), device_id="device", dialect="bank", user=USER, factor=factor,
            registration=registration(phone, factor, **hardware), challenge=b64url_encode(bytes(32)), enrolled_at=ENROLLED, sign_count=1,
            app_attest={"keyId": "AA", "attestation": "AA"} if phone == "iphone" else None,
        ),
        nonce=NonceFacts(value=nonce, transaction_id=TRANSACTION, issued_at=NOW - timedelta(seconds=10),
                         expires_at=NOW + timedelta(seconds=110)),
    )  # fmt: skip
    for check in CHECKS:
        if check.id.startswith(NOT_ON[phone]):
            stage.outcomes[check.id] = (Outcome.NOT_APPLICABLE, "not on this kind of phone")
    if method == "BIOMETRIC":
        for name in ("correct", "fresh", "unused", "newest", "username"):
            stage.outcomes[f"secret.{name}"] = (Outcome.NOT_APPLICABLE, "no secret")
    else:
        stage.outcomes["assertion.user_verified"] = (Outcome.NOT_APPLICABLE, "not asked for")
    _write_log(stage, hashlib.sha256(nonce.encode()).hexdigest(), kind)
    return stage


def _write_log(stage: Stage, code: str, kind: Kind) -> None:
    credential_id, enrolment = (
        b64url_encode(b"credential"),
        {"session": "enrolment-session", "transaction": "enrolment"},
    )
    stage.write(
        "session_started",
        at=ENROLLED,
        session="enrolment-session",
        transaction="",
        channel="app",
        device_kind="phone",
        tls=False,
    )
    at = ENROLLED + timedelta(seconds=30)
    stage.write(
        "challenge_issued",
        at=at,
        **enrolment,
        challenge_id="e" * 64,
        trigger="c",
        exp=rfc3339(at + timedelta(seconds=300)),
    )
    stage.write(
        "sca_attempt",
        at=at,
        **enrolment,
        outcome="accepted",
        method="ENROLMENT",
        internal_reason=[],
        public_problem_id="",
        elements=["passcode", "otp-sms"],
    )
    stage.write("code_accepted", at=at, **enrolment, code_id="e" * 64)
    given = [
        {"feature": "passcode", "channel": "branch", "verified": True},
        {"feature": "activation-code", "channel": "sms", "verified": True},
    ]
    about = {"credential_id": credential_id, "device_id": "device", "sca_ref": "e" * 64}
    stage.write("credential_bound", at=at, **enrolment, **about, channels=given)
    stage.write(
        "credential_activated",
        at=at,
        **enrolment,
        **about,
        method="sms-code",
        code_expires_at=rfc3339(at + timedelta(seconds=300)),
    )
    stage.write(
        "session_started", at=NOW - timedelta(seconds=30), transaction="", channel="app", device_kind="phone", tls=False
    )
    stage.write("payer_activity", at=NOW - timedelta(seconds=20), transaction="")
    if kind is Kind.PAYMENT:
        stage.write(
            "order_created",
            at=NOW - timedelta(seconds=20),
            order_id=TRANSACTION,
            kind="single",
            amount_minor=1000,
            currency="GBP",
            payee_id="",
            payee_name="",
        )
    trigger = stage.evidence.transaction.trigger
    stage.write(
        "challenge_issued",
        at=NOW - timedelta(seconds=10),
        challenge_id=code,
        trigger=trigger,
        exp=rfc3339(NOW + timedelta(seconds=110)),
    )
    if kind is Kind.PAYMENT:
        stage.write("display_ack", challenge_id=code, text_hash="t" * 64)
    stage.write(
        "sca_attempt", challenge_id=code, credential_id=credential_id, outcome="accepted", attempt=1, internal_reason=[],
        public_problem_id="",
        method=stage.method, masked_input=True if stage.method == "PASSCODE" else None,
    )  # fmt: skip
    stage.write("code_accepted", code_id=code, order_id=TRANSACTION)
    stage.write("session_ended", transaction="", reason="stepped-up")


@pytest.fixture(scope="session")
def step_up() -> Callable[..., Stage]:
    """Makes an honest step-up: `step_up("iphone", "BIOMETRIC")`."""
    return honest


@pytest.fixture
def signed() -> Callable[..., str]:
    """Makes an assertion's JSON: `signed(payload, method, flags=…, extensions=…)`."""
    return assertion_json
