"""Clients, phones, an operator, a stranger and the clock against the bank, in any order, beside a small model of what must hold.

The model knows the promises, not the code: money leaves once for each accepted step-up of that very order and never without one; five
evaluated failures in a row block, a declined attempt counts nothing; a nonce that was evaluated never passes again; what an operator
reads of an attempt never changes, and what a stranger does changes nothing that is shown of a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from authenticator import approving
from authenticator.errors import PhoneError

from ..support.numbers import SHARDS, ordinary, seeded, shard_settings
from ..support.stories import FACTORS
from ..support.worlds import NOON, STRANGER, URL, USER, Bank, World, world_of

LIFE_OF_A_REQUEST, LIFE_WHEN_VERIFIED, LIFE_OF_A_NONCE = (
    timedelta(seconds=240),
    timedelta(seconds=300),
    timedelta(seconds=120),
)
IDLE, BLOCK = timedelta(minutes=5), timedelta(minutes=30)
STEPS = 20
MOST_FAILURES, MOST_DECLINES, MOST_BLOCKS = 5, 5, 3
FUNDS = 1_000_000


@dataclass
class Login:
    """A client of the customer's, and when it last did something."""

    client: Bank
    active: datetime


@dataclass
class Payment:
    """What the model knows of a refused payment."""

    id: str
    order: dict[str, Any]
    minor: int
    login: Login
    expires: datetime
    state: str = "asked"
    declined: bool = False
    declines: int = 0
    delivered: Evidence | None = None


@dataclass
class Evidence:
    """What the phone signed once, for one payment: `number` says in which order, as the key's counter does."""

    payment: Payment
    method: str
    header: str
    expires: datetime
    number: int
    approval: approving.Approval = field(repr=False)
    spent: bool = False


class ServerAgainstModel(RuleBasedStateMachine):
    """The bank's customer and everybody around."""

    logins = Bundle("logins")
    payments = Bundle("payments")
    signed = Bundle("signed")

    def new_world(self) -> World:
        """Over memory; a sub-class takes another database."""
        return world_of("pixel-9", False)

    @initialize(target=logins)
    def begin(self) -> Login:
        self.world = self.new_world().restore()
        self.stranger = Bank(self.world, STRANGER, "222333")
        self.now = datetime.fromisoformat(NOON)
        self.failures = self.blocks = 0
        self.blocked_until: datetime | None = None
        self.blocked_for_good = False
        self.signatures, self.newest = 0, dict.fromkeys(FACTORS, 0)
        self.all: list[Payment] = []
        self.paid: list[Payment] = []
        self.read: dict[tuple[str, int], Any] = {}
        client = Bank(self.world)
        assert client.login().status_code == 200
        return Login(client, self.now)

    # --- the model ------------------------------------------------------------------------------------------------------

    def blocked(self) -> bool:
        return self.blocked_for_good or (self.blocked_until is not None and self.now < self.blocked_until)

    def failed(self) -> None:
        """One evaluated failure; the fifth in a row blocks, and ends all that is open."""
        if self.blocked_until is not None and self.now >= self.blocked_until:
            self.blocked_until, self.failures = None, 0
        self.failures += 1
        if self.failures < MOST_FAILURES:
            return
        self.failures, self.blocks = 0, self.blocks + 1
        self.blocked_for_good = self.blocks >= MOST_BLOCKS
        self.blocked_until = None if self.blocked_for_good else self.now + BLOCK
        for payment in self.all:
            if payment.state in ("asked", "verified"):
                payment.state = "void"

    def alive(self, login: Login) -> bool:
        """Whether the login's bearer is good; using it is activity."""
        good = self.now - login.active <= IDLE
        login.active = self.now if good else login.active
        return good

    # --- the customer and the phone ---------------------------------------------------------------------------------------

    @rule(target=logins, right=st.booleans() | st.just(True))
    def log_in(self, right: bool) -> Any:
        client = Bank(self.world, passcode="111234" if right else "000000")
        blocked = self.blocked()
        answer = client.login()
        assert (answer.status_code == 200) == (right and not blocked), answer.text
        if right and not blocked:
            return Login(client, self.now)
        if not blocked:
            self.failed()
        return multiple()

    @rule(target=payments, login=logins, minor=st.integers(1, 99_999), payee=st.sampled_from(["ACME Ltd", "Ada"]))
    def ask(self, login: Login, minor: int, payee: str) -> Any:
        order = {"amount": f"{minor // 100}.{minor % 100:02d}", "currency": "GBP", "payee": {"name": payee}}
        alive = self.alive(login)
        found = login.client.ask(order)
        assert (found is not None) == alive
        if found is None:
            return multiple()
        self.all.append(Payment(found, order, minor, login, self.now + LIFE_OF_A_REQUEST))
        return self.all[-1]

    @rule(target=signed, payment=payments, method=st.sampled_from(sorted(FACTORS)))
    def sign(self, payment: Payment, method: str) -> Any:
        open_ = payment.state == "asked" and self.now < payment.expires
        try:
            approval = self.world.sign(payment.id, FACTORS[method])
        except PhoneError:
            assert not open_
            return multiple()
        assert open_
        self.signatures += 1
        header = approval.assertion.to_header()
        return Evidence(payment, method, header, self.now + LIFE_OF_A_NONCE, self.signatures, approval)

    @rule(evidence=signed)
    def deliver(self, evidence: Evidence) -> None:
        payment = evidence.payment
        open_ = payment.state == "asked" and self.now < payment.expires
        try:
            approving.deliver(self.world.phone.phone, evidence.approval)
        except PhoneError:
            assert not open_
            return
        assert open_
        payment.delivered, payment.declined = evidence, False

    @rule(payment=payments)
    def decline(self, payment: Payment) -> None:
        open_ = payment.state == "asked" and self.now < payment.expires
        try:
            approving.decline(self.world.phone.phone, URL, payment.id)
        except PhoneError:
            assert not open_
            return
        assert open_
        payment.delivered, payment.declined = None, True

    @rule(target=payments, login=logins, minor=st.integers(1, 99_999), method=st.sampled_from(sorted(FACTORS)))
    def buy(self, login: Login, minor: int, method: str) -> Any:
        """The whole of a payment, without a pause."""
        payment = self.ask(login, minor, "ACME Ltd")
        evidence = self.sign(payment, method) if isinstance(payment, Payment) else None
        if not isinstance(evidence, Evidence):
            return payment
        self.step_up_with_a_header(evidence, True)
        self.pay(payment, False)
        return payment

    @rule(payment=payments, times=st.integers(2, MOST_DECLINES))
    def decline_again_and_again(self, payment: Payment, times: int) -> None:
        """A pushed step-up that the customer refuses each time: it is refused, it counts as no failure, and the fifth ends it."""
        for _ in range(times):
            self.decline(payment)
            self.step_up_with_what_was_delivered(payment, "PASSCODE", False)

    @rule(payment=payments, times=st.integers(2, MOST_FAILURES))
    def guess(self, payment: Payment, times: int) -> None:
        """Wrong passcodes with signatures of the customer's own phone, as somebody would who has both phone and login."""
        for _ in range(times):
            evidence = self.sign(payment, "PASSCODE")
            if isinstance(evidence, Evidence):
                self.step_up_with_a_header(evidence, False)

    @rule(evidence=signed, right=st.booleans() | st.just(True))
    def step_up_with_a_header(self, evidence: Evidence, right: bool) -> None:
        payment = evidence.payment
        client = payment.login.client
        if not self.alive(payment.login):
            assert client.step_up(payment.id, evidence.method, evidence.header).status_code == 401
            return
        self.step_up(payment, evidence.method, evidence, evidence.header, right)

    @rule(payment=payments, method=st.sampled_from(sorted(FACTORS)), right=st.booleans() | st.just(True))
    def step_up_with_what_was_delivered(self, payment: Payment, method: str, right: bool) -> None:
        if not self.alive(payment.login):
            assert payment.login.client.step_up(payment.id, method).status_code == 401
            return
        self.step_up(payment, method, payment.delivered, None, right)

    def step_up(
        self, payment: Payment, method: str, evidence: Evidence | None, header: str | None, right: bool
    ) -> None:
        """One call by a live login, and what the model expects of it."""
        blocked, at_the_door = self.blocked(), payment.state != "asked" or self.now >= payment.expires
        good = (
            evidence is not None
            and not evidence.spent
            and self.now < evidence.expires
            and evidence.method == method
            and evidence.number > self.newest[method]  # a counter that went back may be a copy of the key
            and (right or method == "BIOMETRIC")
        )
        answer = payment.login.client.step_up(payment.id, method, header, None if right else "000000")
        if blocked or at_the_door:
            assert answer.status_code == 403, answer.text
            return
        if evidence is not None:
            evidence.spent = True
        payment.delivered = None
        if payment.declined:
            assert answer.status_code == 403, answer.text
            payment.declines += 1
            if payment.declines >= MOST_DECLINES:
                payment.state = "void"
            return
        assert (answer.status_code == 200) == good, f"{answer.text}\n{self.why(payment)}"
        if not good:
            self.failed()
            return
        assert evidence is not None
        self.newest[method] = evidence.number
        self.failures, self.blocks, self.blocked_until = 0, 0, None
        payment.state, payment.expires = "verified", self.now + LIFE_WHEN_VERIFIED

    @rule(payment=payments, altered=st.sampled_from([False, False, True]))
    def pay(self, payment: Payment, altered: bool) -> None:
        if not self.alive(payment.login):
            return
        good = payment.state == "verified" and self.now < payment.expires
        order = payment.order | ({"amount": "0.01"} if altered and payment.minor != 1 else {})
        altered = order != payment.order
        answer = payment.login.client.replay(order, payment.id)
        assert (answer.status_code == 201) == (good and not altered), answer.text
        if answer.status_code == 201:
            payment.state = "paid"
            self.paid.append(payment)
        elif good:
            payment.state = "void"

    # --- everybody else ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 60, 119, 121, 241, 299, 301, 1801]))
    def wait(self, seconds: int) -> None:
        self.world.advance(seconds)
        self.now += timedelta(seconds=seconds)

    @rule()
    def operator_unblocks(self) -> None:
        self.world.stub("POST", f"users/{USER}/unblock", {"proofRef": "passport"})
        self.failures = self.blocks = 0
        self.blocked_until, self.blocked_for_good = None, False

    @rule(evidence=signed, replay=st.booleans())
    def stranger_tries(self, evidence: Evidence, replay: bool) -> None:
        """Another customer, with a stolen header: refused, and nothing that is shown of the payment changes."""
        payment = evidence.payment
        before = self.shown(payment)
        self.stranger.login()
        if replay:
            assert self.stranger.replay(payment.order, payment.id).status_code == 403
        else:
            assert self.stranger.step_up(payment.id, "PASSCODE", evidence.header).status_code == 403
        assert self.shown(payment) == before

    def shown(self, payment: Payment) -> tuple[Any, Any]:
        """What an operator sees of a payment by default. The number of attempts counts the stranger's too."""
        (row,) = [row for row in self.world.stub("GET", "transactions") if row["transactionId"] == payment.id]
        verdict = self.world.http.get(f"/_stub/transactions/{payment.id}/verdict")
        shown = verdict.content if verdict.status_code == 200 else None
        return {name: value for name, value in row.items() if name != "attempts"}, shown

    def why(self, payment: Payment) -> Any:
        answer = self.world.http.get(f"/_stub/transactions/{payment.id}/verdict?attempt=last").json()
        return [f for f in answer.get("findings", ()) if f["outcome"] == "fail"]

    @rule(payment=payments)
    def operator_reads(self, payment: Payment) -> None:
        """A verdict read again is the same, whatever happened since."""
        (row,) = [row for row in self.world.stub("GET", "transactions") if row["transactionId"] == payment.id]
        for attempt in range(1, row["attempts"] + 1):
            verdict = self.world.http.get(f"/_stub/transactions/{payment.id}/verdict?attempt={attempt}").content
            assert self.read.setdefault((payment.id, attempt), verdict) == verdict

    @invariant()
    def money_left_once_for_each_accepted_step_up(self) -> None:
        paid = self.world.stub("GET", f"payments?user={USER}")
        assert sorted(row["transactionId"] for row in paid) == sorted(payment.id for payment in self.paid)
        assert all(
            row["payload"] == payment.order
            for row in paid
            for payment in self.paid
            if payment.id == row["transactionId"]
        )
        (customer,) = [user for user in self.world.stub("GET", "users") if user["id"] == USER]
        assert customer["balances"]["GBP"] == _pounds(FUNDS - sum(payment.minor for payment in self.paid))
        assert customer["failures"] == self.failures
        assert bool(customer["blocked"]) == self.blocked(), (
            "blocked after five evaluated failures in a row, and then only"
        )

    def teardown(self) -> None:
        for payment in getattr(self, "all", ()):
            self.operator_reads(payment)


def _pounds(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


TestServerAgainstModel = ServerAgainstModel.TestCase
TestServerAgainstModel.settings = settings(ordinary, stateful_step_count=STEPS)


@pytest.mark.deep
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_server_keeps_to_the_model_at_length(shard: int, pytestconfig: pytest.Config) -> None:
    """Runs that nobody has seen before."""
    run = seeded(ServerAgainstModel, pytestconfig.getoption("hypothesis_seed"), shard)
    run_state_machine_as_test(run, settings=settings(shard_settings(), stateful_step_count=2 * STEPS))
