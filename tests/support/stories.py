"""Stories that a world may live through, for hypothesis: orders of many shapes, and what clients, phones, operators and time do.

An act never fails a test by itself: what a server or a phone refuses is a part of the story. `Told` says what happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import pyotp
from hypothesis import strategies as st

from authenticator import approving
from authenticator.apps import loginradius as pushed_logins
from authenticator.ceremonies import HONEST
from authenticator.errors import PhoneError
from authenticator.faults import find_fault
from authenticator.profiles import PROFILES

from .worlds import EMAIL, STRANGER, URL, Bank, World

STRICT_PROFILES: Final = tuple(name for name, profile in PROFILES.items() if profile.strict)
FACTORS: Final = {"PASSCODE": "possession", "BIOMETRIC": "biometric"}
# Faults of one response: the phone is honest before and after.
RESPONSE_FAULTS: Final = (
    "garbled-evidence", "garbled-client-data", "trailing-authenticator-data", "unknown-credential", "foreign-user-handle",
    "access-assertion", "wrong-origin", "framed", "wrong-rp-id", "nobody-present", "backed-up-but-not-eligible", "suddenly-synced",
    "forged-signature", "unknown-nonce", "altered-order", "altered-amount", "altered-payee", "foreign-payment-page",
)  # fmt: skip


@dataclass
class Told:
    """What happened in a story. `honest`: the transactions in which nobody misbehaved, judged by the strict policy as shipped."""

    honest: set[str] = field(default_factory=set)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    shipped: bool = True


class Act(Protocol):
    """One thing that happens."""

    def play(self, world: World, told: Told) -> None:
        """Let it happen."""


# --- orders -----------------------------------------------------------------------------------------------------------

_LETTERS: Final = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cf", "Cn", "Co"))
names: Final = st.text(_LETTERS, min_size=1, max_size=12).filter(str.strip) | st.sampled_from(
    ["ACME Ltd", "Ada Lovelace", "Åsa Öström", "山田太郎", "שלום", "Zoë & Co", "a", "b", "ﬁnance", "é"]
)
currencies: Final = st.sampled_from(["GBP", "EUR", "JPY", "KWD"])
_DIGITS: Final = {"JPY": 0, "KWD": 3}


@st.composite
def amounts(draw: st.DrawFn, currency: str = "GBP", *, kinds: str = "text int float exponent") -> Any:
    """Money as somebody may write it: text, integer, float, or a number with an exponent (which JSON makes a float)."""
    digits = _DIGITS.get(currency, 2)
    minor = draw(st.integers(1, 99_999))
    whole, part = divmod(minor, 10**digits)
    match draw(st.sampled_from(kinds.split())):
        case "text":
            return f"{whole}.{part:0{digits}d}" if digits else str(whole)
        case "int":
            return max(1, whole)
        case "exponent":
            return float(f"{max(1, whole)}e1")
        case _:
            return minor / 10**digits


@st.composite
def ours(draw: st.DrawFn, currency: str | None = None) -> dict[str, Any]:
    """The bank's own order."""
    chosen = currency or draw(currencies)
    payee = {"name": draw(names)} | draw(
        st.sampled_from([{"sortCode": "112233", "accountNumber": "12345678"}, {"iban": "GB33BUKB20201555555555"}, {}])
    )
    return {"amount": draw(amounts(chosen)), "currency": chosen, "payee": payee}


@st.composite
def berlin_group(draw: st.DrawFn) -> dict[str, Any]:
    """A Berlin Group order."""
    currency = draw(currencies)
    return {
        "instructedAmount": {"amount": draw(amounts(currency, kinds="text")), "currency": currency},
        "creditorName": draw(names),
        "creditorAccount": {"iban": "GB33BUKB20201555555555"},
    }


@st.composite
def obie(draw: st.DrawFn) -> dict[str, Any]:
    """A UK Open Banking order."""
    currency = draw(currencies)
    initiation = {
        "InstructedAmount": {"Amount": draw(amounts(currency, kinds="text")), "Currency": currency},
        "CreditorAccount": {"Name": draw(names), "Identification": "11223312345678"},
    }
    return {"Data": {"Initiation": initiation}}


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """A batch in one currency, now and then with a total and a payee of its own."""
    currency = draw(currencies)
    extra = draw(st.sampled_from([{}, {}, {"amount": "1.00"}, {"payee": {"name": "All"}}, {"currency": currency}]))
    return {"payments": draw(st.lists(ours(currency), min_size=1, max_size=3)), **extra}


unknown: Final = st.dictionaries(
    st.sampled_from(["purpose", "limit", "note", "to", "a"]), st.none() | st.integers(0, 9) | names, max_size=3
)


@st.composite
def mixed(draw: st.DrawFn) -> dict[str, Any]:
    """Members of two shapes in one order."""
    return {**draw(known), **draw(known)}


@st.composite
def partial(draw: st.DrawFn) -> dict[str, Any]:
    """An order with a member missing, or with a stray one."""
    order = draw(known)
    if draw(st.booleans()):
        del order[draw(st.sampled_from(sorted(order)))]
    stray = {"amount": "7.00", "instructedAmount": {"amount": "10.00", "currency": "GBP"}, "creditorName": "Eve",
             "payee": {"name": "Eve"}, "payments": [], "Data": {}, "currency": "EUR", "note": "x"}  # fmt: skip
    name = draw(st.sampled_from(sorted(stray)))
    return {**order, name: stray[name]}


known: Final = st.one_of(ours(), berlin_group(), obie(), batches())
orders: Final = st.one_of(known, known, mixed(), partial(), unknown)


# --- at the bank ------------------------------------------------------------------------------------------------------

TWISTS: Final = (
    "wrong-passcode",
    "no-evidence",
    "declined",
    "declined-then-signed",
    "late",
    "twice",
    "other-key",
    *RESPONSE_FAULTS,
)


@dataclass(frozen=True)
class Payment:
    """A payment at the bank: asked, signed on the phone, stepped up, and paid where that was accepted."""

    order: Any
    method: str = "PASSCODE"
    delivered: bool = False
    twist: str = ""

    def play(self, world: World, told: Told) -> None:
        bank = world.bank
        bank.login()
        transaction = bank.ask(self.order)
        if transaction is None:
            return
        told.asked.append((transaction, self.order))
        try:
            answered = self._step_up(world, transaction)
        except PhoneError:
            return
        if not self.twist and told.shipped and world.phone.profile in STRICT_PROFILES:
            told.honest.add(transaction)
        if answered.status_code == 200:
            bank.replay(self.order, transaction)

    def _step_up(self, world: World, transaction: str) -> Any:
        bank, phone = world.bank, world.phone.phone
        factor = FACTORS[self.method]
        if self.twist in ("declined", "declined-then-signed"):
            approving.decline(phone, URL, transaction)
        if self.twist in ("declined", "no-evidence"):
            return bank.step_up(transaction, self.method)
        if self.twist == "other-key":
            factor = "biometric" if factor == "possession" else "possession"
        edits = find_fault(self.twist).edits if self.twist in RESPONSE_FAULTS else HONEST
        approval = world.sign(transaction, factor, edits)
        if self.twist == "late":
            world.advance(250)
        header = None if self.delivered else approval.assertion.to_header()
        if self.delivered:
            approving.deliver(phone, approval, edits=edits)
        passcode = "999999" if self.twist == "wrong-passcode" else None
        answer = bank.step_up(transaction, self.method, header, passcode)
        return bank.step_up(transaction, self.method, header) if self.twist == "twice" else answer


@dataclass(frozen=True)
class Guesses:
    """So many wrong passcodes for one payment, each with an honest signature of the phone: from five on the customer is blocked."""

    order: Any
    count: int

    def play(self, world: World, told: Told) -> None:
        world.bank.login()
        transaction = world.bank.ask(self.order)
        if transaction is None:
            return
        told.asked.append((transaction, self.order))
        for number in range(self.count):
            try:
                header = world.sign(transaction, "possession").assertion.to_header()
            except PhoneError:
                return
            world.bank.step_up(transaction, header=header, passcode=f"{number:06d}")


@dataclass(frozen=True)
class AtTheDoor:
    """A stranger, logged in as another customer, names the newest payment in step-up and replay."""

    def play(self, world: World, told: Told) -> None:
        stranger = Bank(world, STRANGER, "222333")
        stranger.login()
        for transaction, order in told.asked[-1:]:
            stranger.step_up(transaction)
            stranger.replay(order, transaction)


@dataclass(frozen=True)
class AnotherSession:
    """The customer steps up an old identifier from a new login."""

    def play(self, world: World, told: Told) -> None:
        world.bank.login()
        for transaction, _ in told.asked[-1:]:
            world.bank.step_up(transaction)


# --- at Weavr and LoginRadius -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeavrCode:
    """A step-up at Weavr by SMS, after so many wrong codes."""

    wrong: int = 0

    def play(self, world: World, told: Told) -> None:
        if world.weavr.login().status_code != 200:
            return
        path = "/stepup/challenges/otp/SMS"
        if world.weavr.post(path).status_code != 204:
            return
        code = world.code()
        for _ in range(self.wrong):
            world.weavr.post(f"{path}/verify", {"verificationCode": f"{(int(code) + 1) % 10**6:06d}"})
        if world.weavr.post(f"{path}/verify", {"verificationCode": code}).status_code == 204 and told.shipped:
            told.honest.add(_newest(world))


@dataclass(frozen=True)
class WeavrPush:
    """A biometric challenge of Weavr's on the phone: for the login's step-up, or for a transfer of `minor` units."""

    minor: int | None = None
    payee: str = "ACME Ltd"
    factor: str = "biometric"
    twist: str = ""

    def play(self, world: World, told: Told) -> None:
        weavr = world.weavr
        if weavr.login().status_code != 200:
            return
        if self.minor is None:
            answer = weavr.post("/stepup/challenges/push/BIOMETRIC")
            challenge = answer.json().get("id") if answer.status_code == 200 else None
        else:
            made = weavr.transfer(self.minor, self.payee)
            body = {"resourceType": "outgoing_wire_transfers", "resourceIds": [made]}
            answer = weavr.post("/challenges/push/BIOMETRIC", body)
            challenge = answer.json().get("scaChallengeId") if answer.status_code == 200 else None
        if challenge is None:
            return
        try:
            if self.twist == "declined":
                approving.decline(world.first_phone.phone, URL, challenge)
                return
            edits = find_fault(self.twist).edits if self.twist else HONEST
            phone = world.first_phone.phone
            approving.deliver(phone, world.sign(challenge, self.factor, edits, phone=phone), edits=edits)
        except PhoneError:
            return
        if not self.twist and told.shipped and world.profile in STRICT_PROFILES:
            told.honest.add(challenge)


@dataclass(frozen=True)
class SiteStepUp:
    """A step-up of a logged-in customer at LoginRadius, by one of its methods."""

    method: str
    right: bool = True

    def play(self, world: World, told: Told) -> None:
        site = world.site
        if site.login().status_code != 200:
            return
        path = "/identity/v2/auth/account/reauth"
        before = _newest(world)
        match self.method:
            case "sms":
                sent = site.get(f"{path}/2fa")
                answer = site.put(f"{path}/2fa/otp", {"otp": self._code(world, "sms")}) if sent.is_success else sent
            case "email":
                sent = site.get(f"{path}/2fa/otp/email", emailid=EMAIL)
                body = {"emailid": EMAIL, "otp": self._code(world, "email")} if sent.is_success else {}
                answer = site.put(f"{path}/2fa/otp/email/verify", body) if sent.is_success else sent
            case "totp":
                answer = self._totp(world)
            case "password":
                answer = site.put(f"{path}/password", {"password": "Passw0rd!" if self.right else "wrong"})
            case _:
                answer = site.put(f"{path}/pin", {"pin": "1234" if self.right else "9999"})
        newest = _newest(world)
        if answer.is_success and newest != before and told.shipped:
            told.honest.add(newest)

    def _code(self, world: World, channel: str) -> str:
        code = world.code(channel)
        return code if self.right else f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"

    def _totp(self, world: World) -> Any:
        site, path = world.site, "/identity/v2/auth/account/2fa"
        made = site.get(path).json().get("ManualEntryCode")
        totp = pyotp.TOTP(made or "A" * 32)
        site.put(f"{path}/verification/authenticatorcode", {"authenticatorcode": totp.at(_now(world))})
        world.advance(60)
        code = totp.at(_now(world)) if self.right else "000000"
        return site.put("/identity/v2/auth/account/reauth/2fa/authenticatorcode", {"authenticatorcode": code})


@dataclass(frozen=True)
class PushedLogin:
    """A login at LoginRadius whose second step is a Yes on the phone."""

    yes: bool = True

    def play(self, world: World, told: Told) -> None:
        if not world.site.begin_login():
            return
        phone = world.first_phone.phone
        try:
            for push in pushed_logins.pushes(phone, URL)[-1:]:
                pushed_logins.answer(phone, push, approved=self.yes)
                if self.yes and told.shipped:
                    told.honest.add(push.transaction_id)
        except PhoneError:
            return


def _newest(world: World) -> str:
    listed = world.stub("GET", "transactions")
    return str(listed[0]["transactionId"]) if listed else ""


def _now(world: World) -> datetime:
    return datetime.fromisoformat(world.stub("GET", "clock")["now"])


# --- operators, time, phones ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Later:
    """Time goes by."""

    seconds: int

    def play(self, world: World, told: Told) -> None:
        world.advance(self.seconds)


@dataclass(frozen=True)
class Unblock:
    """An operator lifts the bank customer's block."""

    def play(self, world: World, told: Told) -> None:
        from .worlds import USER

        world.stub("POST", f"users/{USER}/unblock", {"proofRef": "passport seen"})


@dataclass(frozen=True)
class NewPhone:
    """The customer takes a new phone and enrols it at the bank, in place of the old one."""

    profile: str

    def play(self, world: World, told: Told) -> None:
        phone = world.new_phone(self.profile)
        try:
            phone.enrol("bank")
        except PhoneError:
            return
        world.phone = phone


@dataclass(frozen=True)
class Restart:
    """The operator runs the server anew with other options, over the same database."""

    policy: str
    trust: str

    def play(self, world: World, told: Told) -> None:
        world.restart(self.policy, self.trust)
        told.shipped = self.policy == "strict" and self.trust != "revoking"


methods: Final = st.sampled_from(["PASSCODE", "BIOMETRIC"])
payments: Final = st.builds(Payment, orders, methods, st.booleans(), st.sampled_from(("",) * len(TWISTS) + TWISTS))
restarts: Final = st.builds(
    Restart, st.sampled_from(["strict", "lenient"]), st.sampled_from(["shipped", "another-anchor", "revoking"])
)
elsewhere: Final = st.one_of(
    st.builds(WeavrCode, st.integers(0, 6)),
    st.builds(WeavrPush, st.none() | st.integers(1, 99_999), names, st.sampled_from(["biometric", "biometric", "possession"]),
              st.sampled_from(["", "", "declined", "forged-signature"])),
    st.builds(SiteStepUp, st.sampled_from(["sms", "email", "totp", "password", "pin"]), st.booleans()),
    st.builds(PushedLogin, st.booleans()),
)  # fmt: skip
happenings: Final = st.one_of(
    st.builds(Guesses, orders, st.integers(1, 6)),
    st.builds(Later, st.sampled_from([1, 100, 299, 301, 1801, 90_000])),
    st.builds(Unblock),
    st.builds(NewPhone, st.sampled_from(["pixel-9", "iphone-17"])),
    st.builds(AtTheDoor),
    st.builds(AnotherSession),
    restarts,
)
stories: Final = st.lists(st.one_of(payments, payments, payments, elsewhere, happenings), min_size=1, max_size=4)
profiles: Final = st.sampled_from(sorted(PROFILES))


def play(world: World, story: list[Act]) -> Told:
    """Let the story happen in a world just restored."""
    told = Told()
    for act in story:
        act.play(world, told)
    return told
