"""One alteration for every check: an otherwise honest step-up that this check alone refuses.

Each entry makes the evidence of one attempt, given a profile; `profiles` are those on which it applies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec

from authenticator.authorities import Maker
from authenticator.batches import Batch
from authenticator.profiles import PROFILES
from device_keys.algorithms import EDDSA
from device_keys.attestation.android_key import (
    ApplicationId,
    AuthorizationList,
    KeyDescription,
    Origin,
    SecurityLevel,
    VerifiedBootState,
)
from device_keys.attestation.app_attest import ENVIRONMENTS, app_id_hash, extension_map
from device_keys.clock import rfc3339
from device_keys.encoding import b64url_encode
from device_keys.messages import Assertion, AttestationObject, Flags, Registration, parse_attestation_object
from server_stub.evidence import Evidence

ANDROID = ("pixel-9", "pixel-9-strongbox", "pixel-5")
IPHONES = ("iphone-17", "iphone-14", "iphone-8")
ALL = ANDROID + IPHONES
OTHER = hashlib.sha256(b"another relying party").digest()
Make = Callable[[str], Evidence]


@dataclass(frozen=True)
class Alteration:
    """One thing wrong: the check that must notice, what is wrong, where it applies, and the evidence."""

    check: str
    what: str
    make: Make
    profiles: tuple[str, ...] = ALL

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


def build(enrolled: type, approval: type, now: Any) -> list[Alteration]:  # noqa: C901
    """The table; the honest phone and its approvals are handed in."""
    honest: dict[str, Any] = {}

    def phone(name: str, **changes: Any) -> Any:
        if changes:
            return enrolled(PROFILES[name], **changes)
        if name not in honest:
            honest[name] = enrolled(PROFILES[name])
        return honest[name]

    def step_up(**changes: Any) -> Make:
        return lambda name: _evidence(approval(phone(name), **changes))

    def enrolment(**changes: Any) -> Make:
        return lambda name: _evidence(approval(phone(name, **changes)))

    def _evidence(made: Any) -> Evidence:
        evidence: Evidence = made.evidence()
        return evidence

    def signed(**changes: Any) -> Make:
        return step_up(after=lambda assertion: msgspec.structs.replace(assertion, **changes))

    def claim(**changes: Any) -> Make:
        return enrolment(claims=lambda claims: replace(claims, **changes))

    def app_claim(**changes: Any) -> Make:
        return enrolment(app_claims=lambda claims: replace(claims, **changes))

    def describe(edit: Callable[[KeyDescription], KeyDescription], **approval_changes: Any) -> Make:
        def make(name: str) -> Evidence:
            described = phone(name, claims=lambda claims: replace(claims, description=edit(claims.description)))
            return _evidence(approval(described, **approval_changes))

        return make

    def hardware(**changes: Any) -> Make:
        return describe(lambda d: replace(d, hardware_enforced=replace(d.hardware_enforced, **changes)))

    def software(**changes: Any) -> Make:
        return describe(lambda d: replace(d, software_enforced=replace(d.software_enforced, **changes)))

    def biometric_gate(system: dict[str, Any] | None = None, **changes: Any) -> Make:
        def edit(d: KeyDescription) -> KeyDescription:
            lists = replace(d.hardware_enforced, **changes), replace(d.software_enforced, **(system or {}))
            return replace(d, hardware_enforced=lists[0], software_enforced=lists[1])

        return describe(edit, method="BIOMETRIC")

    def boot(**changes: Any) -> Make:
        def edit(d: KeyDescription) -> KeyDescription:
            lists: AuthorizationList = d.hardware_enforced
            assert lists.root_of_trust is not None
            return replace(d, hardware_enforced=replace(lists, root_of_trust=replace(lists.root_of_trust, **changes)))

        return describe(edit)

    def without_app_attest(name: str) -> Evidence:
        return _evidence(approval(phone(name, with_app_attest=False)))

    def statement(**changes: Any) -> Make:
        def make(name: str) -> Evidence:
            whole = phone(name)
            facts = whole.credentials["possession"]
            kept = Registration.from_json(facts.registration)
            object_ = parse_attestation_object(kept.attestation_object)
            broken = AttestationObject(object_.fmt, {**object_.statement, **changes}, object_.auth_data).encode()
            registration = replace(kept, attestation_object=broken).to_json()
            return _evidence(approval(whole, credential={"registration": registration}))

        return make

    def another_factor(name: str) -> Evidence:
        return _evidence(approval(phone(name), factor="biometric"))

    def secret(**changes: Any) -> Make:
        return step_up(secret=changes)

    def signed_at(seconds: int) -> Make:
        return step_up(device={"signedAt": rfc3339(now + timedelta(seconds=seconds))})

    def app_forged(name: str) -> Evidence:
        other = phone(name, at=now - timedelta(days=4))
        foreign = _evidence(approval(other))
        return _with_extensions(_evidence(approval(phone(name))), foreign, honest[name])

    def _with_extensions(evidence: Evidence, foreign: Evidence, _: Any) -> Evidence:
        own = msgspec.json.decode(evidence.assertion or "")
        cbor = bytearray(_b64(own["clientExtensionResults"]["appAttest"]))
        cbor[cbor.index(b"signature") + 20] ^= 1
        own["clientExtensionResults"]["appAttest"] = b64url_encode(bytes(cbor))
        return msgspec.structs.replace(evidence, assertion=msgspec.json.encode(own).decode())

    def _b64(text: str) -> bytes:
        from device_keys.encoding import b64url_decode

        return b64url_decode(text)

    def bad_signature(assertion: Assertion) -> Assertion:
        return msgspec.structs.replace(
            assertion, signature=assertion.signature[:-1] + bytes([assertion.signature[-1] ^ 1])
        )

    late = timedelta(seconds=1)
    half_signed = SecurityLevel.SOFTWARE
    return [
        Alteration("user.not_blocked", "temporarily blocked", step_up(caller={"blocked": "temporarily"})),
        Alteration("user.not_blocked", "permanently blocked", step_up(caller={"blocked": "permanently"})),
        Alteration("transaction.user", "another user's", step_up(caller={"user": "other", "session": "s-2"})),
        Alteration("transaction.session", "another session's", step_up(caller={"session": "s-2"})),
        *(
            Alteration("transaction.issued", state, step_up(transaction={"state": state}))
            for state in ("VERIFIED", "CONSUMED", "VOID")
        ),
        Alteration("transaction.live", "at its last instant", step_up(transaction={"expires_at": now})),
        Alteration("secret.correct", "wrong", secret(result="wrong")),
        Alteration("secret.correct", "none issued", secret(result="none-issued")),
        Alteration("secret.correct", "none sent", step_up(facts={"secret": None})),
        Alteration("secret.fresh", "expired", secret(kind="otp-sms", result="expired")),
        Alteration("secret.unused", "used", secret(kind="otp-sms", result="used")),
        Alteration("secret.newest", "superseded", secret(kind="otp-sms", result="superseded")),
        Alteration("secret.username", "another user's name", secret(username_matches=False)),
        Alteration(
            "secret.refresh_token", "foreign", step_up(method="BIOMETRIC", secret={"refresh_token_matches": False})
        ),
        Alteration("evidence.approved", "declined", step_up(facts={"assertion": None, "declined": True})),
        Alteration("evidence.present", "missing", step_up(facts={"assertion": None})),
        Alteration(
            "evidence.readable", "no base64url", step_up(facts={"assertion": None, "assertion_unreadable": "?!"})
        ),
        Alteration("evidence.readable", "no JSON", step_up(facts={"assertion": "{"})),
        Alteration("evidence.readable", "no credential", step_up(facts={"assertion": "{}"})),
        Alteration("client_data.readable", "no JSON", signed(client_data_json=b"\xff")),
        Alteration(
            "client_data.readable",
            "two origins",
            signed(client_data_json=b'{"type":"a","challenge":"AA","origin":"b","origin":"c"}'),
        ),
        Alteration("authenticator_data.readable", "36 bytes", signed(authenticator_data=bytes(36))),
        Alteration("authenticator_data.readable", "trailing byte", signed(authenticator_data=bytes(38))),
        Alteration("credential.known", "not enrolled", step_up(facts={"credential": None})),
        Alteration("credential.known", "registration lost", step_up(credential={"registration": {}})),
        Alteration(
            "credential.user",
            "another user's key",
            step_up(credential={"user": "other"}, after=lambda a: msgspec.structs.replace(a, user_handle=None)),
        ),
        Alteration(
            "credential.user",
            "another dialect's key",
            step_up(credential={"dialect": "weavr"}, after=lambda a: msgspec.structs.replace(a, user_handle=None)),
        ),
        *(
            Alteration("credential.active", state, step_up(credential={"state": state}))
            for state in ("replaced", "revoked", "suspended")
        ),
        Alteration("credential.factor", "biometric key with passcode", another_factor),
        Alteration(
            "credential.factor", "possession key for a biometric", step_up(method="BIOMETRIC", factor="possession")
        ),
        Alteration("credential.user_handle", "another", signed(user_handle=b"somebody else")),
        Alteration("attestation.client_data", "another type", enrolment(registration={"type": "webauthn.get"})),
        Alteration(
            "attestation.client_data", "another origin", enrolment(registration={"origin": "https://evil.test"})
        ),
        Alteration("attestation.client_data", "another challenge", step_up(credential={"challenge": "AAAA"})),
        Alteration("attestation.rp_id", "another relying party", enrolment(registration={"rp": OTHER})),
        Alteration("attestation.user_present", "UP clear", enrolment(registration={"flags": Flags(0)})),
        Alteration("attestation.backup_policy", "a synced key", enrolment(registration={"flags": Flags.UP | Flags.BE})),
        Alteration(
            "attestation.backup_policy", "BS without BE", enrolment(registration={"flags": Flags.UP | Flags.BS})
        ),
        Alteration(
            "attestation.algorithm", "EdDSA", lambda name: _evidence(approval(phone(name, algorithm=EDDSA))), IPHONES
        ),
        Alteration("attestation.format", "none", enrolment(formats="none")),
        Alteration("app_attest.present", "missing", without_app_attest, IPHONES),
        Alteration("app_attest.present", "self attestation of an Android phone", enrolment(formats="packed"), ANDROID),
        Alteration("attestation.readable", "no certificate", statement(x5c=[b"no certificate"]), ANDROID),
        Alteration("attestation.readable", "no alg", statement(alg="ES256")),
        Alteration(
            "attestation.readable",
            "no App Attest object",
            step_up(credential={"app_attest": {"keyId": "AA", "attestation": "AA"}}),
            IPHONES,
        ),
        Alteration("attestation.statement", "forged", claim(forged=True)),
        Alteration("attestation.key", "another key attested", claim(impostor=True), ANDROID),
        Alteration("attestation.key", "another key attested", app_claim(impostor=True), IPHONES),
        Alteration("attestation.key", "another key id", app_claim(key_id=bytes(32)), IPHONES),
        *(
            Alteration("attestation.chain", f"{maker} maker", claim(maker=maker), ANDROID)
            for maker in (Maker.UNKNOWN, Maker.IMITATED)
        ),
        *(
            Alteration("attestation.chain", f"{maker} maker", app_claim(maker=maker), IPHONES)
            for maker in (Maker.UNKNOWN, Maker.IMITATED)
        ),
        Alteration("attestation.position", "leaf signed by the attested key", claim(extended=True), ANDROID),
        Alteration(
            "attestation.validity", "expired batch", claim(batch=Batch.EXPIRED), ("pixel-9", "pixel-9-strongbox")
        ),
        Alteration("attestation.validity", "batch of tomorrow", claim(batch=Batch.NOT_YET_VALID), ANDROID),
        *(
            Alteration("attestation.validity", f"{batch} leaf", app_claim(batch=batch), IPHONES)
            for batch in (Batch.EXPIRED, Batch.NOT_YET_VALID)
        ),
        *(
            Alteration("attestation.revocation", f"{batch} batch", claim(batch=batch), ANDROID)
            for batch in (Batch.REVOKED, Batch.SUSPENDED)
        ),
        Alteration("attestation.revocation", "revoked leaf", app_claim(batch=Batch.REVOKED), IPHONES),
        Alteration(
            "attestation.description", "unknown version", describe(lambda d: replace(d, attestation_version=7)), ANDROID
        ),
        Alteration(
            "attestation.challenge",
            "another challenge",
            describe(lambda d: replace(d, attestation_challenge=bytes(32))),
            ANDROID,
        ),
        Alteration("attestation.challenge", "another nonce", app_claim(nonce=bytes(32)), IPHONES),
        Alteration(
            "attestation.challenge",
            "registration not covered",
            step_up(credential={"app_attest_covers": ("AAAA",)}),
            IPHONES,
        ),
        Alteration(
            "attestation.security_level",
            "software",
            describe(lambda d: replace(d, attestation_security_level=half_signed, keymint_security_level=half_signed)),
            ANDROID,
        ),
        Alteration(
            "attestation.security_level",
            "levels differ",
            describe(lambda d: replace(d, attestation_security_level=half_signed)),
            ANDROID,
        ),
        *(
            Alteration("attestation.key_origin", str(origin), hardware(origin=origin), ANDROID)
            for origin in (Origin.IMPORTED, Origin.DERIVED, None)
        ),
        Alteration("attestation.purpose", "verify only", hardware(purpose=(3,)), ANDROID),
        Alteration("attestation.purpose", "not stated", hardware(purpose=None), ANDROID),
        Alteration("attestation.application", "none", software(attestation_application_id=None), ANDROID),
        Alteration(
            "attestation.application",
            "another signer",
            software(attestation_application_id=ApplicationId((), (bytes(32),))),
            ANDROID,
        ),
        Alteration("attestation.application", "another app", app_claim(app_id="STEPUPSIM1.another"), IPHONES),
        Alteration("attestation.all_applications", "in hardware's list", hardware(all_applications=True), ANDROID),
        Alteration("attestation.all_applications", "in the system's list", software(all_applications=True), ANDROID),
        *(
            Alteration("attestation.verified_boot", state.name, boot(verified_boot_state=state), ANDROID)
            for state in list(VerifiedBootState)[1:]
        ),
        Alteration("attestation.device_locked", "unlocked", boot(device_locked=False), ANDROID),
        Alteration("attestation.patch_level", "nineteen months old", hardware(os_patch_level=202504), ANDROID),
        Alteration("attestation.patch_level", "not stated", hardware(os_patch_level=None), ANDROID),
        Alteration("attestation.patch_level", "unknown", hardware(os_patch_level=0), ANDROID),
        Alteration("attestation.patch_level", "a day appended", hardware(os_patch_level=20260105), ANDROID),
        Alteration("attestation.patch_level", "a thirteenth month", hardware(os_patch_level=202513), ANDROID),
        Alteration("attestation.patch_level", "negative", hardware(os_patch_level=-202601), ANDROID),
        Alteration("attestation.patch_date", "far ahead", hardware(os_patch_level=209912), ANDROID),
        Alteration("attestation.patch_date", "three months ahead", hardware(os_patch_level=202702), ANDROID),
        Alteration("attestation.patch_date", "vendor's far ahead", hardware(vendor_patch_level=20991201), ANDROID),
        Alteration("attestation.patch_date", "boot image's far ahead", hardware(boot_patch_level=209912), ANDROID),
        Alteration("attestation.patch_date", "the 32nd", hardware(boot_patch_level=20260132), ANDROID),
        Alteration("attestation.patch_date", "the software list's", software(vendor_patch_level=5), ANDROID),
        Alteration(
            "attestation.gate", "a gated possession key", hardware(no_auth_required=False, user_auth_type=2), ANDROID
        ),
        Alteration("attestation.gate", "none stated", hardware(no_auth_required=False), ANDROID),
        Alteration(
            "attestation.gate",
            "a biometric key without gate",
            biometric_gate(no_auth_required=True, user_auth_type=None),
            ANDROID,
        ),
        Alteration("attestation.gate", "either factor", biometric_gate(user_auth_type=3), ANDROID),
        Alteration("attestation.gate", "any unlock", biometric_gate(auth_timeout=30), ANDROID),
        Alteration(
            "attestation.gate", "the system's word", biometric_gate({"user_auth_type": 2}, user_auth_type=None), ANDROID
        ),
        Alteration(
            "app_attest.environment", "development", app_claim(aaguid=ENVIRONMENTS["appattestdevelop"]), IPHONES
        ),
        Alteration("app_attest.environment", "none", app_claim(aaguid=bytes(16)), IPHONES),
        Alteration("app_attest.counter_zero", "one", app_claim(counter=1), IPHONES),
        Alteration("app_attest.category", "development", app_claim(extensions=extension_map("1", 3)), ("iphone-17",)),
        Alteration(
            "attestation.age", "180 days", lambda name: _evidence(approval(phone(name, at=now - timedelta(days=180))))
        ),
        Alteration("assertion.type", "account access", step_up(client={"type": "webauthn.get"})),
        Alteration(
            "assertion.type",
            "a payment",
            step_up(kind="account-access", payload={"purpose": "p", "user": "u"}, client={"type": "payment.get"}),
        ),
        Alteration("assertion.origin", "another", step_up(client={"origin": "https://evil.test"})),
        Alteration("assertion.cross_origin", "embedded", step_up(client={"crossOrigin": True})),
        Alteration("assertion.top_origin", "another page", step_up(client={"topOrigin": "https://evil.test"})),
        Alteration("assertion.rp_id", "another", step_up(auth={"rp": OTHER})),
        Alteration("assertion.user_present", "UP clear", step_up(auth={"flags": Flags(0)})),
        Alteration("assertion.user_verified", "UV clear", step_up(method="BIOMETRIC", auth={"flags": Flags.UP})),
        Alteration("assertion.backup_state", "BS without BE", step_up(auth={"flags": Flags.UP | Flags.BS})),
        Alteration("assertion.backup_eligibility", "BE set now", step_up(auth={"flags": Flags.UP | Flags.BE})),
        Alteration("assertion.signature", "last bit", step_up(after=bad_signature)),
        Alteration(
            "assertion.signature",
            "another authenticator data",
            step_up(after=lambda a: msgspec.structs.replace(a, authenticator_data=a.authenticator_data[:36] + b"\x09")),
        ),
        Alteration("assertion.counter", "equal", step_up(auth={"counter": 1})),
        Alteration("assertion.counter", "zero after one", step_up(auth={"counter": 0})),
        Alteration("app_attest.assertion", "forged", app_forged, IPHONES),
        Alteration(
            "app_attest.assertion",
            "missing",
            step_up(after=lambda a: msgspec.structs.replace(a, extensions={})),
            IPHONES,
        ),
        Alteration(
            "app_attest.assertion",
            "unreadable",
            step_up(after=lambda a: msgspec.structs.replace(a, extensions={"appAttest": 5})),
            IPHONES,
        ),
        Alteration("app_attest.counter", "equal", step_up(app={"counter": 0}), IPHONES),
        Alteration(
            "app_attest.counter_of_key",
            "used beside the other",
            step_up(credential={"app_attest_key_count": 7}),
            IPHONES,
        ),
        Alteration(
            "app_attest.application", "another", step_up(app={"rp": app_id_hash("STEPUPSIM1.another")}), IPHONES
        ),
        Alteration("challenge.known", "never issued", step_up(facts={"nonce": None})),
        Alteration("challenge.transaction", "another's", step_up(nonce={"transaction_id": "t-2"})),
        Alteration("challenge.unused", "used", step_up(nonce={"consumed_at": now - late})),
        Alteration("challenge.fresh", "at its last instant", step_up(nonce={"expires_at": now})),
        Alteration("challenge.skew", "from the future", signed_at(61)),
        Alteration("challenge.skew", "before the nonce", signed_at(-81)),
        Alteration("challenge.skew", "not stated", step_up(device={"signedAt": None})),
        Alteration("challenge.skew", "not a time", step_up(device={"signedAt": 1.5})),
        Alteration(
            "binding.order",
            "a cent more",
            step_up(
                transaction={"payload": _raised("10.01")}, payment={"total": {"value": "10.01", "currency": "GBP"}}
            ),
        ),
        Alteration(
            "binding.order",
            "another account",
            step_up(transaction={"payload": _raised("10.00", accountNumber="12345679")}),
        ),
        Alteration(
            "binding.amount", "a cent less shown", step_up(payment={"total": {"value": "9.99", "currency": "GBP"}})
        ),
        Alteration(
            "binding.amount", "another currency", step_up(payment={"total": {"value": "10.00", "currency": "EUR"}})
        ),
        Alteration("binding.amount", "none shown", step_up(payment={"total": None})),
        Alteration("binding.payee", "one letter", step_up(payment={"payeeName": "Élan & Sohne"})),
        Alteration("binding.payee", "decomposed letters", step_up(payment={"payeeName": "E\u0301lan & So\u0308hne"})),
        Alteration("binding.payee", "none shown", step_up(payment={"payeeName": None})),
        Alteration("binding.context", "another bank", step_up(payment={"rpId": "evil.test"})),
        Alteration("binding.context", "another page", step_up(payment={"topOrigin": "https://evil.test"})),
        Alteration("binding.context", "no instrument", step_up(payment={"instrument": None})),
    ]


def _raised(amount: str, **account: str) -> dict[str, Any]:
    payee = {"name": "Élan & Söhne", "sortCode": "112233", "accountNumber": "12345678", **account}
    return {"amount": amount, "currency": "GBP", "payee": payee}
