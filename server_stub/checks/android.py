"""Checks of what an Android phone's secure hardware states of a key (KeyDescription): level, origin, purpose, app,
boot and gate.

Authorizations are read in `hardwareEnforced`; those in `softwareEnforced` are the system's word and count only where
the policy says so.
"""

from __future__ import annotations

from typing import Final

from device_keys.attestation.android_key import (
    PURPOSE_SIGN,
    USER_AUTH_BIOMETRIC,
    Origin,
    RootOfTrust,
    SecurityLevel,
    VerifiedBootState,
)
from server_stub.checks.attestation import WAIVED
from server_stub.checks.engine import Check, Failure, NotApplicable, Result
from server_stub.checks.enrolment import Enrolment

OTHER: Final = NotApplicable("no-key-description-in-this-format")


def _other(enrolment: Enrolment) -> bool:
    return enrolment.voucher != "android"


def security_level(enrolment: Enrolment) -> Result:
    if _other(enrolment):
        return OTHER
    description, least = enrolment.description, enrolment.policy.minimum_security_level
    levels = description.attestation_security_level, description.keymint_security_level
    if levels[0] != levels[1] and least:
        return Failure("levels-differ", "attestation and key at one level", f"{levels[0].name} and {levels[1].name}")
    if min(levels) < least:
        return Failure("level", f"{SecurityLevel(least).name} or better", min(levels).name)
    return WAIVED if min(levels) is SecurityLevel.SOFTWARE else None


def key_origin(enrolment: Enrolment) -> Result:
    if _other(enrolment):
        return OTHER
    origin = enrolment.description.hardware_enforced.origin
    if origin is None and enrolment.policy.software_keys:
        origin = enrolment.description.software_enforced.origin
    if origin is None and not enrolment.policy.require_key_facts:
        return WAIVED
    return (
        None
        if origin is Origin.GENERATED
        else Failure("origin", "GENERATED", origin.name if origin is not None else "not stated")
    )


def purpose(enrolment: Enrolment) -> Result:
    if _other(enrolment):
        return OTHER
    stated = enrolment.authorized("purpose")
    if stated is None and not enrolment.policy.require_key_facts:
        return WAIVED
    return (
        None
        if stated and PURPOSE_SIGN in stated
        else Failure("purpose", "SIGN (2) among them", str(stated or "none stated"))
    )


def application(enrolment: Enrolment) -> Result:
    if enrolment.voucher == "app-attest":
        return _apple_application(enrolment)
    if _other(enrolment):
        return OTHER
    if not enrolment.policy.require_app_identity:
        return WAIVED
    stated = enrolment.description.software_enforced.attestation_application_id
    if stated is None:
        return Failure("application", "an attestationApplicationId", "none")
    packages = {package.name for package in stated.packages}
    signers = {signer.hex() for signer in stated.signers}
    for app in enrolment.policy.android_apps:
        if app.package in packages and app.signer in signers:
            return None
    expected = ", ".join(f"{app.package} signed by {app.signer[:16]}…" for app in enrolment.policy.android_apps)
    return Failure(
        "application",
        expected,
        f"{', '.join(sorted(packages))} signed by {', '.join(sorted(s[:16] + '…' for s in signers))}",
    )


def _apple_application(enrolment: Enrolment) -> Result:
    from device_keys.attestation.app_attest import app_id_hash

    found = enrolment.app.auth_data.rp_id_hash if enrolment.app else b""
    if found in [app_id_hash(app_id) for app_id in enrolment.policy.apple_app_ids]:
        return None
    if not enrolment.policy.require_app_identity:
        return WAIVED
    return Failure("application", f"SHA-256 of {' or '.join(enrolment.policy.apple_app_ids)}", found.hex())


def all_applications(enrolment: Enrolment) -> Result:
    if _other(enrolment):
        return OTHER
    if any(stated.all_applications for stated in enrolment.lists):
        return Failure("all-applications", "a key of one app", "a key of all apps")
    return None


def _root_of_trust(enrolment: Enrolment) -> RootOfTrust | None:
    root: RootOfTrust | None = enrolment.authorized("root_of_trust")
    return root


def verified_boot(enrolment: Enrolment) -> Result:
    if _other(enrolment):
        return OTHER
    if not enrolment.policy.require_verified_boot:
        return WAIVED
    root = _root_of_trust(enrolment)
    if root is None:
        return Failure("no-root-of-trust", "a rootOfTrust", "none")
    state = root.verified_boot_state
    return None if state is VerifiedBootState.VERIFIED else Failure("verified-boot", "VERIFIED", state.name)


def device_locked(enrolment: Enrolment) -> Result:
    if _other(enrolment):
        return OTHER
    if not enrolment.policy.require_locked_device:
        return WAIVED
    root = _root_of_trust(enrolment)
    if root is None:
        return Failure("no-root-of-trust", "a rootOfTrust", "none")
    return None if root.device_locked else Failure("unlocked", "a locked bootloader", "an unlocked one")


def patch_level(enrolment: Enrolment) -> Result:
    """Months between the system's patch level and the enrolment; later, the attestation's own age is what counts."""
    if _other(enrolment):
        return OTHER
    most = enrolment.policy.maximum_patch_age_months
    level = enrolment.authorized("os_patch_level")
    if most is None and not level:  # 0: not known to the secure world
        return WAIVED
    month = None if level is None else _month_of(level, "YYYYMM")
    if month is None:
        return Failure("patch-level", "osPatchLevel as YYYYMM", str(level))
    age = enrolment.at.year * 12 + enrolment.at.month - month
    if most is None:
        return WAIVED
    return None if age <= most else Failure("patch-level", f"at most {most} months old", f"{level}, {age} months old")


def patch_date(enrolment: Enrolment) -> Result:
    """Every patch level that is stated is a date, with at most a month between the enrolment's and its own: a later one
    would stay young for years. (Genuine phones with preview systems are that far ahead.)

    Those of vendor and boot image have a day; without it they are seen too. 0 is none. It needs a verified boot, since an
    unverified image states what it likes, and certificates that are valid at that instant: by a clock that is years
    behind, all lies ahead.
    """
    if _other(enrolment):
        return OTHER
    now = enrolment.at.year * 12 + enrolment.at.month
    for name, forms in _PATCH_LEVELS:
        for listed in enrolment.lists:
            level = getattr(listed, name)
            if not level:
                continue
            month = next(filter(None, (_month_of(level, form) for form in forms)), None)
            if month is None:
                return Failure("no-date", f"{name} as {' or '.join(forms)}", str(level))
            if month > now + _MONTHS_AHEAD:
                return Failure(
                    "ahead", f"{name} of {_MONTHS_AHEAD} months after the enrolment's at the latest", str(level)
                )
    return None


_MONTHS_AHEAD: Final = 2
_PATCH_LEVELS: Final = (
    ("os_patch_level", ("YYYYMM",)),
    ("vendor_patch_level", ("YYYYMMDD", "YYYYMM")),
    ("boot_patch_level", ("YYYYMMDD", "YYYYMM")),
)


def _month_of(level: int, form: str) -> int | None:
    """Months since the year 0 of a patch level; None for what is not of this form."""
    text = str(level)
    if len(text) != len(form) or not text.isdigit():
        return None
    if not 1 <= int(text[4:6]) <= 12 or (text[6:] and not 1 <= int(text[6:]) <= 31):
        return None
    return int(text[:4]) * 12 + int(text[4:6])


def gate(enrolment: Enrolment) -> Result:
    """The key's access rule proves the factor: a possession key has no gate (503), a biometric key one biometric per
    use (504=2 alone)."""
    if enrolment.voucher == "app-attest":
        return NotApplicable("ios-attests-no-gate")
    if _other(enrolment):
        return NotApplicable("format-states-no-gate")
    if not enrolment.policy.require_gate:
        return WAIVED
    stated = enrolment.description.hardware_enforced
    found = (stated.no_auth_required, stated.user_auth_type, stated.auth_timeout)
    wanted = (True, None, None) if enrolment.facts.factor == "possession" else (False, USER_AUTH_BIOMETRIC, None)
    return None if found == wanted else Failure("gate", _gate_words(*wanted), _gate_words(*found))


def _gate_words(no_auth: bool, kind: int | None, timeout: int | None) -> str:
    words = ["noAuthRequired"] if no_auth else []
    words += [f"userAuthType {kind}"] if kind is not None else []
    words += [f"authTimeout {timeout} s"] if timeout is not None else ["per use"] if kind is not None else []
    return ", ".join(words) or "no gate stated by the hardware"


_NEEDS = ("attestation.description",)

ANDROID: Final[tuple[Check[Enrolment], ...]] = (
    Check(
        "attestation.security_level",
        "Android key attestation: attestationSecurityLevel, keyMintSecurityLevel; RTS Art. 9(3)(a)",
        security_level,
        _NEEDS,
    ),
    Check(
        "attestation.key_origin",
        "WebAuthn L3 section 8.4: origin is KM_ORIGIN_GENERATED; RTS Art. 23",
        key_origin,
        _NEEDS,
    ),
    Check("attestation.purpose", "WebAuthn L3 section 8.4: purpose is KM_PURPOSE_SIGN", purpose, _NEEDS),
    Check(
        "attestation.application",
        "Android key attestation: attestationApplicationId; Apple: RP ID is the app id; RTS Art. 25(2)(b)",
        application,
        _NEEDS,
    ),
    Check(
        "attestation.all_applications", "WebAuthn L3 section 8.4: allApplications is absent", all_applications, _NEEDS
    ),
    Check(
        "attestation.verified_boot",
        "Android key attestation: verifiedBootState; RTS Art. 9(3)(b)",
        verified_boot,
        _NEEDS,
    ),
    Check(
        "attestation.device_locked", "Android key attestation: deviceLocked; RTS Art. 9(3)(b)", device_locked, _NEEDS
    ),
    Check("attestation.patch_level", "Android key attestation: osPatchLevel; RTS Art. 9(3)(b)", patch_level, _NEEDS),
    Check(
        "attestation.patch_date",
        "Android key attestation: osPatchLevel, vendorPatchLevel, bootPatchLevel; RTS Art. 9(3)(b)",
        patch_date,
        ("attestation.patch_level", "attestation.verified_boot", "attestation.validity"),
    ),
    Check(
        "attestation.gate",
        "Android key attestation: noAuthRequired, userAuthType, authTimeout; RTS Art. 7(1), 8(1)",
        gate,
        _NEEDS,
    ),
)
