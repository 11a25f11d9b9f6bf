"""The phone's own bank app: it calls the bank's API as any client does, with its own login, and adds the device evidence itself.

A payment is one honest script of named steps; a fault may bring its own script instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authenticator.approving import METHODS, Approval, client_request, fetch, sign
from authenticator.apps.bank_client import DIALECT, BankClient, demand, session_over
from authenticator.ceremonies import HONEST, Edits
from authenticator.client import Call
from authenticator.errors import UsageError
from authenticator.state import POSSESSION, Enrolment

if TYPE_CHECKING:
    from authenticator.phone import Phone


@dataclass(frozen=True, slots=True)
class Means:
    """How the user approves: with the passcode, or by the biometric sensor (and the passcode, if given, only to log in)."""

    factor: str = POSSESSION
    passcode: str | None = None
    outcome: str = "match"

    def __repr__(self) -> str:
        return f"Means({self.factor!r})"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that the bank accepted."""

    payment_id: str
    status: str
    transaction_id: str
    method: str

    def to_json(self) -> dict[str, str]:
        return {
            "paymentId": self.payment_id,
            "status": self.status,
            "transactionId": self.transaction_id,
            "method": self.method,
        }


class BankApp(BankClient):
    """The bank's app on `phone`, for one enrolment. `observe_approval` is told what was shown and signed, before it is sent."""

    def __init__(
        self,
        phone: Phone,
        enrolment: Enrolment,
        *,
        edits: Edits = HONEST,
        observe_approval: Callable[[Approval], None] = lambda approval: None,
    ) -> None:
        if enrolment.dialect != DIALECT:
            raise UsageError("Payments need an enrolment in the dialect bank.", code="not_enrolled")
        super().__init__(phone.server(enrolment.server), enrolment)
        self.phone = phone
        self.edits = edits
        self.observe_approval = observe_approval

    def _with_session(self, access_token: str, refresh_token: str) -> Enrolment:
        """Sealed in the phone's store."""
        return self.phone.keep_session(self.enrolment, access_token, refresh_token)

    def open_session(self, means: Means) -> None:
        """Log in where a passcode is given; else go on with the session kept from enrolment or the last payment."""
        if means.passcode is not None:
            self.login(means.passcode)
        elif self.enrolment.session is None:
            raise session_over()

    def approve(self, transaction_id: str, means: Means) -> Call:
        """The step-up call, with what the phone displayed and signed in its header."""
        enrolment, step_up = fetch(self.phone, self.enrolment.server, transaction_id, DIALECT)
        approval = sign(self.phone, enrolment, step_up, means.factor, outcome=means.outcome, edits=self.edits)
        self.observe_approval(approval)
        session = self.enrolment.session
        refresh_token = session.refresh_token if session is not None else None
        return client_request(
            self.phone, approval, passcode=means.passcode, refresh_token=refresh_token, edits=self.edits
        )

    def replay(self, order: dict[str, Any], transaction_id: str, means: Means) -> Payment:
        """The same payment again, with the identifier and the new bearer."""
        answer = demand(self.ask(order, transaction_id))
        body = answer.object()
        return Payment(
            str(body.get("paymentId", "")), str(body.get("status", "")), transaction_id, METHODS[means.factor]
        )

    def pay(self, order: dict[str, Any], means: Means) -> Payment:
        """The whole payment: asked, refused, stepped up, replayed."""
        return self.edits.bank_app(self, order, means)


def domestic_payment(amount: str, currency: str, payee: str, sort_code: str, account: str) -> dict[str, Any]:
    """The bank's payment body; `UsageError` for an amount that is no plain number, or another part that no order has."""
    from device_keys.orders import minor_units

    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        raise UsageError("--currency: expected three capital letters, such as GBP", field="--currency")
    for option, value in (("--payee", payee), ("--sort-code", sort_code), ("--account", account)):
        if not value.strip():
            raise UsageError(f"{option}: expected some text", field=option)
    try:
        if minor_units(amount, currency) <= 0:
            raise ValueError("amount: expected more than zero")
    except ValueError as error:
        raise UsageError(f"--{error}", field="--amount") from error
    return {
        "amount": amount,
        "currency": currency,
        "payee": {"name": payee, "sortCode": sort_code, "accountNumber": account},
    }
