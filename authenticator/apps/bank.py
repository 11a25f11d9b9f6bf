"""The phone's own bank app: it calls the bank's API as any client does, with its own login, and adds the device evidence itself.

A payment is one honest script of named steps; a fault may bring its own script instead. Where the access token is no longer valid (401) it
is refreshed once and the call repeated once, as the bank's clients do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from authenticator.approving import METHODS, Approval, client_request, fetch, sign
from authenticator.ceremonies import HONEST, Edits
from authenticator.client import API_KEY_HEADERS, Answer, Call, refusal
from authenticator.errors import Unreadable, UsageError
from authenticator.state import POSSESSION, Enrolment
from device_keys.encoding import FormatError, member

if TYPE_CHECKING:
    from authenticator.phone import Phone

DIALECT = "bank"


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


class BankApp:
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
        self.phone = phone
        self.enrolment = enrolment
        self.edits = edits
        self.observe_approval = observe_approval

    # --- session --------------------------------------------------------------------------------------------------------

    def login(self, passcode: str) -> None:
        """A new session; one element only, which gives no right to pay."""
        path = f"{self.enrolment.base}/oauth2/login"
        body = {"username": self.enrolment.user, "passcode": passcode}
        answer = self._send(Call("POST", path, {}, body), bearer=False)
        self.keep_tokens(_demand(answer))

    def open_session(self, means: Means) -> None:
        """Log in where a passcode is given; else go on with the session kept from enrolment or the last payment."""
        if means.passcode is not None:
            self.login(means.passcode)
        elif self.enrolment.session is None:
            raise _session_over()

    def refresh(self) -> None:
        """A new token pair for the refresh token, which serves once; `UsageError` where its life is over."""
        session = self.enrolment.session
        if session is None or session.refresh_token is None:
            raise _session_over()
        call = Call("POST", f"{self.enrolment.base}/oauth2/refresh", {}, {"refreshToken": session.refresh_token})
        answer = self._send(call, bearer=False)
        if answer.status == 401:
            raise _session_over()
        self.keep_tokens(_demand(answer))

    def keep_tokens(self, answer: Answer) -> None:
        """The pair of a login, refresh or step-up, sealed."""
        try:
            access = member(answer.body, "accessToken", str)
            refresh_token = member(answer.body, "refreshToken", str)
        except FormatError as error:
            raise Unreadable("unreadable_answer", f"The bank's tokens cannot be read: {error}") from error
        self.enrolment = self.phone.keep_session(self.enrolment, access, refresh_token)

    # --- calls ----------------------------------------------------------------------------------------------------------

    def send(self, call: Call) -> Answer:
        """With the session's bearer; on 401 refreshed once, repeated once."""
        answer = self._send(call, bearer=True)
        if answer.status != 401:
            return answer
        self.refresh()
        return self._send(call, bearer=True)

    def _send(self, call: Call, *, bearer: bool) -> Answer:
        headers = {API_KEY_HEADERS[DIALECT]: self.enrolment.api_key, **call.headers}
        if bearer and self.enrolment.session is not None:
            headers["Authorization"] = f"Bearer {self.enrolment.session.access_token}"
        return self.phone.server(self.enrolment.server).send(replace(call, headers=headers))

    # --- the steps of a payment -------------------------------------------------------------------------------------------

    def ask(self, order: dict[str, Any], transaction_id: str | None = None) -> Answer:
        """The protected call, without an identifier or (the replay) with it."""
        headers = {} if transaction_id is None else {"X-TransactionId": transaction_id}
        return self.send(Call("POST", f"{self.enrolment.base}/payments/domestic", headers, order))

    def start(self, order: dict[str, Any]) -> str:
        """The transaction identifier of the refused payment; any other refusal is an error."""
        answer = self.ask(order)
        transaction_id = answer.body.get("transactionId") if isinstance(answer.body, dict) else None
        if answer.status == 403 and isinstance(transaction_id, str) and transaction_id:
            return transaction_id
        if answer.ok:
            raise Unreadable("not_protected", "The bank took the payment without a step-up.")
        raise refusal(answer)

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

    def step_up(self, call: Call) -> None:
        """Send the step-up; its answer is a new token pair."""
        self.keep_tokens(_demand(self.send(call)))

    def replay(self, order: dict[str, Any], transaction_id: str, means: Means) -> Payment:
        """The same payment again, with the identifier and the new bearer."""
        answer = _demand(self.ask(order, transaction_id))
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


def _demand(answer: Answer) -> Answer:
    if not answer.ok:
        raise refusal(answer)
    return answer


def _session_over() -> UsageError:
    return UsageError(
        "The bank app's session is over: give --passcode beside --biometric to log in again.",
        field="--passcode",
        code="session_over",
    )
