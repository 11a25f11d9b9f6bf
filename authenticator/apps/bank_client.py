"""A client of the bank's API: one customer's login and calls. It needs no phone; device evidence is what its caller puts into a call.

Where the access token is no longer valid (401) it is refreshed once and the call repeated once, as the bank's clients do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from authenticator.client import API_KEY_HEADERS, Answer, Call, refusal
from authenticator.errors import Unreadable, UsageError
from authenticator.state import Enrolment, Session
from device_keys.encoding import FormatError, member

if TYPE_CHECKING:
    from authenticator.client import ServerClient

DIALECT = "bank"


class BankClient:
    """The bank at `server`, for the customer of `enrolment`, which says where the API is and holds the session."""

    def __init__(self, server: ServerClient, enrolment: Enrolment) -> None:
        self.server = server
        self.enrolment = enrolment

    def login(self, passcode: str) -> None:
        """A new session; one element only, which gives no right to pay."""
        path = f"{self.enrolment.base}/oauth2/login"
        body = {"username": self.enrolment.user, "passcode": passcode}
        answer = self._send(Call("POST", path, {}, body), bearer=False)
        self.keep_tokens(demand(answer))

    def refresh(self) -> None:
        """A new token pair for the refresh token, which serves once; `UsageError` where its life is over."""
        session = self.enrolment.session
        if session is None or session.refresh_token is None:
            raise session_over()
        call = Call("POST", f"{self.enrolment.base}/oauth2/refresh", {}, {"refreshToken": session.refresh_token})
        answer = self._send(call, bearer=False)
        if answer.status == 401:
            raise session_over()
        self.keep_tokens(demand(answer))

    def keep_tokens(self, answer: Answer) -> None:
        """The pair of a login, refresh or step-up: the session from here on."""
        try:
            access = member(answer.body, "accessToken", str)
            refresh_token = member(answer.body, "refreshToken", str)
        except FormatError as error:
            raise Unreadable("unreadable_answer", f"The bank's tokens cannot be read: {error}") from error
        self.enrolment = self._with_session(access, refresh_token)

    def _with_session(self, access_token: str, refresh_token: str) -> Enrolment:
        session = Session(access_token=access_token, refresh_token=refresh_token)
        return msgspec.structs.replace(self.enrolment, session=session)

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
        return self.server.send(replace(call, headers=headers))

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

    def step_up(self, call: Call) -> None:
        """Send the step-up; its answer is a new token pair."""
        self.keep_tokens(demand(self.send(call)))


def demand(answer: Answer) -> Answer:
    """The answer, if the bank granted what was asked; else its refusal is raised."""
    if not answer.ok:
        raise refusal(answer)
    return answer


def session_over() -> UsageError:
    """There is no session to go on with."""
    return UsageError(
        "The bank app's session is over: give --passcode beside --biometric to log in again.",
        field="--passcode",
        code="session_over",
    )
