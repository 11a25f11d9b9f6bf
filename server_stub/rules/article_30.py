"""RTS Article 30: interfaces for third parties."""

from __future__ import annotations

from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


def of_third_parties(scene: Scene) -> Ruling:
    """Not applicable unless a session of this step-up was a third-party provider's; then, nothing here records what it owes."""
    mine = set(scene.sessions())
    if any(entry.fields.get("third_party") for entry in scene.events("session_started") if entry.session in mine):
        return unknown("a third-party provider acts in this session; what it must do is not on record")
    return absent(Why.NO_THIRD_PARTY)


@rule(
    "RTS-30.2.c",
    obligation=(
        "sessions between provider, third party and payer are kept up throughout, their credentials confidential"
    ),
    source="Delegated Regulation (EU) 2018/389, Art. 30(2)(c)",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="a third-party provider acts",
    settles="a record of the third party's session",
)
def kept_sessions(scene: Scene) -> Ruling:
    """Third parties only."""
    return of_third_parties(scene)
