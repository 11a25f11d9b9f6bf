"""PSD2 Article 72: the provider proves that a payment was authenticated, accurately recorded and entered in the accounts."""

from __future__ import annotations

from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "PSD2-72.1",
    obligation=(
        "the provider can prove that the payment was authenticated, accurately recorded and entered in the accounts"
    ),
    source="Directive (EU) 2015/2366, Art. 72(1)",
    best=Grade.LOGGED,
    passes="RTS-4.1-elements and RTS-29.2.b pass, and the log holds the order and its execution",
    fails="RTS-4.1-elements or RTS-29.2.b fails",
    open="the order was not executed yet when this was judged",
    settles="the log's entry that the order was executed",
    capped_by=("RTS-4.1-elements", "RTS-29.2.b"),
    of_code=True,
)
def provable(scene: Scene) -> Ruling:
    """Authenticated and recorded, by those rules; entered, by the log."""
    if not scene.payment:
        return absent(Why.NO_PAYMENT)
    created, executed = scene.of_transaction("order_created"), scene.of_transaction("order_executed")
    if not executed:
        return unknown("authenticated; whether it was entered in the accounts is not on record as of this decision")
    return passes(seen(created[-1] if created else None, executed[-1]))
