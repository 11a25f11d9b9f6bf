"""One phone as a test holds it: enrolled, told what its user and its sensor do, made to misbehave, asked to approve.

The facade of fixtures and control API over the phone's own ceremonies; it adds no behaviour to them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from authenticator import approving
from authenticator.apps import messages
from authenticator.apps.bank import BankApp, Means, Payment, domestic_payment
from authenticator.apps.bank_client import DIALECT
from authenticator.apps.mail import mail_address
from authenticator.ceremonies import HONEST, Edits
from authenticator.client import Call, open_http
from authenticator.enrolling import Applicant, enrol
from authenticator.errors import Refused, UsageError
from authenticator.faults import APPROVE, ENROL, PAY, SIGN_ONLY, find_fault
from authenticator.phone import Phone, find_profile
from authenticator.rules import ALWAYS, Decision, Rule
from authenticator.sensor import PRESENTED, unlock
from authenticator.state import BIOMETRIC, POSSESSION, Enrolment
from device_keys.clock import rfc3339

if TYPE_CHECKING:
    import httpx2

    from authenticator.transport import AsyncStepUpTransport, StepUpTransport

# The built-in user of each dialect that enrols with a passcode or password: (user, secret).
DEMO_LOGINS: Final = {
    "bank": ("9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "111234"),
    "weavr": ("alice@example.com", "Passw0rd!"),
}
METHODS: Final = {"PASSCODE": POSSESSION, "BIOMETRIC": BIOMETRIC}


class VirtualAuthenticator:
    """A phone for tests, at one server.

    `biometric` is what its sensor meets; `fault` the misbehaviour that is active, if any; `before_use` runs before each step-up.
    """

    def __init__(
        self,
        home: Path,
        server: str,
        *,
        http_factory: Callable[[str], httpx2.Client] = open_http,
        profile: str = "pixel-9",
        fault: str | None = None,
        seed: str | None = None,
        token: str | None = None,
        secret: bytes | None = None,
    ) -> None:
        self.server = server
        self.profile = find_profile(profile).name
        self.phone = Phone(home, http_factory=http_factory, token=token, secret=secret or secrets.token_bytes(32))
        self.biometric = "match"
        self.passcode: str | None = None
        self.before_use: Callable[[], None] = _nothing
        self._seed = seed
        self._fault: str | None = None
        self._standing = False
        self.fault = fault

    def __repr__(self) -> str:
        fault = f", fault {self._fault}" if self._fault else ""
        return f"VirtualAuthenticator({self.profile} at {self.server}{fault})"

    def close(self) -> None:
        """Hang up."""
        self.phone.close()

    # --- what the phone is and does -------------------------------------------------------------------------------------

    @property
    def fault(self) -> str | None:
        """The name of the active fault; it acts where it belongs, and the phone is honest elsewhere."""
        return self._fault

    @fault.setter
    def fault(self, name: str | None) -> None:
        if name is not None:
            find_fault(name)
        self._fault = name

    def edits(self, command: str) -> Edits:
        """What the active fault changes in a command (`enrol`, `approve`, `approve --sign-only`, `pay`)."""
        fault = None if self._fault is None else find_fault(self._fault)
        return fault.edits if fault is not None and fault.acts_in(command) else HONEST

    @property
    def skew_seconds(self) -> float:
        """By how much the phone's clock is wrong."""
        return self.phone.state.skew_seconds

    @skew_seconds.setter
    def skew_seconds(self, seconds: float) -> None:
        with self.phone.edit() as state:
            state.skew_seconds = seconds

    def clock(self) -> dict[str, Any]:
        """The phone's time, and whether it stands still."""
        return {"now": rfc3339(self.phone.now()), "frozen": self._standing}

    def stand_at(self, instant: datetime | None) -> None:
        """The phone's own clock stands at `instant`, whatever the server's time; None: network time again."""
        self._standing = instant is not None
        self.phone.use_clock(None if instant is None else lambda: instant)

    def use_profile(self, name: str) -> None:
        """Another kind of phone, from its next enrolment on."""
        self.profile = find_profile(name).name

    def remove_credential(self, credential_id: str) -> None:
        """One key is deleted; the server still knows it. `UsageError` where there is none of that id."""
        with self.phone.edit() as state:
            for enrolment in list(state.enrolments.values()):
                gone = [c for c in enrolment.credentials if c.credential_id == credential_id]
                if gone:
                    self.phone.hardware.delete(gone[0].key_id)
                    kept = tuple(c for c in enrolment.credentials if c is not gone[0])
                    state.enrolments[enrolment.name] = msgspec.structs.replace(enrolment, credentials=kept)
                    return
        raise UsageError("credentialId: no such credential on this phone", field="credentialId")

    def keys(self) -> list[dict[str, Any]]:
        """The keys in the secure hardware, as `stepup-phone keys --json` lists them."""
        from authenticator.commands.keys import key_rows

        return key_rows(self.phone)

    def unlock(self, pin: str = "1234") -> None:
        """The screen lock's PIN is given: a locked sensor is free again."""
        unlock(self.phone, pin)

    def wipe(self) -> None:
        """Factory reset."""
        self.phone.wipe()

    # --- enrolment ------------------------------------------------------------------------------------------------------

    def enrol(
        self,
        dialect: str = DIALECT,
        *,
        user: str | None = None,
        passcode: str | None = None,
        number: str = messages.DEMO_NUMBER,
        api_key: str = "demo-api-key",
        code: str | None = None,
    ) -> Enrolment:
        """Enrol (again) at the server, by default for the demo user of the dialect; at Weavr `passcode` is the password."""
        if dialect not in DEMO_LOGINS:
            raise UsageError(f"dialect: expected one of {', '.join(DEMO_LOGINS)}", field="dialect")
        demo_user, demo_secret = DEMO_LOGINS[dialect]
        secret = passcode or demo_secret
        applicant = Applicant(
            server=self.server, dialect=dialect, user=user or demo_user, secret=secret, profile=self.profile, number=number,
            api_key=api_key, seed=self._seed, code=code,
        )  # fmt: skip
        enrolment = enrol(self.phone, applicant, edits=self.edits(ENROL))
        self.passcode = secret
        return enrolment

    @property
    def enrolments(self) -> list[Enrolment]:
        """Where this phone is enrolled."""
        return list(self.phone.state.enrolments.values())

    # --- step-ups -------------------------------------------------------------------------------------------------------

    def pending(self) -> list[dict[str, Any]]:
        """What waits for this phone; empty where it is not enrolled."""
        self.before_use()
        return approving.pending(self.phone, self.server) if self.enrolments else []

    def approve(self, transaction_id: str, *, method: str = "PASSCODE", biometric: str | None = None) -> dict[str, Any]:
        """The user approves: the evidence is delivered to the server, where the client's own step-up call finds it."""
        self.before_use()
        if self._answer_push(transaction_id, approved=True):
            return {"transactionId": transaction_id, "outcome": "approved", "method": "PUSH"}
        edits = self.edits(APPROVE)
        approval = self._sign(transaction_id, method, biometric, edits)
        approving.deliver(self.phone, approval, edits=edits)
        return {"transactionId": transaction_id, "outcome": "approved", "method": approval.method}

    def sign_only(
        self,
        transaction_id: str,
        *,
        method: str = "PASSCODE",
        passcode: str | None = None,
        refresh_token: str | None = None,
        biometric: str | None = None,
    ) -> Call:
        """The user approves, and the client's request is given back instead of delivered: method, path, headers, body."""
        self.before_use()
        edits = self.edits(SIGN_ONLY)
        approval = self._sign(transaction_id, method, biometric, edits)
        secret = passcode or self.passcode
        return approving.client_request(self.phone, approval, passcode=secret, refresh_token=refresh_token, edits=edits)

    def _sign(self, transaction_id: str, method: str, biometric: str | None, edits: Edits) -> approving.Approval:
        if method not in METHODS:
            raise UsageError(f"method: expected one of {', '.join(METHODS)}", field="method")
        enrolment, step_up = approving.fetch(self.phone, self.server, transaction_id)
        outcome = presented(biometric or self.biometric)
        return approving.sign(self.phone, enrolment, step_up, METHODS[method], outcome=outcome, edits=edits)

    def decline(self, transaction_id: str) -> None:
        """The user says no."""
        self.before_use()
        if not self._answer_push(transaction_id, approved=False):
            approving.decline(self.phone, self.server, transaction_id)

    def _answer_push(self, transaction_id: str, *, approved: bool) -> bool:
        """LoginRadius: a pushed login, whose key signs with no further factor."""
        if self.server not in self.phone.state.push_devices:
            return False
        from authenticator.apps.loginradius import answer, find_push

        push = find_push(self.phone, self.server, transaction_id)
        if push is not None:
            answer(self.phone, push, approved=approved)
        return push is not None

    def answer(self, rule: Rule, *, method: str | None = None) -> list[dict[str, Any]]:
        """Answer by the rule whatever waits and was not answered yet; what was done, one entry each.

        `method` None: the key that goes with the passcode, or the biometric key where the step-up offers nothing else.
        """
        done: list[dict[str, Any]] = []
        for row in self.pending():
            decision = rule.decide(row.get("payload"))
            if row.get("outcome") is None and decision is not Decision.ASK:
                done.append(self.answer_one(row, decision, method))
        return done

    def answer_one(self, row: dict[str, Any], decision: Decision, method: str | None) -> dict[str, Any]:
        """Approve or decline one that waits, as `pending` lists it."""
        transaction_id = row["transactionId"]
        if decision is Decision.DECLINE:
            self.decline(transaction_id)
            return {"transactionId": transaction_id, "outcome": "declined"}
        only_biometric = row.get("methods") == ["BIOMETRIC"]
        return self.approve(transaction_id, method=method or ("BIOMETRIC" if only_biometric else "PASSCODE"))

    # --- the phone's own bank app, and clients' calls -----------------------------------------------------------------------

    def pay(
        self,
        amount: str = "10.00",
        currency: str = "GBP",
        payee: str = "ACME Ltd",
        *,
        sort_code: str = "112233",
        account: str = "12345678",
        method: str = "PASSCODE",
        passcode: str | None = None,
    ) -> Payment:
        """A payment from the phone's own bank app, stepped up; `Refused` where the bank or the sensor refuses."""
        if method not in METHODS:
            raise UsageError(f"method: expected one of {', '.join(METHODS)}", field="method")
        self.before_use()
        enrolment = self.phone.enrolment(self.server, DIALECT)
        app = BankApp(self.phone, enrolment, edits=self.edits(PAY))
        means = Means(METHODS[method], passcode or self.passcode, presented(self.biometric))
        return app.pay(domestic_payment(amount, currency, payee, sort_code, account), means)

    def transport(
        self, inner: httpx2.BaseTransport | httpx2.Client | None = None, *, rule: Rule = ALWAYS
    ) -> StepUpTransport:
        """A transport for an unchanged `httpx2.Client`: this phone's evidence is added to its step-up calls.

        `inner` is the transport (or the client whose transport) that the calls then take; None: sockets.
        """
        import httpx2

        from authenticator.client import tls_context
        from authenticator.transport import StepUpTransport

        if inner is None:
            inner = httpx2.HTTPTransport(verify=tls_context() if self.server.startswith("https:") else False)
        if isinstance(inner, httpx2.Client):
            inner = inner._transport
        return StepUpTransport(self._adapter(rule), inner)

    def async_transport(self, inner: httpx2.AsyncBaseTransport, *, rule: Rule = ALWAYS) -> AsyncStepUpTransport:
        """The same for `httpx2.AsyncClient`."""
        from authenticator.transport import AsyncStepUpTransport

        return AsyncStepUpTransport(self._adapter(rule), inner)

    def _adapter(self, rule: Rule) -> Any:
        from authenticator.transport import Adapter

        return Adapter(
            self.phone, self.server, rule=rule, outcome=lambda: presented(self.biometric), edits=self._edits_for_call,
            before_use=lambda: self.before_use(),
        )  # fmt: skip

    def _edits_for_call(self) -> Edits:
        return self.edits(SIGN_ONLY)

    # --- messages -------------------------------------------------------------------------------------------------------

    def inbox(self, channel: str = messages.SMS, to: str | None = None) -> list[dict[str, Any]]:
        """What reached this phone, oldest first: `sms`, `email` or `push`."""
        if channel not in (messages.SMS, messages.EMAIL, messages.PUSH):
            raise UsageError("channel: expected sms, email or push", field="channel")
        address = to or self._address(channel)
        return [message.to_json() for message in messages.inbox(self.phone, self.server, channel, address)]

    def _address(self, channel: str) -> str:
        if channel == messages.SMS:
            return messages.sms_address(self.phone, self.server)
        if channel == messages.EMAIL:
            return mail_address(self.phone, self.server)
        devices = [enrolment.device_id for enrolment in self.phone.enrolments(self.server)]
        return ",".join(devices)

    def code(self, channel: str = messages.SMS) -> str:
        """The newest one-time code of a channel; `Refused` where there is none."""
        codes = [message["code"] for message in self.inbox(channel) if "code" in message]
        if not codes:
            raise Refused("no_code", f"No {channel} message holds a code.")
        newest: str = codes[-1]
        return newest


def _nothing() -> None:
    pass


def presented(outcome: str) -> str:
    """A biometric outcome, which must be one that there is."""
    if outcome not in PRESENTED:
        raise UsageError(f"biometric: expected one of {', '.join(PRESENTED)}", field="biometric")
    return str(outcome)
