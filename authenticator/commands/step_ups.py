"""`stepup-phone pay`, `pending`, `approve`, `decline`."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from authenticator.commands.common import edits_of, opened_phone, secret_argument
from authenticator.errors import UsageError
from authenticator.output import Output, table
from authenticator.state import BIOMETRIC, POSSESSION

if TYPE_CHECKING:
    from authenticator.approving import Approval
    from authenticator.ceremonies import StepUp
    from authenticator.phone import Phone


def pay(args: Namespace, output: Output) -> None:
    """A payment from the phone's own bank app."""
    from authenticator.apps.bank import BankApp, Means, domestic_payment
    from authenticator.apps.bank_client import DIALECT
    from authenticator.faults import PAY

    order = domestic_payment(args.amount, args.currency, args.payee, args.sort_code, args.account)
    passcode = secret_argument(args.passcode, "STEPUP_PASSCODE", "--passcode")
    if passcode is None and args.biometric is None:
        raise UsageError("pay: expected --passcode, --biometric, or both", field="--passcode")
    factor = POSSESSION if args.biometric is None else BIOMETRIC
    with opened_phone(args) as (phone, url):
        app = BankApp(
            phone,
            phone.enrolment(url, DIALECT),
            edits=edits_of(args.fault, PAY, output),
            observe_approval=lambda approval: _say_shown(output, approval.step_up),
        )
        payment = app.pay(order, Means(factor, passcode, args.biometric or "match"))
        output.result(payment.to_json(), f"Paid: {payment.status} {payment.payment_id}, approved by {payment.method}.")


def pending(args: Namespace, output: Output) -> None:
    """What waits for this phone."""
    from authenticator.approving import pending as list_pending

    with opened_phone(args) as (phone, url):
        found = [row for row in list_pending(phone, url) if row.get("outcome") is None]
    names = ("transactionId", "dialect", "kind", "payload", "expiresAt", "methods")
    rows = [{name: row.get(name) for name in names} for row in found]
    output.result(rows, _pending_text(rows))


def _pending_text(rows: list[dict[str, Any]]) -> str:
    from authenticator.display import show

    if not rows:
        return "Nothing waits for this phone."
    cells = [
        (str(row["transactionId"]), str(row["dialect"]), show(str(row["kind"]), row["payload"]).sentence())
        for row in rows
    ]
    return table(cells, ("TRANSACTION", "DIALECT", "ORDER"))


def approve(args: Namespace, output: Output) -> None:
    """Sign a step-up; deliver the evidence, or print the client's request."""
    from authenticator.approving import client_request, deliver, fetch, sign
    from authenticator.faults import APPROVE, SIGN_ONLY

    with opened_phone(args) as (phone, url):
        if _answer_push(phone, url, args.transaction, output, approved=True):
            return
        factor, passcode = _factor(args)
        edits = edits_of(args.fault, SIGN_ONLY if args.sign_only else APPROVE, output)
        enrolment, step_up = fetch(phone, url, args.transaction)
        _say_shown(output, step_up)
        approval = sign(phone, enrolment, step_up, factor, outcome=args.biometric or "match", edits=edits)
        if args.sign_only:
            call = client_request(phone, approval, passcode=passcode, refresh_token=args.refresh_token, edits=edits)
            _say_what_is_missing(output, approval, passcode, args.refresh_token)
            output.result({"method": call.method, "path": call.path, "headers": call.headers, "body": call.body})
            return
        deliver(phone, approval, edits=edits)
    document = {"transactionId": step_up.transaction_id, "outcome": "approved", "method": approval.method}
    next_ = "waits for the client's step-up" if step_up.request is not None else "no call of the client's follows"
    output.result(document, f"Approved by {approval.method}; the server has the evidence, and {next_}.")


def _answer_push(phone: Phone, url: str, transaction_id: str, output: Output, *, approved: bool) -> bool:
    """Whether the id names a pushed login, which is then answered: its key signs with no further factor."""
    if url not in phone.state.push_devices:
        return False
    from authenticator.apps.loginradius import answer, find_push

    push = find_push(phone, url, transaction_id)
    if push is None:
        return False
    answer(phone, push, approved=approved)
    outcome = "approved" if approved else "declined"
    output.result({"transactionId": transaction_id, "outcome": outcome, "method": "PUSH"}, f"The login is {outcome}.")
    return True


def _factor(args: Namespace) -> tuple[str, str | None]:
    """The biometric where it is asked for, else the passcode, which must be at hand."""
    if args.biometric is not None:
        return BIOMETRIC, None
    passcode = secret_argument(args.passcode, "STEPUP_PASSCODE", "--passcode")
    if passcode is None:
        raise UsageError("approve: expected --passcode or --biometric match|no-match|cancel", field="--passcode")
    return POSSESSION, passcode


def _say_shown(output: Output, step_up: StepUp) -> None:
    from authenticator.display import show

    width = 76 if sys.stderr.isatty() else 100
    output.say("\n".join(f"  {line}" for line in show(step_up.kind, step_up.payload).lines(width)))


def _say_what_is_missing(output: Output, approval: Approval, passcode: str | None, refresh_token: str | None) -> None:
    if approval.factor == BIOMETRIC and refresh_token is None:
        output.say("The body's refreshToken is the client's to fill in (or give --refresh-token).")


def decline(args: Namespace, output: Output) -> None:
    """The user says no."""
    from authenticator.approving import decline as decline_step_up

    with opened_phone(args) as (phone, url):
        if _answer_push(phone, url, args.transaction, output, approved=False):
            return
        decline_step_up(phone, url, args.transaction)
    output.result({"transactionId": args.transaction, "outcome": "declined"}, "Declined.")
