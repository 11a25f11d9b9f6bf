"""RTS Article 7: possession."""

from __future__ import annotations

from typing import Final

from server_stub.rules.article_6 import used
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, unknown
from server_stub.rules.scene import ANDROID_PROOF, IOS_PROOF, Platform, Scene
from server_stub.verdict import Category, Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 7"
_BACKUP_ELIGIBLE: Final = 0x08


def _no_device(scene: Scene, what: str) -> Ruling:
    """Possession without a device key that was enrolled here: a SIM, an authenticator app. Nothing on record says who else has it."""
    held = [candidate.method for candidate in used(scene, Category.POSSESSION)]
    if not held:
        return absent(Why.NO_POSSESSION)
    return unknown(f"{', '.join(held)}: {what} is not on record (EBA Q&A 2018_4039)")


def vouching(scene: Scene) -> tuple[str, ...]:
    """The checks by which something vouches for the key: its hardware, or the app under App Attest."""
    vouched = scene.platform is Platform.IOS and scene.attested is Grade.SIGNED
    return scene.hardware_checks or (scene.among_passed(*IOS_PROOF) if vouched else ())


def attesting(scene: Scene) -> tuple[str, ...]:
    """The checks by which the attestation itself stands, whatever it says of the key."""
    return scene.among_passed(*(ANDROID_PROOF if scene.platform is Platform.ANDROID else IOS_PROOF))


@rule(
    "RTS-7.1",
    obligation="measures mitigate the risk that the possession element is used by others",
    source=f"{_SOURCE}(1)",
    best=Grade.PROVED,
    passes=(
        "the key itself asks for its user's biometric each time (attested on Android, the app's word on an "
        "iPhone), or the operator declares how loss is reported"
    ),
    fails="a code was accepted with a credential that is not in force",
    open="no code was accepted; the key signs for whoever holds the phone; who else holds the SIM is not known",
    settles="a step-up by biometric, or a declaration on the reporting of loss",
    signed=True,
    of_code=True,
    declarable=True,
)
def possession_guarded(scene: Scene) -> Ruling:
    """Others cannot use the key: it asks for its user. That another element came with it is no measure."""
    if not scene.device:
        return _no_device(scene, "who else holds the phone with that number or seed")
    credential = scene.evidence.credential
    if scene.attested is Grade.NONE or credential is None:
        return unknown(scene.attestation_why)
    if scene.failed("credential.active"):
        return fails(scene.why("credential.active"), Grade.LOGGED, "credential.active")
    if not scene.passed("credential.active"):
        return unknown(scene.why("credential.active"))
    if credential.factor != "biometric" or not scene.passed("assertion.user_verified"):
        return unknown("the key signs for whoever holds the unlocked phone; no measure against that is on record")
    if scene.platform is Platform.IOS:
        checks = ("credential.active", "assertion.user_verified", *vouching(scene))
        return passes(
            scene.checked(*checks, grade=Grade.SIGNED), reason="the app's word: its key asks for the biometric"
        )
    if not scene.passed("attestation.gate"):
        return unknown(scene.why("attestation.gate"))
    checks = ("credential.active", "assertion.user_verified", "attestation.gate", *attesting(scene))
    return passes(scene.checked(*checks, grade=scene.attested), reason="the key itself asks for its user each time")


@rule(
    "RTS-7.2",
    obligation="measures designed to prevent replication of the possession element",
    source=f"{_SOURCE}(2)",
    best=Grade.PROVED,
    passes=(
        "hardware made the key and keeps it, or App Attest vouches for the app that made it; not backed up; "
        "no counter went back"
    ),
    fails="a code was accepted although a counter went back or the key was imported",
    open=(
        "no code was accepted; a synced passkey (no ruling says what it is worth); a SIM, a seed, or a key "
        "that nothing vouches for"
    ),
    settles="a key that secure hardware attests, not eligible for backup",
    signed=True,
    of_code=True,
)
def possession_unique(scene: Scene) -> Ruling:
    """The key cannot be copied: made in hardware, not exportable, not backed up, and its counter never went back."""
    if not scene.device:
        return _no_device(scene, "whether the SIM or the seed was copied")
    if scene.auth_data is None:
        return unknown(scene.why("assertion.signature"))
    back = scene.failed("assertion.counter", "app_attest.counter", "app_attest.counter_of_key")
    if back is not None:
        return fails(f"the key may have been copied ({scene.why(back)})", Grade.SIGNED, back)
    if synced(scene):
        return unknown("a synced passkey can be on other devices too; no ruling says whether that is possession")
    if scene.attested is Grade.NONE:
        return unknown(scene.attestation_why)
    made = scene.failed("attestation.key_origin", "attestation.security_level", "assertion.backup_eligibility")
    if made is not None:
        return fails(scene.why(made), scene.attested, made)
    if not vouching(scene):
        return unknown("hardware is not shown to hold the key")
    counters = scene.among_passed(
        "assertion.counter", "app_attest.counter", "app_attest.counter_of_key", "assertion.backup_eligibility"
    )
    return passes(scene.checked(*vouching(scene), *counters, grade=scene.attested))


def synced(scene: Scene) -> bool:
    """Whether the signed flags say that the credential may be on other devices too."""
    return scene.auth_data is not None and bool(int(scene.auth_data.flags) & _BACKUP_ELIGIBLE)
