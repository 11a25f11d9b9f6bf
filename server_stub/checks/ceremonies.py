"""The same checks over a WebAuthn ceremony by itself, without a step-up around it: for vectors, other people's material, and measuring."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final

import msgspec

from device_keys.attestation.app_attest import app_id_hash, parse_attestation
from device_keys.clock import parse_instant
from device_keys.encoding import FormatError, b64url_encode
from device_keys.keys import PublicKey
from server_stub.checks.android import ANDROID
from server_stub.checks.app_attest import APP_ATTEST
from server_stub.checks.assertion import ASSERTION
from server_stub.checks.attestation import GENERAL, nonce_matches
from server_stub.checks.case import Appraisal, Case
from server_stub.checks.chain import read_chain
from server_stub.checks.engine import Check, Failure, Result, run
from server_stub.checks.enrolment import Enrolment, read_enrolment, use_app_attestation
from server_stub.checks.factors import RECEIVED
from server_stub.checks.reading import Response
from server_stub.checks.table import ATTESTATION, judge_device
from server_stub.evidence import CallerFacts, CredentialFacts, Evidence, TransactionFacts
from server_stub.policy import Policy
from server_stub.trust import Trust
from server_stub.verdict import Finding, Outcome

_EPOCH: Final = parse_instant("1970-01-01T00:00:00Z")
_NO_CALLER: Final = CallerFacts(user="", session="")
_NO_TRANSACTION: Final = TransactionFacts(
    id="", dialect="", kind="account-access", user="", session="", state="ISSUED", payload={}, created_at=_EPOCH, expires_at=_EPOCH
)  # fmt: skip


def _challenge(case: Case) -> Result:
    found, expected = case.client_data.challenge, case.expected_challenge
    return None if compare_digest(found, expected) else Failure("challenge", expected.hex(), found.hex())


# In a step-up the challenge is judged by the ladder and `binding.order`; a ceremony by itself has just the one that was issued.
_LONE: Final = Check("assertion.challenge", "WebAuthn L3: challenge", _challenge, ("client_data.readable",))
_LONE_RECEIVED: Final = tuple(
    check for check in RECEIVED if check.id not in ("credential.user", "credential.user_handle")
)
_LONE_SIGNED: Final = (_LONE, *ASSERTION)


def verify_registration(
    registration: Mapping[str, Any],
    challenge: bytes,
    policy: Policy,
    trust: Trust,
    now: datetime,
    *,
    factor: str = "possession",
) -> tuple[Finding, ...]:
    """The findings on a RegistrationResponseJSON at `now`. Raises FormatError where not even its key can be read."""
    enrolment = read_enrolment(credential_facts(registration, challenge, now, factor=factor), policy, trust)
    return run(ATTESTATION, enrolment)


def credential_facts(
    registration: Mapping[str, Any], challenge: bytes, now: datetime, *, factor: str = "possession", sign_count: int = 0
) -> CredentialFacts:
    """What a server would keep of this registration."""
    return CredentialFacts(
        credential_id=str(registration.get("id")),
        device_id=str(registration.get("id")),
        dialect="",
        user="",
        factor=factor,  # type: ignore[arg-type]
        registration=dict(registration),
        challenge=b64url_encode(challenge),
        enrolled_at=now,
        sign_count=sign_count,
    )


def verify_assertion(
    assertion: str, challenge: bytes, credential: CredentialFacts, policy: Policy, trust: Trust, now: datetime
) -> tuple[Finding, ...]:
    """The findings on an AuthenticationResponseJSON text over `challenge`, of type `webauthn.get`, by an enrolled credential."""
    method = "BIOMETRIC" if credential.factor == "biometric" else "PASSCODE"
    evidence = Evidence(
        now=now, attempt=1, method=method, transaction=_NO_TRANSACTION, caller=_NO_CALLER, assertion=assertion, credential=credential
    )  # fmt: skip
    case = Case(evidence, policy, trust)
    case.expected_challenge = challenge
    findings: list[Finding] = []
    judge_device(case, findings, set(), received=_LONE_RECEIVED, signed=_LONE_SIGNED)
    return tuple(findings)


# --- what is not a WebAuthn registration ------------------------------------------------------------------------------

_OF_A_CHAIN: Final = ("attestation.readable", "attestation.chain", "attestation.position", "attestation.validity",
                      "attestation.revocation", "attestation.description")  # fmt: skip
_CHAIN_CHECKS: Final = tuple(check for check in GENERAL if check.id in _OF_A_CHAIN) + ANDROID
_OF_APP_ATTEST: Final = ("attestation.readable", "attestation.chain", "attestation.key", "attestation.validity",
                         "attestation.revocation", "attestation.application")  # fmt: skip
_APP_CHECKS: Final = tuple(check for check in ATTESTATION if check.id in _OF_APP_ATTEST) + APP_ATTEST
_APP_ASSERTION: Final = tuple(check for check in ASSERTION if check.id.startswith("app_attest."))
_NONCE: Final = next(check for check in GENERAL if check.id == "attestation.challenge")


def verify_android_chain(
    ders: tuple[bytes, ...], policy: Policy, trust: Trust, now: datetime, *, factor: str = "possession"
) -> tuple[Finding, ...]:
    """The findings on a key attestation as an Android phone's key store hands it out: certificates, leaf first."""
    enrolment = Enrolment("android-key", policy, trust, now)
    enrolment.facts = _facts_alone(now, factor)
    try:
        enrolment.chain = read_chain(ders)
    except FormatError as error:
        enrolment.unreadable = error
    return run(_CHAIN_CHECKS, enrolment)


def verify_app_attestation(
    attestation: bytes, key_id: bytes, client_data_hash: bytes, policy: Policy, trust: Trust, now: datetime
) -> tuple[Finding, ...]:
    """The findings on an App Attest object by itself; `client_data_hash` is whatever bytes the app handed to `attestKey`."""
    enrolment = Enrolment("packed-self", policy, trust, now)
    enrolment.facts = _facts_alone(now, "possession")
    enrolment.app_key_id = key_id
    try:
        app = parse_attestation(attestation)
        use_app_attestation(enrolment, app)
        failure = nonce_matches(enrolment, app.auth_data.raw, client_data_hash)
    except FormatError as error:
        enrolment.unreadable = error
        return run(_APP_CHECKS, enrolment)
    return (*run(_APP_CHECKS, enrolment), _NONCE.finding(failure))


def verify_app_assertion(
    assertion: bytes, key: PublicKey, app_id: str, client_data: bytes, policy: Policy, trust: Trust, *, counter: int
) -> tuple[Finding, ...]:
    """The findings on an App Attest assertion over `client_data`, by the attested `key` of `app_id`; `counter` is the stored one."""
    facts = msgspec.structs.replace(_facts_alone(_EPOCH, "possession"), app_attest_count=counter)
    evidence = Evidence(
        now=_EPOCH, attempt=1, method="", transaction=_NO_TRANSACTION, caller=_NO_CALLER, credential=facts
    )
    case = Case(evidence, policy, trust)
    case.assertion = Response("", client_data, b"", b"", None, {"appAttest": b64url_encode(assertion)})
    case.appraisal = Appraisal()
    case.appraisal.app_key, case.appraisal.app_rp_id_hash = key, app_id_hash(app_id)
    return run(_APP_ASSERTION, case)


def _facts_alone(now: datetime, factor: str) -> CredentialFacts:
    return credential_facts({}, b"", now, factor=factor)


def failures(findings: tuple[Finding, ...]) -> dict[str, str]:
    """Check id → reason of those that failed."""
    return {finding.check: finding.reason for finding in findings if finding.outcome is Outcome.FAIL}
