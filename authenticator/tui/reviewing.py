"""The reviewer's pane as text: gathered from `/_stub` in a thread, laid out without a screen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from textual.content import Content

if TYPE_CHECKING:
    from authenticator.approving import Approval
    from authenticator.tui.handset import Handset
    from authenticator.tui.till import Offer

NEWEST: Final = 40
SHOWN_CALLS: Final = 6
FEW_CALLS: Final = 3
MARKS: Final = {"pass": "✓", "fail": "✗", "not_run": "–", "not_applicable": "·", "undetermined": "?"}
_STYLES: Final = {"pass": "", "fail": "bold $error", "not_run": "$muted", "not_applicable": "$muted"}
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The phone's own housekeeping says nothing about a step-up.
_QUIET: Final = ("/device/v1/events", "/device/v1/inbox", "/_stub", "/openapi.json")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server showed. `last`: the newest entry of its log that was seen.

    `about`: the transaction on the phone's screen, which `transaction` and `verdict` are of; None where nothing is on the screen: then they
    are of the newest one that the server has.
    """

    last: int = 0
    calls: tuple[dict[str, Any], ...] = ()
    about: str | None = None
    transaction: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None


def look(handset: Handset, after: int, about: str | None, *, force: bool) -> Facts | None:
    """The facts as they are now; None where the log has not moved since `after`. May block."""
    server = handset.phone.server(handset.url)
    entries = server.stub("GET", f"log?after={after}&most=1000")
    if not entries and not force:
        return None
    last = max([after, *(int(entry.get("seq", 0)) for entry in entries)])
    if not entries and after and not server.stub("GET", f"log?after={after - 1}&most=1"):
        last = 0  # the server was reset: its log begins anew
    calls = server.stub("GET", f"requests?most={NEWEST}")
    told = [call for call in calls if not str(call["path"]).startswith(_QUIET) and not _is_poll(call)]
    transaction = find_transaction(handset, about)
    verdict = None if transaction is None else verdict_of(handset, transaction)
    return Facts(last, tuple(told[-SHOWN_CALLS:]), about, transaction, verdict)


def find_transaction(handset: Handset, transaction_id: str | None) -> dict[str, Any] | None:
    """A transaction as the server lists it, or its newest one where none is named. May block."""
    listed: list[dict[str, Any]] = handset.phone.server(handset.url).stub("GET", "transactions")
    return next((row for row in listed if transaction_id in (None, row["transactionId"])), None)


def verdict_of(handset: Handset, transaction: dict[str, Any]) -> dict[str, Any] | None:
    """What a transaction is shown by; where all calls were refused at its door, the newest of them. May block."""
    if not transaction["attempts"]:
        return None
    which = "?attempt=last" if transaction["accepted"] is None else ""
    found: dict[str, Any] = handset.phone.server(handset.url).stub(
        "GET", f"transactions/{transaction['transactionId']}/verdict{which}"
    )
    return found


def in_a_sentence(judged: dict[str, Any] | None) -> str:
    """What may be said of a step-up by its verdict; without one, nothing."""
    if judged is None:
        return "It is not judged yet. F2 shows when it is."
    two_factor = judged["compliance"]["twoFactor"]
    if not judged["accepted"]:
        return "The server refused the step-up. F2 shows why."
    if two_factor != "pass":
        return f"The server accepted it; two-factor: {two_factor}. F2 shows why."
    return "That was strong customer authentication. F2 shows what was proved."


def _is_poll(call: dict[str, Any]) -> bool:
    return str(call["path"]) == "/device/v1/step-ups" and call["method"] == "GET"


def traffic(facts: Facts, most: int = SHOWN_CALLS) -> Content:
    """The newest calls, oldest first: time, who asked whom, what, and the answer."""
    from authenticator.display import visible

    parts: list[Any] = []
    for call in facts.calls[-most:]:
        who = "phone" if str(call["path"]).startswith("/device") else "client"
        parts += [
            (f"{str(call['at'])[11:19]} ", "$muted"),
            f"{who} → bank  {call['method']} {_shorter(visible(str(call['path'])))}\n",
            "         ← ",
            (str(call["status"]), "bold $error" if int(call["status"]) >= 500 else "bold"),
            f" {_shorter(visible(_answer(call['answer'])))}\n",
        ]
    return Content.assemble(*parts) if parts else Content("Nothing yet.")


def _shorter(text: str) -> str:
    """Ids by their beginning: enough to tell one from another."""
    return _ID.sub(lambda match: f"{match.group()[:8]}…", text)


def _answer(body: Any) -> str:
    """The answer's own words: its error code and message, and what it names. (The recorder hides one-time codes.)"""
    if not isinstance(body, dict):
        return ""
    inner = body.get("error")
    problem = inner if isinstance(inner, dict) else body
    words = [
        str(problem[name]) for name in ("code", "message", "errorCode", "status") if isinstance(problem.get(name), str)
    ]
    words += [f"· {name} {body[name]}" for name in ("transactionId", "paymentId", "deviceId") if name in body]
    return " ".join(words)


def signing(offer: Offer | None, signed: Approval | None) -> Content:
    """What the phone will sign for the order on its screen, or has signed."""
    if offer is None:
        return Content("No order is on the screen.")
    if signed is not None and signed.step_up.transaction_id == offer.transaction_id:
        return _signed(signed)
    step_up = offer.step_up
    if step_up is None:
        return Content("SHA-256 with RSA over Yes or No and the push's token, by the phone's push key.")
    return Content.assemble(
        *_row("challenge", "SHA-256(kind ‖ nonce ‖ id ‖ order)"),
        *_row("kind", str(step_up.kind)),
        *_row("id", step_up.transaction_id),
        *_row("order", _digest(step_up.payload)),
        *_row("keys", " or ".join(_key(factor) for factor in offer.factors())),
    )


def _signed(approval: Approval) -> Content:
    from device_keys.encoding import b64url_encode
    from device_keys.messages import parse_authenticator_data, parse_client_data

    assertion = approval.assertion
    client = parse_client_data(assertion.client_data_json)
    data = parse_authenticator_data(assertion.authenticator_data)
    device = client.device or {}
    payment = client.payment or {}
    total = payment.get("total") or {}
    shown = (
        f"{total.get('value', '?')} {total.get('currency', '')} → {payment.get('payeeName', '?')}" if payment else "–"
    )
    from authenticator.display import visible

    return Content.assemble(
        *_row("type", client.type),
        *_row("challenge", b64url_encode(client.challenge)),
        *_row("payment", visible(shown)),
        *_row("signed at", str(device.get("signedAt", "–"))),
        *_row("key", _key(approval.factor)),
        *_row("counter", f"{data.sign_count}, user {'verified' if data.flags & 4 else 'present'}"),
        *_row("origin", visible(client.origin)),
    )


def _row(name: str, value: str) -> tuple[Any, ...]:
    return ((f"{name:<10} ", "$muted"), f"{value}\n")


def _digest(payload: Any) -> str:
    from device_keys.messages import payload_digest

    return f"SHA-256 {payload_digest(payload).hex()[:32]}…"


def _key(factor: str) -> str:
    return "biometric (released per use)" if factor == "biometric" else "possession (with the passcode)"


def title(facts: Facts) -> str:
    """Of which transaction the verdict is; one that is not on the phone's screen is called what it is."""
    if facts.transaction is None:
        return "Verdict"
    which = "Verdict · newest on this server" if facts.about is None else "Verdict"
    return f"{which} · {facts.transaction['transactionId']}"


def verdict(facts: Facts, *, whole: bool) -> Content:
    """The verdict: accepted or not, elements with their grades, then every finding that is not a plain pass; `whole`: all of them."""
    if facts.transaction is None:
        return Content("No transaction yet." if facts.about is None else f"The server lists no {facts.about}.")
    judged = facts.verdict
    if judged is None:
        return Content(f"not judged yet ({facts.transaction['state'].lower()})")
    compliance, findings = judged["compliance"], judged["findings"]
    parts: list[Any] = [_headline(facts.transaction, judged), "\n"]
    for element in judged["elements"]:
        parts += [f"{element['category']} ", (str(element["grade"]), "bold"), f" by {element['method']}\n"]
    parts += [f"two-factor {compliance['twoFactor']} · overall {compliance['overall']} · policy {judged['policy']}\n"]
    counts = {name: sum(1 for f in findings if f["outcome"] == name) for name in MARKS}
    parts += [
        (f"{counts['pass']} ✓  {counts['fail']} ✗  {counts['not_run']} not run  {counts['not_applicable']} do not apply\n",
         "$muted"),
    ]  # fmt: skip
    told = findings if whole else [f for f in findings if f["outcome"] == "fail"]
    for finding in told:
        parts += [(f"{MARKS[finding['outcome']]} {finding['check']}", _STYLES.get(finding["outcome"], ""))]
        parts += [f" {finding['reason']}\n" if finding["outcome"] != "pass" else "\n"]
    if not whole:
        parts += _rules(compliance["rules"])
    return Content.assemble(*parts)


def _headline(transaction: dict[str, Any], judged: dict[str, Any]) -> tuple[str, str]:
    if judged["accepted"]:
        return (f"✓ accepted (attempt {judged['attempt']})", "bold $success")
    where = " at the door" if transaction["accepted"] is None else ""
    return (f"✗ refused{where} (attempt {judged['attempt']})", "bold $error")


def _rules(rules: list[dict[str, Any]]) -> list[Any]:
    """Rules that fail or could not be told; those that pass are counted."""
    passed = sum(1 for rule in rules if rule["verdict"] == "pass")
    parts: list[Any] = [(f"{passed} of {len(rules)} RTS rules pass\n", "$muted")]
    for rule in rules:
        if rule["verdict"] in ("fail", "undetermined"):
            style = "bold $error" if rule["verdict"] == "fail" else ""
            parts += [(f"{MARKS[rule['verdict']]} {rule['id']}", style), f" {rule.get('reason', '')}\n"]
    return parts
