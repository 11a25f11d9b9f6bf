"""RTS Article 23: creation of credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from server_stub.log_chain import LogEntry
from server_stub.rules.elements import candidates
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, fails, passes, seen, unknown
from server_stub.rules.scene import Platform, Scene, instant
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 23"


def for_enrolment(judge: Callable[[Scene, LogEntry], Ruling]) -> Callable[[Scene], Ruling]:
    """The rule where the step-up rests on a credential whose binding is on record."""

    def judged(scene: Scene) -> Ruling:
        if scene.binding is None:
            return unknown(not_on_record(scene))
        return judge(scene, scene.binding)

    judged.__doc__ = judge.__doc__
    return judged


def not_on_record(scene: Scene) -> str:
    """What is not known of how the credentials of this step-up came to be, in words."""
    if scene.evidence.credential is not None:
        return "the log holds no record of the key's enrolment"
    if scene.device:
        return "no enrolled key was used"
    methods = {"otp-sms": "number", "totp": "seed", "otp-email": "mailbox", "device-key": "key"}
    names = [methods.get(candidate.method, candidate.method) for candidate in candidates(scene)]
    return f"how this {' and '.join(dict.fromkeys(names)) or 'credential'} was bound is not on record"


def activation(scene: Scene) -> LogEntry | None:
    """The log's record that the credential was activated."""
    credential = scene.evidence.credential
    if credential is None:
        return None
    records = scene.events("credential_activated", credential_id=credential.credential_id)
    return records[-1] if records else None


@rule(
    "RTS-23-create",
    obligation="credentials are created in a secure environment",
    source=f"{_SOURCE}, first subparagraph",
    best=Grade.PROVED,
    passes=(
        "the key was made in secure hardware, or by an app that App Attest vouches for, for the challenge of "
        "this enrolment"
    ),
    fails="a code was accepted with a key that was imported or lives in software",
    open="nothing attests how the key was made; how a number or a seed came to be is not on record",
    settles="an attestation of the key over the enrolment's challenge",
)
def created(scene: Scene) -> Ruling:
    """The key was made in secure hardware, for the challenge of this enrolment."""
    if scene.evidence.credential is None:
        return unknown(not_on_record(scene))
    if scene.accepted and scene.software_key:
        return fails("accepted although the key's attestation says that it lives in software", Grade.SIGNED)
    if scene.enrolled_as is Grade.NONE:
        return unknown(scene.attestation_why)
    android = ("attestation.key_origin", "attestation.security_level", "attestation.challenge")
    ios = ("app_attest.present", "attestation.challenge")
    needed = {Platform.ANDROID: android, Platform.IOS: ios}.get(scene.platform, ("attestation.challenge",))
    bad = scene.failed(*needed)
    if bad is not None:
        return scene.blame(bad, scene.enrolled_as, bad)
    if not scene.passed(*needed):
        return unknown(scene.why(*needed))
    return passes(scene.checked(*needed, grade=scene.enrolled_as))


@rule(
    "RTS-23-loss",
    obligation="unauthorised use after loss, theft or copying before delivery is mitigated",
    source=f"{_SOURCE}, second subparagraph",
    best=Grade.LOGGED,
    passes="between creation and first use stood a drawn activation code that expires, or a proof in person",
    fails="the activation code was a fixed one",
    open="the activation is not on record, nor whether its code was drawn",
    settles=(
        "an enrolment whose activation is in the log: its method, the expiry of its code, and that the code was drawn"
    ),
)
@for_enrolment
def not_lost(scene: Scene, _: LogEntry) -> Ruling:
    """Between creation and first use stood an activation code that expires, or a new proof."""
    record = activation(scene)
    if record is None:
        return unknown("the log holds no activation")
    if record.fields.get("in_person_ref"):
        return passes(seen(record), reason="activated in person")
    if record.fields.get("fixed_code"):
        return fails("the activation code was a fixed one, which everybody knows", Grade.LOGGED)
    if not record.fields.get("method") or instant(record.fields.get("code_expires_at")) is None:
        return unknown("the activation's record lacks its method, or the expiry of its code")
    if record.fields.get("fixed_code") is None:
        return unknown("whether the activation code was drawn, or a fixed one, is not on record")
    return passes(seen(record), reason=f"activated by {record.fields['method']}")
