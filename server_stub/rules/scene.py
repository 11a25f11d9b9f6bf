"""What a rule sees: evidence, findings by id, the log extract, declared facts. Read once, asked often; nothing here decides.

Values inside the assertion are handed out only where `assertion.signature` passed: what an unverified message says is not evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from device_keys.clock import parse_instant
from device_keys.encoding import FormatError, b64url_decode, parse_json_object
from device_keys.keys import PublicKey
from device_keys.messages import (
    Assertion,
    AttestationObject,
    AuthenticatorData,
    ClientData,
    Registration,
    parse_attestation_object,
    parse_authenticator_data,
    parse_client_data,
)
from device_keys.orders import Order, read_order
from server_stub.evidence import Evidence
from server_stub.log_chain import LogEntry
from server_stub.rules.inputs import NOTHING_OBSERVED, Config, Observations
from server_stub.rules.probes import Rejudge
from server_stub.rules.ruling import FAIL, PASS, UNDETERMINED, Ruling, Seen, fails, passes, seen, unknown
from server_stub.verdict import Finding, Grade, Outcome
from server_stub.visible import noted

# Checks about the assertion: the device's key counts as an element only where each of them passed or did not apply.
DEVICE_CHECKS = (
    "evidence.",
    "client_data.",
    "authenticator_data.",
    "credential.",
    "assertion.",
    "challenge.",
    "binding.",
)
# What must hold before anything that an attestation says is believed.
ATTESTATION_CORE = (
    "readable", "client_data", "rp_id", "user_present", "algorithm", "format", "statement", "challenge", "key", "chain", "position",
    "validity", "revocation", "description",
)  # fmt: skip
ANDROID_PROOF = tuple(f"attestation.{name}" for name in ("statement", "challenge", "key", "chain"))
APP_ASSERTION = (
    "app_attest.assertion",
    "app_attest.counter",
    "app_attest.counter_of_key",
    "app_attest.application",
)
IOS_PROOF = ("app_attest.present", "attestation.chain", "attestation.challenge", "attestation.key")


class Platform(StrEnum):
    """Whose attestation rules apply to the key that was used, read from its registration."""

    ANDROID = "android"
    IOS = "ios"
    SECURITY_KEY = "security-key"
    UNKNOWN = "unknown"


class Scene:
    """One attempt as the rules see it."""

    def __init__(
        self,
        evidence: Evidence,
        findings: Iterable[Finding],
        log: tuple[LogEntry, ...] = (),
        config: Config | None = None,
        *,
        accepted: bool = False,
        observed: Observations = NOTHING_OBSERVED,
        rejudge: Rejudge | None = None,
    ) -> None:
        self.evidence = evidence
        self.findings = {finding.check: finding for finding in findings}
        self.log = log
        self.config = config if config is not None else Config()
        self.accepted = accepted
        self.observed = observed
        self.rejudge = rejudge
        self.judge: Callable[[str], Ruling] = lambda rule: unknown(f"{rule} was not judged")
        self._rulings: dict[str, Ruling] = {}

    def ruling(self, rule: str) -> Ruling:
        """The ruling of another rule, judged once."""
        if rule not in self._rulings:
            self._rulings[rule] = self.judge(rule)
        return self._rulings[rule]

    def together(self, *rules: str) -> Ruling:
        """What several rules come to together: the first that failed, else the first that is open, else a pass by all of them."""
        rulings = {rule: self.ruling(rule) for rule in rules}
        for verdict in (FAIL, UNDETERMINED):
            for rule, ruling in rulings.items():
                if ruling.verdict == verdict:
                    reason = f"it is no stronger than {rule}: {ruling.reason}"
                    return Ruling(verdict, ruling.grade, reason, ruling.findings, capped_by=rule)
        met = {rule: ruling for rule, ruling in rulings.items() if ruling.verdict == PASS}
        # It rests on rules, and names them; what each of those rests on stands there.
        return passes(*met.values(), reason=f"rests on {', '.join(met)}")._replace(findings=())

    # -- findings

    def outcome(self, check: str) -> Outcome | None:
        """A check's outcome, None where the policy has no such check."""
        finding = self.findings.get(check)
        return None if finding is None else finding.outcome

    def passed(self, *checks: str) -> bool:
        """Whether every one of these checks passed."""
        return all(self.outcome(check) is Outcome.PASS for check in checks)

    def settled(self, *checks: str) -> bool:
        """Whether every one of these checks passed or did not apply."""
        return all(self.outcome(check) in (Outcome.PASS, Outcome.NOT_APPLICABLE) for check in checks)

    def failed(self, *checks: str) -> str | None:
        """The first of these checks that failed."""
        return next((check for check in checks if self.outcome(check) is Outcome.FAIL), None)

    def among(self, *prefixes: str) -> list[Finding]:
        """The findings whose ids begin so."""
        return [finding for check, finding in self.findings.items() if check.startswith(prefixes)]

    def present(self, *checks: str) -> tuple[str, ...]:
        """Those of these checks that the policy has: a rule names only findings that exist."""
        return tuple(check for check in checks if check in self.findings)

    def why(self, *checks: str) -> str:
        """The first of these checks that does not stand, in words."""
        for check in checks:
            outcome = self.outcome(check)
            if outcome is None:
                return f"{check} was not among the checks"
            if outcome is Outcome.FAIL:
                return _failure(self.findings[check])
            if outcome is not Outcome.PASS:
                return f"{check}: {outcome.value.replace('_', ' ')}"
        return "nothing is missing"

    def checked(self, *checks: str, grade: Grade = Grade.LOGGED) -> Seen:
        """That these checks passed, as something seen; a check that is missing or did not pass leaves nothing seen."""
        return seen(*(self.findings.get(check) for check in checks), grade=grade)

    def among_passed(self, *checks: str) -> tuple[str, ...]:
        """Those of these checks that passed: a pass names no others."""
        return tuple(check for check in checks if self.outcome(check) is Outcome.PASS)

    def blame(self, check: str, grade: Grade, *findings: str) -> Ruling:
        """What a failed check means for the provider, who is judged for what it accepted: a refusal is no fault of its own."""
        if self.accepted:
            return fails(self.why(check), grade, *findings)
        return unknown(f"{self.why(check)}; the step-up was refused", *findings)

    @property
    def no_code(self) -> str:
        """That no code was accepted, and by which check it was refused."""
        first = next((f.check for f in self.findings.values() if f.outcome is Outcome.FAIL), None)
        return f"no code was accepted: {f'{first} refused the step-up' if first else 'the step-up was refused'}"

    # -- the device's evidence

    @property
    def device(self) -> bool:
        """Whether this step-up rests on a device's signature at all."""
        return self.evidence.device_required or self.evidence.assertion is not None

    @cached_property
    def signature_stands(self) -> bool:
        return self.passed("assertion.signature")

    @cached_property
    def assertion(self) -> Assertion | None:
        """The assertion, where its signature verified and it can be read."""
        if not self.signature_stands or self.evidence.assertion is None:
            return None
        try:
            return Assertion.from_json(parse_json_object(self.evidence.assertion, "assertion"))
        except FormatError:
            return None

    @cached_property
    def client_data(self) -> ClientData | None:
        """The signed client data."""
        if self.assertion is None:
            return None
        try:
            return parse_client_data(self.assertion.client_data_json)
        except FormatError:
            return None

    @cached_property
    def auth_data(self) -> AuthenticatorData | None:
        """The signed authenticator data."""
        if self.assertion is None:
            return None
        try:
            return parse_authenticator_data(self.assertion.authenticator_data)
        except FormatError:
            return None

    @cached_property
    def nonce(self) -> bytes | None:
        """The nonce that the server issued and the signed bytes name."""
        if self.evidence.nonce is None or self.client_data is None:
            return None
        try:
            return b64url_decode(self.evidence.nonce.value)
        except FormatError:
            return None

    # -- the enrolled key

    @cached_property
    def attestation_object(self) -> AttestationObject | None:
        credential = self.evidence.credential
        if credential is None:
            return None
        try:
            return parse_attestation_object(Registration.from_json(credential.registration).attestation_object)
        except FormatError:
            return None

    @cached_property
    def enrolled_key(self) -> PublicKey | None:
        """The public key of the registration."""
        try:
            data = parse_authenticator_data(self.attestation_object.auth_data) if self.attestation_object else None
        except FormatError:
            return None
        return data.credential.public_key if data is not None and data.credential is not None else None

    @cached_property
    def platform(self) -> Platform:
        """What kind of device the key lives in, by its registration's format."""
        statement = self.attestation_object
        if statement is None or self.evidence.credential is None:
            return Platform.UNKNOWN
        if statement.fmt == "android-key":
            return Platform.ANDROID
        if self.evidence.credential.app_attest is not None:
            return Platform.IOS
        if statement.fmt == "packed" and "x5c" in statement.statement:
            return Platform.SECURITY_KEY
        return Platform.UNKNOWN

    @cached_property
    def enrolled_as(self) -> Grade:
        """What the enrolment's attestation is worth: `proved` (hardware said it), `signed` (an app that is vouched for said it), or `none`.

        An attestation made by software, or older than the policy's age, drops to `signed` (rule of grading c).
        """
        core = tuple(f"attestation.{name}" for name in ATTESTATION_CORE if f"attestation.{name}" in self.findings)
        if not core or not self.settled(*core):
            return Grade.NONE
        if self.platform is Platform.ANDROID and self.passed(*ANDROID_PROOF):
            return Grade.PROVED if self.passed("attestation.age", "attestation.security_level") else Grade.SIGNED
        if self.platform is Platform.IOS and self.passed(*IOS_PROOF) and not self._bad_app_attest(per_assertion=False):
            return Grade.SIGNED
        if self.platform is Platform.SECURITY_KEY and self.passed("attestation.statement", "attestation.chain"):
            return Grade.SIGNED
        return Grade.NONE

    @cached_property
    def attested(self) -> Grade:
        """As `enrolled_as`, for this very response: on an iPhone the app must vouch for it as well."""
        return Grade.NONE if self._bad_app_attest(per_assertion=True) else self.enrolled_as

    @cached_property
    def in_hardware(self) -> bool:
        """Whether hardware attests that it made the key and keeps it."""
        return self.enrolled_as is Grade.PROVED and self.passed("attestation.key_origin", "attestation.security_level")

    @property
    def hardware_checks(self) -> tuple[str, ...]:
        """The checks by which hardware vouches for the key, where it does."""
        checks = ("attestation.key_origin", "attestation.security_level", *ANDROID_PROOF)
        return self.among_passed(*checks) if self.in_hardware else ()

    @cached_property
    def altered(self) -> str:
        """What an Android phone's own attestation says of its system where that is not as its maker left it, else empty."""
        from device_keys.attestation.android_key import VerifiedBootState

        trust = self.key_description.hardware_enforced.root_of_trust if self.key_description is not None else None
        if trust is None:
            return ""
        state = trust.verified_boot_state
        if state != VerifiedBootState.VERIFIED:
            return f"boot state {VerifiedBootState(state).name.lower().replace('_', ' ')}"
        return "" if trust.device_locked else "bootloader unlocked"

    @cached_property
    def software_key(self) -> bool:
        """Whether an Android key's own attestation says that it lives in software."""
        return self.key_description is not None and int(self.key_description.keymint_security_level) == 0

    def _bad_app_attest(self, *, per_assertion: bool) -> str | None:
        """The first App Attest check, of the enrolment or of this response, that failed or could not run."""
        bad = (Outcome.FAIL, Outcome.NOT_RUN)
        checks = [finding for finding in self.among("app_attest.") if (finding.check in APP_ASSERTION) is per_assertion]
        return next((finding.check for finding in checks if finding.outcome in bad), None)

    @cached_property
    def attestation_why(self) -> str:
        """Why the attestation is worth nothing, in words."""
        if self.evidence.credential is None:
            return "no enrolled key was used"
        core = [f"attestation.{name}" for name in ATTESTATION_CORE]
        bad = [check for check in core if self.outcome(check) in (Outcome.FAIL, Outcome.NOT_RUN)]
        first = bad[0] if bad else self._bad_app_attest(per_assertion=False) or self._bad_app_attest(per_assertion=True)
        if first is not None:
            return f"the attestation did not verify ({self.why(first)})"
        return "the key's registration carries no attestation that this policy verifies"

    @cached_property
    def key_description(self) -> Any:
        """The Android KeyDescription of the key, None where there is none that can be read."""
        from device_keys.attestation import android_key
        from device_keys.attestation.certificates import extension_value, load_certificate, parse_x5c

        if self.platform is not Platform.ANDROID or self.attestation_object is None:
            return None
        try:
            leaf = load_certificate(parse_x5c(self.attestation_object.statement.get("x5c"))[0])
            extension = extension_value(leaf, android_key.KEY_DESCRIPTION_OID)
            return None if extension is None else android_key.parse_key_description(extension)
        except FormatError:
            return None

    # -- the order

    @property
    def payment(self) -> bool:
        return self.evidence.transaction.kind == "payment"

    @cached_property
    def order(self) -> Order | None:
        """The stored order, None where its shape is not known or this is no payment."""
        return read_order(self.evidence.transaction.payload) if self.payment else None

    # -- the log

    def events(self, *names: str, **fields: Any) -> list[LogEntry]:
        """The entries of these events whose fields have these values, in order."""
        return [
            entry
            for entry in self.log
            if entry.event in names and all(entry.fields.get(k) == v for k, v in fields.items())
        ]

    def of_transaction(self, *names: str, **fields: Any) -> list[LogEntry]:
        """As `events`, of this transaction only."""
        return [entry for entry in self.events(*names, **fields) if entry.transaction == self.evidence.transaction.id]

    @cached_property
    def challenge_id(self) -> str | None:
        """How the log names the challenge that this attempt answered: SHA-256 of the nonce's text, or the one-time challenge's id."""
        if self.evidence.nonce is not None:
            return hashlib.sha256(self.evidence.nonce.value.encode()).hexdigest()
        return None

    @cached_property
    def attempt_entry(self) -> LogEntry | None:
        """The log's record of this very attempt."""
        records = self.of_transaction("sca_attempt")
        numbered = [entry for entry in records if entry.fields.get("attempt") == self.evidence.attempt]
        found = numbered or records
        return found[-1] if found else None

    @cached_property
    def acceptance(self) -> LogEntry | None:
        """The log's record that this attempt's code was accepted."""
        records = self.of_transaction("code_accepted")
        if self.challenge_id is not None:
            records = [entry for entry in records if entry.fields.get("code_id") == self.challenge_id]
        return records[-1] if records and self.accepted else None

    @cached_property
    def binding(self) -> LogEntry | None:
        """The log's record that the key that was used was bound to this user."""
        credential = self.evidence.credential
        if credential is None:
            return None
        records = self.events("credential_bound", credential_id=credential.credential_id)
        return records[-1] if records else None

    def sessions(self) -> Iterator[str]:
        """The sessions that count here: this transaction's, and the one in which its key was enrolled."""
        yield self.evidence.transaction.session
        if self.binding is not None and self.binding.session not in ("", self.evidence.transaction.session):
            yield self.binding.session

    def secret_paths(self, *, response_only: bool = False) -> list[str]:
        """Where the response, or the log extract too, holds a member that is named like a secret and has a value."""
        found = (
            [] if response_only else [p for entry in self.log for p in secret_paths(entry.fields, f"log {entry.seq}")]
        )
        if self.assertion is not None:
            found += secret_paths(self.assertion.extensions, "clientExtensionResults")
        if self.client_data is not None:
            found += secret_paths(self.client_data.device, "clientDataJSON.device")
        return found

    @property
    def secret_found_in(self) -> tuple[str, ...] | None:
        """Where the server found the value of a secret of this call, as a whole value outside the order; None: nobody looked."""
        entry = self.attempt_entry
        found = entry.fields.get("secret_found_in") if entry is not None else None
        return tuple(map(str, found)) if isinstance(found, list | tuple) else None


def _failure(finding: Finding) -> str:
    """What failed, in words, with what was expected and seen."""
    if finding.expected is None:
        return f"{finding.check} failed: {finding.reason}"
    return f"{finding.check} failed: expected {noted(finding.expected)}, was {noted(finding.actual)}"


_SECRET_NAMES = frozenset({
    "passcode", "password", "pin", "secret", "otp", "code", "activationcode", "activation_code", "accesstoken", "access_token",
    "refreshtoken", "refresh_token", "devicetoken", "device_token", "authorization", "apikey", "api_key", "privatekey", "private_key",
    "biometrictemplate", "biometric_template", "phone", "phonenumber",
})  # fmt: skip


def secret_paths(value: Any, where: str) -> list[str]:
    """Paths of members that are named like a secret, a token or contact data and hold a text or a number."""
    if isinstance(value, dict):
        held = [
            f"{where}.{name}"
            for name, inner in value.items()
            if name.lower() in _SECRET_NAMES
            and isinstance(inner, str | int)
            and not isinstance(inner, bool)
            and inner != ""
        ]
        return held + [path for name, inner in value.items() for path in secret_paths(inner, f"{where}.{name}")]
    if isinstance(value, list | tuple):
        return [path for number, inner in enumerate(value) for path in secret_paths(inner, f"{where}[{number}]")]
    return []


def instant(value: Any) -> datetime | None:
    """The instant of a log field, None where it has none."""
    if not isinstance(value, str):
        return None
    try:
        return parse_instant(value)
    except FormatError:
        return None
