"""RTS Arts 22 to 27: credentials kept, created, bound, delivered, activated, renewed, revoked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from server_stub.log_chain import LogEntry
from server_stub.rules.code import sca_behind
from server_stub.rules.elements import category_of, method_name
from server_stub.rules.factors import SHARED_KEY, channels, used
from server_stub.rules.ruling import FAIL, UNDETERMINED, Ruling, absent, fails, passes, unknown, weakest
from server_stub.rules.scene import Platform, Scene, instant
from server_stub.verdict import Category, Grade

_ENROLMENT_RULES = (
    "RTS-23-create", "RTS-23-loss", "RTS-24.1", "RTS-24.2.a", "RTS-24.2.b", "RTS-25.2.a", "RTS-25.2.b", "RTS-25.2.c-channel",
    "RTS-25.2.c-activation", "RTS-25.2.d",
)  # fmt: skip


# -- Art. 22


def confidential(scene: Scene) -> Ruling:
    """No secret, token or contact data in the log extract or the response beyond the members defined for them."""
    if not scene.log:
        return unknown("no log was given")
    leak = scene.secret_paths()
    if leak:
        return fails(f"a member named like a secret holds a value: {leak[0]}", Grade.LOGGED)
    return passes(Grade.LOGGED)


def masked(scene: Scene) -> Ruling:
    """Each knowledge prompt masked what was typed."""
    if not [candidate for candidate in used(scene, Category.KNOWLEDGE) if candidate.fresh]:
        return absent("no knowledge element was asked for")
    entry = scene.attempt_entry
    reported = entry.fields.get("masked_input") if entry is not None else None
    if reported is None:
        return unknown("the client did not report whether its prompt was masked")
    return passes(Grade.LOGGED) if reported is True else fails("the prompt showed what was typed", Grade.LOGGED)


def no_plain_text(scene: Scene) -> Ruling:
    """A walk of the store finds public keys, hashes and sealed blobs only."""
    found = scene.observed.plaintext_in_store
    if found is None:
        return unknown("the store was not walked")
    return fails("the store holds a secret in plain text", Grade.LOGGED) if found else passes(Grade.LOGGED)


def key_material(scene: Scene) -> Ruling:
    """Keys that hardware does not give out; tokens kept as digests."""
    behind = scene.present("attestation.security_level", "attestation.key_origin")
    if scene.device and scene.enrolled_as is Grade.NONE:
        return unknown(scene.attestation_why, *behind)
    if scene.observed.plaintext_in_store is False:
        tokens = Grade.LOGGED
    elif scene.config.token_storage:
        tokens = Grade.DECLARED
    else:
        return unknown("how tokens are stored is not on record", *behind)
    return passes(weakest((scene.enrolled_as, tokens)) if scene.device else tokens, *behind)


def control(covers: str, missing: str) -> Callable[[Scene], Ruling]:
    """A rule that a dated control record answers, and nothing else can."""

    def rule(scene: Scene) -> Ruling:
        record = scene.config.control(covers)
        if record is None or instant(record.dated) is None:
            return unknown(missing)
        return passes(Grade.DECLARED, reason=f"{record.reference}, {record.dated}")

    rule.__doc__ = f"A dated control record about {covers}."
    return rule


def secure_processing(scene: Scene) -> Ruling:
    """A control record, and a protected transport."""
    if scene.evidence.transport != "tls":
        return unknown("plain HTTP: nothing shows that routing is protected")
    return control("secure-processing", "no control record about processing and routing")(scene)


# -- Art. 23 to 25


def for_enrolment(rule: Callable[[Scene], Ruling]) -> Callable[[Scene], Ruling]:
    """The rule where the step-up rests on an enrolled key whose binding is on record."""

    def judged(scene: Scene) -> Ruling:
        if scene.evidence.credential is None:
            return (
                unknown("no enrolled key was used")
                if scene.device
                else absent("no enrolled key is part of this step-up")
            )
        if scene.binding is None:
            return unknown("the log holds no record of the key's enrolment")
        return rule(scene)

    judged.__doc__ = rule.__doc__
    return judged


def created(scene: Scene) -> Ruling:
    """The key was made in secure hardware, for the challenge of this enrolment."""
    behind = scene.present(
        "attestation.key_origin", "attestation.security_level", "attestation.challenge", "app_attest.present"
    )
    if scene.evidence.credential is None:
        return (
            unknown("no enrolled key was used") if scene.device else absent("no enrolled key is part of this step-up")
        )
    if scene.enrolled_as is Grade.NONE:
        return unknown(scene.attestation_why, *behind)
    if scene.failed(*behind):
        return fails(scene.why(scene.failed(*behind) or ""), scene.enrolled_as, *behind)
    android = ("attestation.key_origin", "attestation.security_level", "attestation.challenge")
    needed = ("attestation.challenge",) if scene.platform is not Platform.ANDROID else android
    return passes(scene.enrolled_as, *behind) if scene.passed(*needed) else unknown(scene.why(*needed), *behind)


def _activation(scene: Scene) -> LogEntry | None:
    assert scene.evidence.credential is not None
    records = scene.events("credential_activated", credential_id=scene.evidence.credential.credential_id)
    return records[-1] if records else None


@for_enrolment
def not_lost(scene: Scene) -> Ruling:
    """Between creation and first use stood an activation code that expires, or a new proof."""
    activation = _activation(scene)
    if activation is None:
        return unknown("the log holds no activation")
    if activation.fields.get("in_person_ref"):
        return passes(Grade.LOGGED)
    if not activation.fields.get("method"):
        return unknown("the activation's record does not say how it was done")
    if instant(activation.fields.get("code_expires_at")) is None:
        return unknown("the activation code's record lacks its expiry")
    return passes(Grade.LOGGED, reason=f"activated by {activation.fields['method']}")


@for_enrolment
def one_user(scene: Scene) -> Ruling:
    """The key is bound to no other user."""
    behind = scene.present("credential.user")
    assert scene.binding is not None
    elsewhere: Any = scene.observed.key_bound_to_another_user
    if elsewhere is None:
        elsewhere = scene.binding.fields.get("bound_elsewhere")
    if elsewhere:
        return fails("the key is bound to another user too", Grade.LOGGED, *behind)
    assert scene.evidence.credential is not None
    if scene.evidence.credential.shared_key:
        return unknown(SHARED_KEY, *behind)
    credential_id = scene.evidence.credential.credential_id
    others = {entry.user for entry in scene.events("credential_bound", credential_id=credential_id)}
    if len(others) > 1:
        return fails("the log binds the key to two users", Grade.LOGGED, *behind)
    if elsewhere is None:
        return unknown("whether the key is bound elsewhere was not looked up", *behind)
    return passes(Grade.LOGGED, *behind)


@for_enrolment
def secure_association(scene: Scene) -> Ruling:
    """The enrolment's session, and the bank's own app or origin, are on record."""
    behind = scene.present("attestation.application", "attestation.client_data")
    assert scene.binding is not None
    started = [entry for entry in scene.events("session_started") if entry.session == scene.binding.session]
    if not scene.binding.session or not started or not started[-1].fields.get("channel"):
        return unknown("the log holds no session, with its channel, for the enrolment", *behind)
    known = scene.present("attestation.application", "attestation.client_data")
    if scene.failed(*known):
        return fails(scene.why(scene.failed(*known) or ""), Grade.LOGGED, *behind)
    if not any(scene.passed(check) for check in known):
        return unknown("neither the app nor the origin of the enrolment is verified", *behind)
    return passes(Grade.LOGGED, *behind)


@for_enrolment
def bound_with_sca(scene: Scene) -> Ruling:
    """The key was bound under an earlier accepted code of other elements, or a proof in person; never under itself."""
    assert scene.binding is not None
    fields = scene.binding.fields
    if fields.get("in_person_ref"):
        return passes(Grade.LOGGED, reason="proof in person")
    if "sca_ref" in fields and not fields["sca_ref"]:
        return fails("the key was bound without strong customer authentication", Grade.LOGGED)
    code = sca_behind(scene, scene.binding)
    if code is None:
        return unknown("the authentication under which the key was bound is not on record")
    attempt = next(
        (e for e in reversed(scene.events("sca_attempt")) if e.seq < code.seq and e.session == code.session), None
    )
    if attempt is None:
        return unknown("the elements of the enrolment's authentication are not on record")
    if fields.get("credential_id") in (attempt.fields.get("credential_id"), code.fields.get("credential_id")):
        return fails("the key was bound under an authentication made with itself", Grade.LOGGED)
    return _two_elements(attempt)


def _two_elements(attempt: LogEntry) -> Ruling:
    """Whether the elements that an `sca_attempt` names, by method, are of two categories."""
    listed = attempt.fields.get("elements")
    items = listed if isinstance(listed, list) else []
    methods = [method_name(str(item.get("method") if isinstance(item, dict) else item)) for item in items]
    if not methods:
        return unknown("the elements of the enrolment's authentication are not on record")
    names = ", ".join(methods)
    if len({category_of(method) for method in methods} - {None}) < 2:
        return fails(f"the key was bound with one category only: {names}", Grade.LOGGED)
    return passes(Grade.LOGGED, reason=f"bound with: {names}")


@for_enrolment
def delivered(scene: Scene) -> Ruling:
    """What was sent to the user went by a channel that had been verified."""
    assert scene.binding is not None
    listed = scene.binding.fields.get("channels")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    sent = [item for item in items if item.get("channel") in ("sms", "email", "post", "push")]
    if not sent:
        return unknown("the log names no channel of delivery")
    unverified = next((item for item in sent if item.get("verified") is not True), None)
    if unverified is not None:
        return unknown(f"nothing says that {unverified.get('channel')} was verified")
    return passes(Grade.LOGGED)


def authentic_software(scene: Scene) -> Ruling:
    """The app that enrolled is one of the bank's: package and signer, or App Attest's app id."""
    behind = scene.present("attestation.application", "app_attest.application", "app_attest.category")
    if scene.evidence.credential is None:
        return (
            unknown("no enrolled key was used")
            if scene.device
            else absent("no software of the bank's is part of this step-up")
        )
    if scene.enrolled_as is Grade.NONE:
        return unknown(scene.attestation_why, *behind)
    if scene.failed(*behind):
        return fails(scene.why(scene.failed(*behind) or ""), scene.enrolled_as, *behind)
    if not scene.passed("attestation.application"):
        return unknown(scene.why("attestation.application"), *behind)
    return passes(scene.enrolled_as, *behind)


@for_enrolment
def two_channels(scene: Scene) -> Ruling:
    """Passcode and activation code did not come by one channel."""
    given = channels(scene.binding)
    if len(given) < 2:
        return unknown("the log does not name the channels of both passcode and activation code")
    if len(set(given.values())) < len(given):
        return fails(
            f"more than one feature came by one channel: {', '.join(f'{k} by {v}' for k, v in given.items())}",
            Grade.LOGGED,
        )
    return passes(Grade.LOGGED, reason="; ".join(f"{feature}: {channel}" for feature, channel in given.items()))


@for_enrolment
def activated_first(scene: Scene) -> Ruling:
    """Activation precedes the first use."""
    activation = _activation(scene)
    if activation is None:
        return unknown("the log holds no activation")
    assert scene.evidence.credential is not None
    uses = scene.events("sca_attempt", credential_id=scene.evidence.credential.credential_id)
    if uses and uses[0].seq < activation.seq:
        return fails(f"entry {uses[0].seq}: used before it was activated", Grade.LOGGED)
    return passes(Grade.LOGGED)


@for_enrolment
def activated_with_sca(scene: Scene) -> Ruling:
    """The activation rests on strong customer authentication or a proof in person."""
    activation = _activation(scene)
    if activation is None:
        return unknown("the log holds no activation")
    if activation.fields.get("in_person_ref") or sca_behind(scene, activation) is not None:
        return passes(Grade.LOGGED)
    return unknown("the authentication behind the activation is not on record")


# -- Arts 26, 27


def renewed(scene: Scene) -> Ruling:
    """A renewal meets Arts 23 to 25 again."""
    credential = scene.evidence.credential
    if credential is None or not scene.events("credential_renewed", credential_id=credential.credential_id):
        return absent("the credential was not renewed")
    for rule in _ENROLMENT_RULES:
        ruling = scene.rulings[rule]
        if ruling.verdict == FAIL:
            return fails(f"{rule} failed", ruling.grade)
        if ruling.verdict == UNDETERMINED:
            return unknown(f"{rule} is undetermined")
    return passes(Grade.LOGGED)


def revoked(scene: Scene) -> Ruling:
    """Nothing is accepted with a credential that was revoked, suspended or replaced."""
    credential = scene.evidence.credential
    behind = scene.present("credential.active")
    if credential is None:
        return absent("no enrolled key is part of this step-up", *behind)
    ended = scene.events("credential_revoked", "credential_suspended", credential_id=credential.credential_id)
    if credential.state == "active" and not ended:
        return absent("the credential was neither revoked nor suspended", *behind)
    if scene.accepted:
        return fails(f"a code was accepted with a credential that is {credential.state}", Grade.LOGGED, *behind)
    return passes(Grade.LOGGED, *behind, reason=f"the credential is {credential.state}, and its use was refused")


def reused_device(scene: Scene) -> Ruling:
    """A device that another user had was released first."""
    credential = scene.evidence.credential
    if credential is None:
        return absent("no device is part of this step-up")
    released = scene.events("device_released", device_id=credential.device_id)
    bound = [
        entry
        for entry in scene.events("credential_bound", device_id=credential.device_id)
        if entry.user != credential.user
    ]
    if scene.observed.device_bound_to_another_user is None and not bound:
        return unknown("whether the device had another user was not looked up")
    if not scene.observed.device_bound_to_another_user and not bound:
        return absent("the device had no other user")
    mine = scene.binding.seq if scene.binding is not None else 0
    if any(entry.seq < mine for entry in released):
        return passes(Grade.LOGGED)
    return fails("the device was bound to this user before the other one released it", Grade.LOGGED)


def revocation_published(scene: Scene) -> Ruling:
    """Related repositories were updated soon after a revocation."""
    revocations = scene.events("credential_revoked")
    if not revocations:
        return absent("no credential was revoked")
    entry, limit = revocations[-1], timedelta(seconds=scene.config.status_within_seconds)
    updated, at = instant(entry.fields.get("status_updated_at")), instant(entry.at)
    if updated is None or at is None:
        return unknown("the log does not say when the status entry was updated")
    if updated - at > limit:
        return fails(f"the status entry was updated {updated - at} after the revocation", Grade.LOGGED)
    return passes(Grade.LOGGED)
