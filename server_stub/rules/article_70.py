"""PSD2 Article 70: how a payment instrument is used, and how its loss is reported."""

from __future__ import annotations

from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "PSD2-70.1",
    obligation=(
        "only the user has access to the credentials; means to report loss, theft or misuse are always available"
    ),
    source="Directive (EU) 2015/2366, Art. 70(1)",
    best=Grade.DECLARED,
    passes="the operator declares it",
    fails="–",
    open="nothing is declared: no step-up can show it",
    settles="a declaration: where loss is reported, at which hours, and what is done then",
    declarable=True,
)
def reporting(scene: Scene) -> Ruling:
    """An operator's statement only."""
    return unknown("how use and loss are reported is not on record: no step-up shows it")
