"""RTS Article 2: monitoring of transactions."""

from __future__ import annotations

from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, fails, unknown
from server_stub.rules.scene import Platform, Scene
from server_stub.verdict import Grade, Outcome


@rule(
    "RTS-2.2.a",
    obligation="monitoring considers lists of compromised or stolen authentication elements",
    source="Delegated Regulation (EU) 2018/389, Art. 2(2)(a)",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="a code was accepted with a key whose attestation key is on the maker's revocation list",
    open="nothing is declared: no step-up shows the provider's monitoring",
    settles="a declaration: which lists are looked at, and when",
    declarable=True,
)
def compromised_elements(scene: Scene) -> Ruling:
    """Nothing here monitors; what was accepted in spite of a list contradicts it."""
    if scene.accepted and scene.outcome("attestation.revocation") is Outcome.FAIL:
        return fails(f"accepted although {scene.why('attestation.revocation')}", Grade.LOGGED, "attestation.revocation")
    return unknown("whether lists of compromised elements are consulted is not on record")


@rule(
    "RTS-2.2.d",
    obligation="monitoring considers signs of malware infection in any session of the authentication",
    source="Delegated Regulation (EU) 2018/389, Art. 2(2)(d)",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="a code was accepted from a phone whose own attestation says that its system was altered",
    open="nothing is declared: no step-up shows the provider's monitoring",
    settles="a declaration: which signs are looked for, and when",
    declarable=True,
)
def signs_of_malware(scene: Scene) -> Ruling:
    """Nothing here monitors; an altered system that was accepted contradicts it."""
    if scene.accepted and scene.platform is Platform.ANDROID and scene.altered:
        return fails(f"accepted although the phone's attestation says: {scene.altered}", Grade.LOGGED)
    return unknown("whether signs of malware are looked for is not on record")
