"""PSD2 Article 97: when strong customer authentication is needed, dynamic linking, and the protection of credentials."""

from __future__ import annotations

from server_stub.log_chain import LogEntry
from server_stub.rules.registry import rule
from server_stub.rules.ruling import Ruling, Why, absent, fails, passes, seen, unknown
from server_stub.rules.scene import Scene
from server_stub.verdict import Grade


@rule(
    "PSD2-97.1",
    obligation=(
        "SCA is applied when the payer accesses the account online, initiates an electronic payment, or acts "
        "remotely with a risk of fraud"
    ),
    source="Directive (EU) 2015/2366, Art. 97(1)",
    best=Grade.LOGGED,
    passes=(
        "a code was accepted for this action, and its challenge names the trigger (a access, b payment, c "
        "remote action)"
    ),
    fails=(
        "an action was accepted although RTS-4.1-elements fails, or the order was executed without an accepted code"
    ),
    open="the step-up was refused, or the log does not tie the accepted code to a trigger",
    settles="an accepted code of two elements, whose challenge is in the log with its trigger",
    capped_by=("RTS-4.1-elements",),
)
def applied(scene: Scene) -> Ruling:
    """An accepted code for this action, its challenge issued for a trigger."""
    if not scene.accepted:
        if _executed_without_code(scene):
            return fails("the order was executed although no code was accepted for it", Grade.LOGGED)
        return unknown(f"{scene.no_code}, and nothing was done")
    if scene.acceptance is None:
        return unknown("the log holds no accepted code for this action")
    issued = _issued(scene, scene.acceptance)
    trigger = issued.fields.get("trigger") if issued is not None else None
    if trigger not in ("a", "b", "c"):
        return unknown("the log does not say for which trigger the accepted code's challenge was issued")
    said = f"trigger {trigger}"
    if trigger == "a":
        said += ": access to the account, which is assumed of every challenge that names no other action"
    return passes(seen(scene.acceptance, issued), reason=said)


def _issued(scene: Scene, acceptance: LogEntry) -> LogEntry | None:
    found = scene.of_transaction("challenge_issued", challenge_id=acceptance.fields.get("code_id"))
    return found[0] if found else None


def _executed_without_code(scene: Scene) -> bool:
    executed = scene.of_transaction("order_executed")
    codes = scene.of_transaction("code_accepted", "exemption_applied")
    return bool(executed) and not any(code.seq < executed[0].seq for code in codes)


@rule(
    "PSD2-97.2",
    obligation="SCA for a remote payment dynamically links the transaction to its amount and its payee",
    source="Directive (EU) 2015/2366, Art. 97(2)",
    best=Grade.PROVED,
    passes="RTS-4.1-elements, RTS-5.1.b and RTS-5.1.c pass",
    fails="one of them fails",
    open="one of them is open",
    settles="what settles the rules of Article 5",
    capped_by=("RTS-4.1-elements", "RTS-5.1.b", "RTS-5.1.c"),
    of_code=True,
)
def linked(scene: Scene) -> Ruling:
    """The rules of dynamic linking, together."""
    if not scene.payment:
        return absent(Why.NO_PAYMENT)
    return scene.together("RTS-5.1.b", "RTS-5.1.c")


@rule(
    "PSD2-97.3",
    obligation="security measures protect confidentiality and integrity of the personalised security credentials",
    source="Directive (EU) 2015/2366, Art. 97(3)",
    best=Grade.LOGGED,
    passes="RTS-22.1, RTS-22.2.b and RTS-22.2.c pass",
    fails="one of them fails",
    open="one of them is open",
    settles="what settles the rules of Article 22",
    capped_by=("RTS-22.1", "RTS-22.2.b", "RTS-22.2.c"),
)
def protected(scene: Scene) -> Ruling:
    """The rules of confidentiality, together."""
    return scene.together("RTS-22.1", "RTS-22.2.b", "RTS-22.2.c")
