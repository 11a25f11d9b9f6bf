"""Step-ups on the screen: what is shown, and the signing of exactly that. Without Textual; every call may block.

Between showing and signing minutes may pass, and a nonce lives shorter than a transaction. So a fresh nonce is fetched when the user
decides, and nothing is signed unless the order that came with it is the one on the screen, compared by its canonical form's digest
(RTS Art. 5(1)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authenticator.approving import Approval, client_request, decline, deliver, fetch, pending, sign
from authenticator.apps.bank import BankApp, Means
from authenticator.apps.loginradius import answer, find_push
from authenticator.ceremonies import StepUp
from authenticator.client import Call
from authenticator.display import Shown, show
from authenticator.errors import Refused, UsageError
from authenticator.faults import APPROVE, PAY
from authenticator.state import BIOMETRIC, POSSESSION, Enrolment
from device_keys.messages import payload_digest

if TYPE_CHECKING:
    from authenticator.apps.loginradius import Push
    from authenticator.tui.handset import Handset


@dataclass(frozen=True, slots=True)
class Offer:
    """A step-up as it stands on the screen. `own`: it came from this phone's own bank app, which finishes it. `push`: a pushed login,
    signed Yes or No by the phone's RSA key; it has no `step_up`."""

    transaction_id: str
    kind: str
    expires_at: str
    shown: Shown
    own: bool = False
    step_up: StepUp | None = None
    push: Push | None = None

    def factors(self) -> tuple[str, ...]:
        """Which keys may sign it."""
        if self.step_up is None:
            return (POSSESSION,)
        wanted = {"PASSCODE": POSSESSION, "BIOMETRIC": BIOMETRIC}
        named = [wanted[method] for method in self.step_up.methods if method in wanted]
        return tuple(named) or (POSSESSION, BIOMETRIC)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of an approval. `words` is what the bank answered, or that the evidence is delivered."""

    transaction_id: str
    paid: bool
    words: str


class Till:
    """Fetches, shows, signs and hands on; remembers which payments are the phone's own. `signed` hears each signature, for the reviewer."""

    def __init__(self, handset: Handset, *, signed: Callable[[Approval], None] = lambda approval: None) -> None:
        self.handset = handset
        self.signed = signed
        self._own: dict[str, tuple[_ScreenBank, dict[str, Any]]] = {}

    def waiting(self) -> list[dict[str, Any]]:
        """The step-ups that are open for this phone, oldest first, as the server lists them; and pushed logins."""
        rows = pending(self.handset.phone, self.handset.url)
        alive = {str(row.get("transactionId")) for row in rows}
        self._own = {name: own for name, own in self._own.items() if name in alive}
        return rows

    def offer(self, transaction_id: str) -> Offer:
        """One of them, to be shown."""
        push = find_push(self.handset.phone, self.handset.url, transaction_id)
        if push is not None:
            row = push.to_json()
            shown = show(row["kind"], row["payload"])
            return Offer(transaction_id, row["kind"], row["expiresAt"], shown, push=push)
        _, step_up = fetch(self.handset.phone, self.handset.url, transaction_id)
        shown, own = show(step_up.kind, step_up.payload), transaction_id in self._own
        return Offer(transaction_id, str(step_up.kind), step_up.expires_at, shown, own, step_up)

    def begin(self, order: dict[str, Any], passcode: str | None = None) -> str:
        """Ask the bank for a payment: the transaction id of its refusal. `UsageError` with code `session_over`: log in, by the passcode."""
        phone = self.handset.phone
        app = _ScreenBank(phone, phone.enrolment(self.handset.url, "bank"), self)
        BankApp.open_session(app, Means(passcode=passcode))
        transaction_id = BankApp.start(app, order)
        app.begun = transaction_id
        self._own[transaction_id] = (app, order)
        return transaction_id

    def approve(self, offer: Offer, factor: str, *, outcome: str = "match", passcode: str | None = None) -> Receipt:
        """Sign what is on the screen and hand it on; `Refused` where nothing was signed or the bank said no."""
        if offer.push is not None:
            answer(self.handset.phone, offer.push, approved=True)
            return Receipt(offer.transaction_id, False, "Yes, signed and sent.")
        own = self._own.get(offer.transaction_id)
        if own is None:
            approval = self.sign(offer, factor, outcome, APPROVE)
            deliver(self.handset.phone, approval, edits=self.handset.edits(APPROVE))
            return Receipt(
                offer.transaction_id, False, "Signed and delivered. The client that asked hears what comes of it."
            )
        app, order = own
        if factor == BIOMETRIC and outcome != "match":
            self.sign(offer, factor, outcome, PAY)
        app.offer, app.begun, app.edits = offer, offer.transaction_id, self.handset.edits(PAY)
        payment = app.pay(order, Means(factor, passcode, outcome))
        self._own.pop(offer.transaction_id, None)
        return Receipt(offer.transaction_id, True, f"Paid: the bank says {payment.status}.")

    def sign(self, offer: Offer, factor: str, outcome: str, command: str) -> Approval:
        """Over a fresh nonce, and only if the order is still the one on the screen."""
        phone = self.handset.phone
        assert offer.step_up is not None, "a pushed login has no step-up to sign"
        enrolment, fresh = fetch(phone, self.handset.url, offer.transaction_id, offer.step_up.dialect)
        if _order_of(fresh) != _order_of(offer.step_up):
            raise Refused("order_changed", "The order is not the one on the screen any more. Nothing was signed.")
        edits = self.handset.edits(command)
        approval = sign(phone, enrolment, fresh, factor, outcome=outcome, held=False, edits=edits)
        self.signed(approval)
        return approval

    def decline(self, offer: Offer) -> None:
        """The user said no."""
        if offer.push is not None:
            answer(self.handset.phone, offer.push, approved=False)
            return
        decline(self.handset.phone, self.handset.url, offer.transaction_id)
        self._own.pop(offer.transaction_id, None)


def _order_of(step_up: StepUp) -> tuple[str, bytes]:
    return str(step_up.kind), payload_digest(step_up.payload)


class _ScreenBank(BankApp):
    """The bank app whose payment was begun before its user decided how to approve it; the honest script, or a fault's, goes on."""

    def __init__(self, phone: Any, enrolment: Enrolment, till: Till) -> None:
        super().__init__(phone, enrolment)
        self.till = till
        self.begun: str | None = None
        self.offer: Offer | None = None

    def open_session(self, means: Means) -> None:
        if self.begun is None:
            super().open_session(means)

    def start(self, order: dict[str, Any]) -> str:
        transaction_id, self.begun = self.begun, None
        return transaction_id if transaction_id is not None else super().start(order)

    def approve(self, transaction_id: str, means: Means) -> Call:
        offer = self.offer
        if self.till.handset.fault is not None and (offer is None or offer.transaction_id != transaction_id):
            return super().approve(transaction_id, means)  # an armed fault's own script pays behind the user's back
        if offer is None or offer.transaction_id != transaction_id:
            raise UsageError("This order was not on the screen. Nothing was signed.", code="not_shown")
        approval = self.till.sign(offer, means.factor, means.outcome, PAY)
        refresh = self.enrolment.session.refresh_token if self.enrolment.session is not None else None
        return client_request(self.phone, approval, passcode=means.passcode, refresh_token=refresh, edits=self.edits)
