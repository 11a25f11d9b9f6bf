"""One attempt as the checks see it: the evidence, and its pieces read once.

What could not be read is kept as its `FormatError` and reported by the check of that piece. The attributes that it
would have filled are then not set, and no check asks for them: the needs of the checks see to that.
"""

from __future__ import annotations

from typing import Any, Final

from device_keys.attestation.app_attest import AppAssertion, parse_assertion
from device_keys.encoding import FormatError, b64url_decode
from device_keys.keys import PublicKey
from device_keys.orders import Order, read_order
from server_stub.checks.reading import (
    AuthFields,
    Response,
    SignedFields,
    read_assertion,
    read_authenticator_data,
    read_client_data,
)
from server_stub.evidence import CredentialFacts, Evidence
from server_stub.policy import Policy
from server_stub.trust import Trust
from server_stub.verdict import Finding

_UNREAD: Final[Any] = object()


class Appraisal:
    """What is kept of an enrolled key between step-ups: its public key, and the findings on its attestation with the
    checks left unmet.

    `problem`: the stored registration cannot be read, and nothing else is set.
    """

    __slots__ = ("app_key", "app_rp_id_hash", "backup_eligible", "findings", "key", "problem", "unmet")

    key: PublicKey
    backup_eligible: bool
    app_key: PublicKey | None
    app_rp_id_hash: bytes
    findings: tuple[Finding, ...]
    unmet: frozenset[str]
    problem: FormatError | None


class Case:
    """One attempt to be judged, its evidence read; never raises on bad evidence."""

    __slots__ = (
        "_order", "app_assertion", "app_unreadable", "appraisal", "assertion", "auth_data", "auth_data_unreadable", "biometric",
        "client_data", "client_data_unreadable", "credential", "evidence", "expected_challenge", "flags", "policy", "trust", "unreadable",
    )  # fmt: skip

    evidence: Evidence
    policy: Policy
    trust: Trust
    biometric: bool
    credential: CredentialFacts
    appraisal: Appraisal
    assertion: Response
    client_data: SignedFields
    auth_data: AuthFields
    flags: int
    unreadable: FormatError | None
    client_data_unreadable: FormatError | None
    auth_data_unreadable: FormatError | None
    app_assertion: AppAssertion
    expected_challenge: bytes

    def __init__(self, evidence: Evidence, policy: Policy, trust: Trust) -> None:
        self.evidence = evidence
        self.policy = policy
        self.trust = trust
        self.biometric = "BIOMETRIC" in evidence.method.upper()
        self.unreadable = self.client_data_unreadable = self.auth_data_unreadable = None
        self._order = _UNREAD
        if evidence.credential is not None:
            self.credential = evidence.credential
        if evidence.assertion is not None:
            self._read(evidence.assertion)

    def _read(self, text: str) -> None:
        try:
            self.assertion = read_assertion(text)
        except FormatError as error:
            self.unreadable = error
            return
        try:
            self.client_data = read_client_data(self.assertion.client_data_json)
        except FormatError as error:
            self.client_data_unreadable = error
        try:
            self.auth_data = read_authenticator_data(self.assertion.authenticator_data)
            self.flags = self.auth_data.flags
        except FormatError as error:
            self.auth_data_unreadable = error

    @property
    def order(self) -> Order | None:
        """The stored order, or None where its shape is not known."""
        if self._order is _UNREAD:
            self._order = read_order(self.evidence.transaction.payload)
        order: Order | None = self._order
        return order

    @property
    def device(self) -> dict[str, Any]:
        """The signed `device` member, empty where there is none."""
        return self.client_data.device or {}

    def read_app_assertion(self) -> AppAssertion:
        """The App Attest assertion that came beside the signed response. Raises FormatError."""
        where = "clientExtensionResults.appAttest"
        return parse_assertion(b64url_decode(self.assertion.extensions.get("appAttest"), where))


def received_counters(case: Case) -> tuple[int, int]:
    """The sign count and App Attest count that this attempt brought, for keeping after acceptance; stored ones where
    it brought none."""
    stored = case.evidence.credential
    sign_count, app_attest_count = (0, 0) if stored is None else (stored.sign_count, stored.app_attest_count)
    auth_data: AuthFields | None = getattr(case, "auth_data", None)
    app: AppAssertion | None = getattr(case, "app_assertion", None)
    return (
        sign_count if auth_data is None else auth_data.sign_count,
        app_attest_count if app is None else app.auth_data.sign_count,
    )
