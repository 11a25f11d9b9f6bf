"""Faults of enrolment: the server takes the key, and the evidence about it is judged at each step-up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from authenticator.attestation_faults import ATTESTATION_FAULTS, AttestationFault
from authenticator.ceremonies import Edit, Edits, KeyPlan, RegistrationDraft, Scene, same
from authenticator.edits import honest
from authenticator.faults.fault import ANDROID, IPHONES, Fault
from authenticator.faults.response import ELSEWHERE
from device_keys.algorithms import ES384
from device_keys.messages import Flags

if TYPE_CHECKING:
    from authenticator.app_maker import AppClaims
    from authenticator.maker import Claims
    from device_keys.messages import AttestationObject


def registered(**values: Any) -> Edit[RegistrationDraft]:
    """The registration says something else."""
    return lambda draft, scene: replace(draft, **values)


def _other_curve(plan: KeyPlan, scene: Scene) -> KeyPlan:
    return replace(plan, algorithm=ES384)


def _without_signature(attested: AttestationObject, scene: Scene) -> AttestationObject:
    return replace(attested, statement={name: value for name, value in attested.statement.items() if name != "sig"})


def _without_app_attest(message: dict[str, Any], scene: Scene) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "appAttest"}


def _synced(draft: RegistrationDraft, scene: Scene) -> RegistrationDraft:
    return replace(draft, flags=draft.flags | Flags.BE | Flags.BS)


def _unattended(draft: RegistrationDraft, scene: Scene) -> RegistrationDraft:
    return replace(draft, flags=draft.flags & ~Flags.UP)


def at_enrolment(defect: AttestationFault) -> Fault:
    """A defective attestation as a fault of enrolment: it is about one factor's key, or about the app."""

    def claims(honest_claims: Claims, scene: Scene) -> Claims:
        about = scene.plan is not None and scene.plan.factor == defect.factor
        return defect.claims(honest_claims) if about else honest_claims

    def app_claims(honest_claims: AppClaims, scene: Scene) -> AppClaims:
        return defect.app_claims(honest_claims)

    return Fault(
        name=defect.name,
        simulates=defect.simulates,
        attack=defect.attack,
        check=defect.check,
        profiles=defect.profiles,
        edits=Edits(
            claims=same if defect.claims is honest else claims,
            app_claims=same if defect.app_claims is honest else app_claims,
        ),
    )


FAULTS: Final = (
    Fault(
        name="enrolled-elsewhere",
        simulates="the key was registered at another origin",
        attack="a phishing site relays an enrolment",
        check="attestation.client_data",
        edits=Edits(registration=registered(origin=ELSEWHERE)),
    ),
    Fault(
        name="enrolled-for-another-rp",
        simulates="the key was registered for another relying party",
        attack="a key made for another service is enrolled here",
        check="attestation.rp_id",
        edits=Edits(registration=registered(rp_id="stepup-simulator.example")),
    ),
    Fault(
        name="enrolled-unattended",
        simulates="nobody was present when the key was made",
        attack="malware enrols a key in the background",
        check="attestation.user_present",
        edits=Edits(registration=_unattended),
    ),
    Fault(
        name="synced-passkey",
        simulates="the key is a synced passkey",
        attack="a key that can be copied to other devices stands in for possession",
        check="attestation.backup_policy",
        edits=Edits(registration=_synced),
    ),
    Fault(
        name="unoffered-algorithm",
        simulates="the key is for an algorithm that the server did not offer",
        attack="a client downgrades or swaps the algorithm",
        check="attestation.algorithm",
        profiles=ANDROID,
        edits=Edits(key=_other_curve),
    ),
    Fault(
        name="no-app-attest",
        simulates="the iPhone's app is not vouched for",
        attack="a script enrols keys that no iPhone holds",
        check="app_attest.present",
        profiles=IPHONES,
        edits=Edits(enrolment=_without_app_attest),
    ),
    Fault(
        name="mangled-statement",
        simulates="the attestation statement lacks its signature",
        attack="a parser is fed what it does not expect",
        check="attestation.readable",
        edits=Edits(attested=_without_signature),
    ),
    *map(at_enrolment, ATTESTATION_FAULTS.values()),
)
