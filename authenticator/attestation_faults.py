"""Defective attestations: each an edit of what an honest maker would certify, with the one check that it must trip.

They act wherever a key or an app is attested: at enrolment, and in the generator for testing other verifiers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from authenticator.app_maker import AppClaims
from authenticator.authorities import Maker
from authenticator.batches import Batch
from authenticator.edits import Edit, honest
from authenticator.maker import Claims
from device_keys.attestation.android_key import (
    USER_AUTH_BIOMETRIC,
    USER_AUTH_PASSWORD,
    ApplicationId,
    KeyDescription,
    Origin,
    SecurityLevel,
    VerifiedBootState,
)
from device_keys.attestation.app_attest import ENVIRONMENTS, VALIDATION_CATEGORY

REMOTELY_PROVISIONED: Final = ("pixel-9", "pixel-9-strongbox")
ANDROID: Final = (*REMOTELY_PROVISIONED, "pixel-5")
IPHONES: Final = ("iphone-17", "iphone-14", "iphone-8")
POSSESSION, BIOMETRIC = "possession", "biometric"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationFault:
    """One defect. `factor`: the key that it is about. `profiles`: the phones on which it trips exactly `check`."""

    name: str
    simulates: str
    attack: str
    check: str
    profiles: tuple[str, ...] = ANDROID
    factor: str = POSSESSION
    claims: Edit[Claims] = field(default=honest, repr=False)
    app_claims: Edit[AppClaims] = field(default=honest, repr=False)


# --- building blocks ----------------------------------------------------------------------------------------------------


def claims(**values: Any) -> Edit[Claims]:
    """The statement claims something else."""
    return lambda honest_claims: replace(honest_claims, **values)


def app_claims(**values: Any) -> Edit[AppClaims]:
    """App Attest claims something else."""
    return lambda honest_claims: replace(honest_claims, **values)


def description(change: Callable[[KeyDescription], KeyDescription]) -> Edit[Claims]:
    """The KeyDescription says something else, where there is one."""
    return lambda honest_claims: (
        honest_claims
        if honest_claims.description is None
        else replace(honest_claims, description=change(honest_claims.description))
    )


def hardware(**values: Any) -> Edit[Claims]:
    """The hardware-enforced list says something else."""
    return description(
        lambda honest_one: replace(honest_one, hardware_enforced=replace(honest_one.hardware_enforced, **values))
    )


def _boot(**values: Any) -> Edit[Claims]:
    def change(honest_one: KeyDescription) -> KeyDescription:
        root = honest_one.hardware_enforced.root_of_trust
        changed = None if root is None else replace(root, **values)
        return replace(honest_one, hardware_enforced=replace(honest_one.hardware_enforced, root_of_trust=changed))

    return description(change)


def _patched(years: int) -> Edit[Claims]:
    """Every patch level that many years later."""

    def change(honest_one: KeyDescription) -> KeyDescription:
        enforced = honest_one.hardware_enforced
        moved = {
            "os_patch_level": _later(enforced.os_patch_level, years * 100),
            "vendor_patch_level": _later(enforced.vendor_patch_level, years * 10_000),
            "boot_patch_level": _later(enforced.boot_patch_level, years * 10_000),
        }
        return replace(honest_one, hardware_enforced=replace(enforced, **moved))  # type: ignore[arg-type]

    return description(change)


def _later(level: int | None, difference: int) -> int | None:
    return None if level is None else level + difference


def _repackaged(honest_one: KeyDescription) -> KeyDescription:
    application = honest_one.software_enforced.attestation_application_id
    if application is None:
        return honest_one
    resigned = ApplicationId(application.packages, (hashlib.sha256(b"another signer").digest(),))
    software = replace(honest_one.software_enforced, attestation_application_id=resigned)
    return replace(honest_one, software_enforced=software)


def _gate_in_software(honest_one: KeyDescription) -> KeyDescription:
    return replace(
        honest_one,
        software_enforced=replace(honest_one.software_enforced, user_auth_type=USER_AUTH_BIOMETRIC),
        hardware_enforced=replace(honest_one.hardware_enforced, user_auth_type=None),
    )


def _emulated(honest_one: KeyDescription) -> KeyDescription:
    return replace(
        honest_one,
        attestation_security_level=SecurityLevel.SOFTWARE,
        keymint_security_level=SecurityLevel.SOFTWARE,
    )


def _all_applications(honest_one: KeyDescription) -> KeyDescription:
    software = replace(honest_one.software_enforced, all_applications=True)
    return replace(honest_one, software_enforced=software)


def _sideloaded(honest_one: AppClaims) -> AppClaims:
    if honest_one.extensions is None:
        return honest_one
    return replace(honest_one, extensions={**honest_one.extensions, VALIDATION_CATEGORY: (3).to_bytes(4, "little")})


_OTHER: Final = hashlib.sha256(b"another enrolment's").digest()

_TABLE: Final = (
    AttestationFault(
        name="software-attestation",
        simulates="the attestation says that key and attestation live in software",
        attack="the app runs on an emulator with a leaked attestation key",
        check="attestation.security_level",
        claims=description(_emulated),
    ),
    AttestationFault(
        name="mixed-levels",
        simulates="the attestation is by the secure hardware, the key itself in software",
        attack="a key outside the hardware borrows the hardware's word",
        check="attestation.security_level",
        claims=description(lambda one: replace(one, keymint_security_level=SecurityLevel.SOFTWARE)),
    ),
    AttestationFault(
        name="imported-key",
        simulates="the key was imported, not generated inside",
        attack="the key exists elsewhere too and signs from there",
        check="attestation.key_origin",
        claims=hardware(origin=Origin.IMPORTED),
    ),
    AttestationFault(
        name="wrong-purpose",
        simulates="the key may verify, not sign",
        attack="a key of another use is passed off as the signing key",
        check="attestation.purpose",
        claims=hardware(purpose=(3,)),
    ),
    AttestationFault(
        name="repackaged-app",
        simulates="the attested app bears another signer's certificate (iPhone: another bundle id)",
        attack="a trojaned copy of the bank's app enrols",
        check="attestation.application",
        profiles=ANDROID + IPHONES,
        claims=description(_repackaged),
        app_claims=lambda one: replace(one, app_id=one.app_id + ".copy"),
    ),
    AttestationFault(
        name="unverified-boot",
        simulates="the bootloader says that the system is not verified",
        attack="a modified system reads what the app shows and sends",
        check="attestation.verified_boot",
        claims=_boot(verified_boot_state=VerifiedBootState.UNVERIFIED),
    ),
    AttestationFault(
        name="unlocked-bootloader",
        simulates="the bootloader is unlocked",
        attack="any system can be started on the phone",
        check="attestation.device_locked",
        claims=_boot(device_locked=False),
    ),
    AttestationFault(
        name="outdated-patches",
        simulates="the patch levels are five years old",
        attack="known holes of the system are open",
        check="attestation.patch_level",
        claims=_patched(years=-5),
    ),
    AttestationFault(
        name="future-patch-level",
        simulates="the patch levels are of two years from now",
        attack="a forged level that will not look old for years",
        check="attestation.patch_date",
        claims=_patched(years=2),
    ),
    AttestationFault(
        name="ungated-biometric-key",
        simulates="the biometric key needs no user at all (503 for 504)",
        attack="malware signs without the user's finger",
        check="attestation.gate",
        factor=BIOMETRIC,
        claims=hardware(user_auth_type=None, no_auth_required=True),
    ),
    AttestationFault(
        name="biometric-or-credential-key",
        simulates="the biometric key takes the screen lock's PIN too (504=3)",
        attack="who has seen the PIN signs as if by finger",
        check="attestation.gate",
        factor=BIOMETRIC,
        claims=hardware(user_auth_type=USER_AUTH_PASSWORD | USER_AUTH_BIOMETRIC),
    ),
    AttestationFault(
        name="timed-biometric-key",
        simulates="the biometric key stays open for 30 s after any match (505)",
        attack="unlocking the screen approves a payment",
        check="attestation.gate",
        factor=BIOMETRIC,
        claims=hardware(auth_timeout=30),
    ),
    AttestationFault(
        name="biometric-gate-by-software",
        simulates="the biometric gate is enforced by the system, not by the hardware",
        attack="a modified system opens the key at will",
        check="attestation.gate",
        factor=BIOMETRIC,
        claims=description(_gate_in_software),
    ),
    AttestationFault(
        name="unstated-gate",
        simulates="the possession key says neither 503 nor 504",
        attack="nobody can tell what releases the key",
        check="attestation.gate",
        claims=hardware(no_auth_required=False),
    ),
    AttestationFault(
        name="all-applications",
        simulates="the key may be used by every app on the phone",
        attack="any app signs with the bank's key",
        check="attestation.all_applications",
        claims=description(_all_applications),
    ),
    AttestationFault(
        name="replayed-attestation",
        simulates="the attestation is over another enrolment's challenge",
        attack="an old attestation is replayed for a new key",
        check="attestation.challenge",
        profiles=ANDROID + IPHONES,
        claims=description(lambda one: replace(one, attestation_challenge=_OTHER)),
        app_claims=app_claims(nonce=_OTHER),
    ),
    AttestationFault(
        name="other-key-attested",
        simulates="the certificate is for another key than the one registered",
        attack="a software key hides behind a genuine phone's attestation",
        check="attestation.key",
        profiles=ANDROID + IPHONES,
        claims=claims(impostor=True),
        app_claims=app_claims(key_id=_OTHER),
    ),
    AttestationFault(
        name="unknown-maker",
        simulates="the chain ends at a root that the server does not know",
        attack="the attacker makes an attestation with an own authority",
        check="attestation.chain",
        profiles=ANDROID + IPHONES,
        claims=claims(maker=Maker.UNKNOWN),
        app_claims=app_claims(maker=Maker.UNKNOWN),
    ),
    AttestationFault(
        name="imitated-maker",
        simulates="the chain ends at a root with the maker's name and another key",
        attack="the attacker's own authority bears the maker's name",
        check="attestation.chain",
        profiles=ANDROID + IPHONES,
        claims=claims(maker=Maker.IMITATED),
        app_claims=app_claims(maker=Maker.IMITATED),
    ),
    AttestationFault(
        name="expired-batch",
        simulates="the attestation certificate expired the day before",
        attack="an old, extracted attestation key is used",
        check="attestation.validity",
        profiles=REMOTELY_PROVISIONED + IPHONES,
        claims=claims(batch=Batch.EXPIRED),
        app_claims=app_claims(batch=Batch.EXPIRED),
    ),
    AttestationFault(
        name="premature-batch",
        simulates="the attestation certificate is valid from tomorrow on",
        attack="a certificate is dated ahead, to outlive its revocation",
        check="attestation.validity",
        profiles=ANDROID + IPHONES,
        claims=claims(batch=Batch.NOT_YET_VALID),
        app_claims=app_claims(batch=Batch.NOT_YET_VALID),
    ),
    AttestationFault(
        name="revoked-batch",
        simulates="the attestation certificate is on the revocation list",
        attack="the batch's key has leaked",
        check="attestation.revocation",
        claims=claims(batch=Batch.REVOKED),
    ),
    AttestationFault(
        name="suspended-batch",
        simulates="the attestation certificate is suspended on the revocation list",
        attack="the batch's hardware has a hole that is being looked into",
        check="attestation.revocation",
        claims=claims(batch=Batch.SUSPENDED),
    ),
    AttestationFault(
        name="extended-chain",
        simulates="the attested key certifies a further leaf with a KeyDescription of its own",
        attack="the owner of a genuine phone invents any attestation for any key",
        check="attestation.position",
        claims=claims(extended=True),
    ),
    AttestationFault(
        name="forged-attestation",
        simulates="the statement's signature is over other bytes",
        attack="authenticator data is put together around a foreign statement",
        check="attestation.statement",
        profiles=ANDROID + IPHONES,
        claims=claims(forged=True),
    ),
    AttestationFault(
        name="no-attestation",
        simulates="the registration has format none",
        attack="a software authenticator registers a key and says nothing of it",
        check="attestation.format",
        profiles=ANDROID + IPHONES,
        claims=claims(format="none"),
    ),
    AttestationFault(
        name="unknown-version",
        simulates="the KeyDescription has a version that does not exist",
        attack="a verifier is fed what it cannot read, in the hope that it lets it pass",
        check="attestation.description",
        claims=description(lambda one: replace(one, attestation_version=999)),
    ),
    AttestationFault(
        name="development-app",
        simulates="App Attest's environment is development",
        attack="a developer's build, open to a debugger, enrols",
        check="app_attest.environment",
        profiles=IPHONES,
        app_claims=app_claims(aaguid=ENVIRONMENTS["appattestdevelop"]),
    ),
    AttestationFault(
        name="used-app-key",
        simulates="App Attest's counter in the attestation is not zero",
        attack="a key that has signed before is presented as new",
        check="app_attest.counter_zero",
        profiles=IPHONES,
        app_claims=app_claims(counter=1),
    ),
    AttestationFault(
        name="sideloaded-app",
        simulates="App Attest's validation category is development, not App Store",
        attack="a build from outside the store enrols",
        check="app_attest.category",
        profiles=("iphone-17",),
        app_claims=_sideloaded,
    ),
)
ATTESTATION_FAULTS: Final[dict[str, AttestationFault]] = {fault.name: fault for fault in _TABLE}
