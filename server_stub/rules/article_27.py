"""RTS Article 27: destruction, deactivation and revocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from server_stub.rules.registry import rule
from server_stub.rules.ruling import BuiltIn, Ruling, fails, passes, seen, unexercised, unknown
from server_stub.rules.scene import Scene, instant
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 27"
_STATUS_WITHIN: Final = BuiltIn(timedelta(days=1))


@rule(
    "RTS-27.a",
    obligation="effective processes for secure destruction, deactivation or revocation",
    source=f"{_SOURCE}(a)",
    best=Grade.LOGGED,
    passes=(
        "the use of a credential that had ended was refused, or one was revoked and nothing accepted with it after"
    ),
    fails="a code was accepted with a credential that had ended",
    open="no credential has ended",
    settles="a phone that is revoked or replaced, and a step-up by it",
)
def revoked(scene: Scene) -> Ruling:
    """Nothing is accepted with a credential that was revoked, suspended or replaced."""
    credential = scene.evidence.credential
    if credential is not None and scene.failed("credential.active"):
        if scene.accepted:
            return fails(f"a code was accepted with a credential that is {credential.state}", Grade.LOGGED)
        entry = scene.attempt_entry
        return passes(
            seen(entry or credential), reason=f"the credential is {credential.state}, and its use was refused"
        )
    ended = scene.events("credential_revoked", "credential_suspended")
    for entry in ended:
        named = entry.fields.get("credential_id")
        after = [e for e in scene.events("sca_attempt", credential_id=named, outcome="accepted") if e.seq > entry.seq]
        if named and after:
            return fails(f"entry {after[0].seq}: accepted with a credential that had ended", Grade.LOGGED)
    if not ended:
        return unexercised("no credential of this user has ended, as far as the log extract tells")
    return passes(seen(*ended), reason=f"ended on record: {len(ended)}; nothing was accepted with them after")


@rule(
    "RTS-27.b",
    obligation="where the provider distributes reusable devices, secure re-use is documented and implemented",
    source=f"{_SOURCE}(b)",
    best=Grade.LOGGED,
    passes=(
        "the device was released by its former user before this one had it, or the operator declares how "
        "re-use is secured"
    ),
    fails="another user still had the device when it was bound to this one",
    open="who had the device before, and whether the provider distributes devices, is not on record",
    settles="a declaration: whether devices are distributed, and how re-use is secured",
    declarable=True,
)
def reused_device(scene: Scene) -> Ruling:
    """A device that another user had was released first."""
    credential = scene.evidence.credential
    others = [
        entry
        for entry in scene.events("credential_bound", device_id=credential.device_id if credential else None)
        if credential is not None and entry.user != credential.user
    ]
    if not others or credential is None or scene.binding is None:
        return unknown("who had the device before, and whether the provider distributes devices, is not on record")
    released = [
        entry
        for entry in scene.events("device_released", device_id=credential.device_id)
        if others[-1].seq < entry.seq < scene.binding.seq
    ]
    if not released:
        return fails("the device was bound to this user before the other one released it", Grade.LOGGED)
    return passes(seen(released[-1], scene.binding))


@rule(
    "RTS-27.c",
    obligation="related information is deactivated or revoked in systems and, where relevant, public repositories",
    source=f"{_SOURCE}(c)",
    best=Grade.LOGGED,
    passes="a revocation on record says when its status was updated",
    fails="the credential was revoked in the log, and the provider's store still holds it as active",
    open="no credential was revoked, or when its status was updated is not on record",
    settles="a revocation with the instant of its status entry",
)
def revocation_published(scene: Scene) -> Ruling:
    """Related records were updated after a revocation."""
    credential = scene.evidence.credential
    revocations = scene.events("credential_revoked")
    if not revocations:
        return unexercised("no credential of this user was revoked, as far as the log extract tells")
    mine = [
        e for e in revocations if credential is not None and e.fields.get("credential_id") == credential.credential_id
    ]
    if mine and credential is not None and credential.state == "active":
        return fails("the credential was revoked, and the store still holds it as active", Grade.LOGGED)
    entry = revocations[-1]
    updated, at = instant(entry.fields.get("status_updated_at")), instant(entry.at)
    if updated is None or at is None:
        return unknown("the log does not say when the status entry was updated")
    late = " later than that" if updated - at > _STATUS_WITHIN.value else ""
    return passes(
        seen(entry),
        reason=f"updated {updated - at} after the revocation (Product: within a day{';' + late if late else ''})",
    )
