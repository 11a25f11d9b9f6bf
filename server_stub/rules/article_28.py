"""RTS Article 28: identification of the counterpart."""

from __future__ import annotations

from typing import Final

from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, passes, unknown
from server_stub.rules.scene import Platform, Scene
from server_stub.verdict import Grade

_SOURCE: Final = "Delegated Regulation (EU) 2018/389, Art. 28"


@rule(
    "RTS-28.1",
    obligation="secure identification between the payer's device and the payee's acceptance devices",
    source=f"{_SOURCE}(1)",
    best=Grade.LOGGED,
    passes="–",
    fails="–",
    open="– (no payee's terminal ever takes part here)",
    settles="nothing: it does not arise in a step-up",
)
def terminals(scene: Scene) -> Ruling:
    """Payee terminals only."""
    return absent(Why.NO_TERMINAL)


@rule(
    "RTS-28.2",
    obligation="misdirection of communication in apps and interfaces is mitigated",
    source=f"{_SOURCE}(2)",
    best=Grade.PROVED,
    passes=(
        "the signed response names this relying party and its origin (proved as far as the app that wrote them is)"
    ),
    fails="–",
    open="no code was accepted, or no signed response names the counterpart",
    settles="a signed response",
    signed=True,
    of_code=True,
)
def right_counterpart(scene: Scene) -> Ruling:
    """The response names this relying party and its origin or app, as enrolled."""
    if not scene.device:
        return unknown("no signed response names the counterpart")
    if not scene.passed("assertion.rp_id", "assertion.origin"):
        return unknown(scene.why("assertion.rp_id", "assertion.origin"))
    # An Android app writes RP id and origin itself: they are proved only as far as the app is.
    app = (
        scene.platform is Platform.ANDROID
        and scene.attested is Grade.PROVED
        and scene.passed("attestation.application")
    )
    more = ("attestation.application",) if app else ()
    return passes(
        scene.checked("assertion.rp_id", "assertion.origin", *more, grade=Grade.PROVED if app else Grade.SIGNED)
    )
