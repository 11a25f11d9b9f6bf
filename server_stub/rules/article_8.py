"""RTS Article 8: inherence."""

from __future__ import annotations

from typing import Final

from server_stub.rules.article_6 import used
from server_stub.rules.article_7 import vouching
from server_stub.rules.elements import State
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, unknown
from server_stub.rules.scene import Platform, Scene
from server_stub.verdict import Category, Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 8"


@rule(
    "RTS-8.1",
    obligation="against uncovering; devices and software have a very low probability of authenticating another",
    source=f"{_SOURCE}(1)",
    best=Grade.SIGNED,
    passes=(
        "Android: the attested gate is a strong biometric on a verified system, whose class has a limit. "
        "iPhone: App Attest vouches for an Apple device, or the operator declares the class (declared)"
    ),
    fails="a message holds what may be a template",
    open="no code was accepted; the class of the sensor does not follow from what was attested",
    settles="a biometric key of an attested Android phone, or a declaration of the sensors' class",
    signed=True,
    of_code=True,
    declarable=True,
)
def inherence_sensor(scene: Scene) -> Ruling:
    """The sensor's class follows from what was attested, and no template is in any message."""
    found = used(scene, Category.INHERENCE)
    if not found:
        return absent(Why.NO_INHERENCE)
    if scene.secret_paths():
        return fails(f"a member that may hold a template: {scene.secret_paths()[0]}", Grade.LOGGED)
    if all(candidate.state is not State.SHOWN for candidate in found):
        return unknown(found[0].reason)
    if scene.platform is Platform.ANDROID and scene.in_hardware:
        checks = ("attestation.gate", "attestation.verified_boot")
        if scene.passed(*checks):
            evidence = scene.checked(*checks, *scene.hardware_checks, grade=Grade.SIGNED)
            return passes(
                evidence, reason="a strong biometric (class 3 of Android's Compatibility Definition) gates the key"
            )
        return unknown(scene.why(*checks))
    if scene.platform is Platform.IOS and vouching(scene) and scene.attested is Grade.SIGNED:
        evidence = scene.checked(*vouching(scene), grade=Grade.DECLARED)
        return passes(evidence, reason="an Apple device, as App Attest says; the class of its sensor is Apple's word")
    return unknown("nothing attests what sensor was used, nor its class")


@rule(
    "RTS-8.2",
    obligation="resistance against unauthorised use of the inherence element through access to the device",
    source=f"{_SOURCE}(2)",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="a code was accepted with a biometric key whose attestation says that it needs no biometric",
    open=(
        "no code was accepted; no platform attests that a new finger ends the key, nor how many tries the sensor allows"
    ),
    settles="a declaration on the sensors that are let in: what a new enrolment does, and the limit of tries",
    signed=True,
    of_code=True,
    declarable=True,
)
def inherence_guarded(scene: Scene) -> Ruling:
    """What happens on a new enrolment, and after failed matches, nobody attests."""
    credential = scene.evidence.credential
    if scene.accepted and credential is not None and credential.factor == "biometric":
        hardware = scene.key_description.hardware_enforced if scene.key_description is not None else None
        if scene.failed("attestation.gate") or (hardware is not None and hardware.no_auth_required):
            return fails("the key does not need a biometric for each use, as its attestation says", Grade.SIGNED)
    if not used(scene, Category.INHERENCE):
        return absent(Why.NO_INHERENCE)
    return unknown("no platform attests that a new enrolment ends the key, nor how many tries the sensor allows")
