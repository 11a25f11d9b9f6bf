"""RTS Article 26: renewal."""

from __future__ import annotations

from typing import Final

from server_stub.rules.registry import rule
from server_stub.rules.ruling import FAIL, PASS, Ruling, fails, passes, seen, unexercised, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade

_ENROLMENT: Final = (
    "RTS-23-create", "RTS-23-loss", "RTS-24.1", "RTS-24.2.a", "RTS-24.2.b", "RTS-25.2.a", "RTS-25.2.b", "RTS-25.2.c-channel",
    "RTS-25.2.c-activation", "RTS-25.2.d",
)  # fmt: skip


@rule(
    "RTS-26",
    obligation="renewal or re-activation of credentials follows Articles 23 to 25",
    source="Delegated Regulation (EU) 2018/389, Art. 26",
    best=Grade.LOGGED,
    passes="this credential replaced or renewed another, and the rules of Articles 23 to 25 pass",
    fails="it did, and one of them fails",
    open="no renewal is on record, or one of them is open",
    settles="a phone enrolled in the place of another, and what settles the rules of Articles 23 to 25",
)
def renewed(scene: Scene) -> Ruling:
    """A renewal, or an enrolment in the place of another, meets Arts 23 to 25 again."""
    credential, binding = scene.evidence.credential, scene.binding
    if credential is None:
        return unexercised("no renewal is on record")
    events = scene.events("credential_renewed", credential_id=credential.credential_id)
    replaced = scene.events("credential_revoked", reason="replaced")
    events += [
        e
        for e in replaced
        if binding is not None and e.seq < binding.seq and e.fields.get("device_id") != credential.device_id
    ]
    if not events:
        return unexercised("no renewal is on record")
    rulings = {name: scene.ruling(name) for name in _ENROLMENT}
    bad = next((name for name, ruling in rulings.items() if ruling.verdict == FAIL), None)
    if bad is not None:
        return fails(f"renewed, and {bad} failed: {rulings[bad].reason}", Grade.LOGGED)
    open_ = next((name for name, ruling in rulings.items() if ruling.verdict != PASS), None)
    if open_ is not None:
        return unknown(f"renewed; {open_} is open: {rulings[open_].reason}")
    return passes(seen(events[-1]), *rulings.values())
