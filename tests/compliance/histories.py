"""Step-ups of many kinds, each played once between a real phone or client and a running server, and kept as the server's own bundle.

A kind is a function of a `Play` that names the transaction at the end; what the tests read is what the server gives to its operator: the
evidence bundle and the verdict.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pyotp
from starlette.types import ASGIApp, Receive, Scope, Send

from authenticator import approving
from authenticator.apps import loginradius as app
from authenticator.ceremonies import HONEST, Draft, Edits
from authenticator.enrolling import Applicant, enrol
from authenticator.phone import Phone
from server_stub.app import create_app
from server_stub.bundle import Bundle, read_bundle
from server_stub.database import MEMORY, open_database
from server_stub.http import TLS
from server_stub.policy import POLICIES
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust
from server_stub.verdict import Verdict

from ..in_process import InProcessClient
from ..loginradius.conftest import EMAIL, PASSWORD, Client
from ..server.conftest import NUMBER, ORDER, PASSCODE, USER, Bank
from ..support.server import NOON, URL, Handset
from ..weavr.conftest import Api, World

BATCH = {
    "payments": [
        ORDER,
        {**ORDER, "amount": "2.50", "payee": {"name": "Bob", "sortCode": "010203", "accountNumber": "87654321"}},
    ]
}
R = "/identity/v2/auth/account/reauth"
A = "/identity/v2/auth/account/2fa"


def _by_tls(app: ASGIApp) -> ASGIApp:
    """As a connection of the server says it: a call by https has a version and a cipher."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        agreed = (
            {TLS: {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"}} if scope.get("scheme") == "https" else {}
        )
        await app({**scope, **agreed}, receive, send)

    return called


class _From(httpx2.BaseTransport):
    """Calls from this address, by this scheme."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self.app = app
        self.inner = httpx2.ASGITransport(_by_tls(app), client=(address, 40000))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        async def answer() -> httpx2.Response:
            got = await self.inner.handle_async_request(request)
            return httpx2.Response(got.status_code, headers=got.headers, content=await got.aread())

        return asyncio.run(answer())


@dataclass
class Play:
    """One server with its clock standing at noon, and what plays at it."""

    stack: ExitStack
    policy: str = "strict"
    settings: dict[str, Any] = field(default_factory=dict)
    address: str = "127.0.0.1"
    scheme: str = "http"
    phones: int = 0
    made: dict[str, Any] = field(default_factory=dict)

    def serve(self, dialect: str) -> InProcessClient:
        server = Server(
            Store(open_database(MEMORY)),
            load_trust(),
            POLICIES[self.policy],
            Settings(dialects=(dialect,), **self.settings),
        )
        server.start()
        self.stack.callback(server.store.database.close)
        self.made["server"], self.made["app"] = server, create_app(server)
        self.made["operator"] = InProcessClient(self.made["app"], base_url=URL)
        self.stub("PUT", "/clock", {"now": NOON, "frozen": True})
        return self.client()

    def client(self) -> InProcessClient:
        base = URL.replace("http", self.scheme, 1)
        made = InProcessClient(self.made["app"], base_url=base)
        made._transport = _From(self.made["app"], self.address)  # type: ignore[assignment]
        return made

    def stub(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.made["operator"].request(method, f"/_stub{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def advance(self, seconds: float) -> None:
        self.stub("POST", "/clock/advance", {"seconds": seconds})

    def phone(self) -> Phone:
        home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        phone = Phone(
            home / "phone", secret=b"s" * 32, http_factory=lambda url: InProcessClient(self.made["app"], base_url=url)
        )
        self.stack.callback(phone.close)
        return phone

    # -- the bank

    def bank(
        self, profile: str | None = "pixel-9", passcode: str = PASSCODE, edits: Edits = HONEST
    ) -> tuple[Bank, Handset | None]:
        """A client that is logged in, and a phone that is enrolled."""
        bank = Bank(self.serve("bank"))
        if passcode != PASSCODE:
            self.stub("PUT", "/users", {"dialect": "bank", "id": USER, "passcode": passcode})
        handset = self.handset(profile, passcode, edits) if profile else None
        assert bank.login(passcode).status_code == 200
        return bank, handset

    def handset(self, profile: str, passcode: str = PASSCODE, edits: Edits = HONEST) -> Handset:
        phone = self.phone()
        enrol(phone, Applicant(URL, "bank", USER, passcode, profile, NUMBER, "demo-api-key"), edits=edits)
        return Handset(phone)

    # -- Weavr

    def weavr(self) -> tuple[World, Api]:
        http = self.serve("weavr")
        world = World(http=http, server=self.made["server"])
        api = world.client()
        assert api.login().status_code == 200
        return world, api

    def weavr_phone(self) -> Phone:
        phone = self.phone()
        enrol(phone, Applicant(URL, "weavr", EMAIL, PASSWORD, "pixel-9", NUMBER, "demo-api-key"))
        return phone

    def approve(self, phone: Phone, transaction: str, factor: str) -> None:
        enrolment, step_up = approving.fetch(phone, URL, transaction)
        approving.deliver(phone, approving.sign(phone, enrolment, step_up, factor))

    # -- LoginRadius

    def site(self) -> Client:
        client = Client(self.serve("loginradius"))
        assert client.login().status_code == 200
        return client

    def newest(self) -> str:
        return str(self.stub("GET", "/transactions")[0]["transactionId"])


Kind = Callable[[Play], str]
KINDS: dict[str, tuple[Kind, dict[str, Any]]] = {}


def kind(name: str, **play: Any) -> Callable[[Kind], Kind]:
    """Enter a kind of step-up under a name."""

    def entered(function: Kind) -> Kind:
        KINDS[name] = (function, play)
        return function

    return entered


class Recorded(msgspec.Struct, frozen=True):
    """What the server gave to its operator, and what it was asked to judge with."""

    bundle: Bundle
    verdict: Verdict
    raw: bytes


@cache
def recorded(name: str) -> Recorded:
    """A kind of step-up, played once for the whole run."""
    function, options = KINDS[name]
    with ExitStack() as stack:
        play = Play(stack, **options)
        transaction = function(play)
        attempt = play.made.get("attempt", "")
        operator = play.made["operator"]
        raw = operator.get(f"/_stub/transactions/{transaction}/evidence{attempt}").content
        verdict = operator.get(f"/_stub/transactions/{transaction}/verdict{attempt}").json()
        return Recorded(read_bundle(raw), msgspec.convert(verdict, Verdict), raw)


# --- the bank ------------------------------------------------------------------------------------------------------------


def paid(play: Play, bank: Bank, handset: Handset | None, *, factor: str = "possession", order: Any = None, edits: Edits = HONEST,
         passcode: str = PASSCODE, expected: int = 200) -> str:  # fmt: skip
    """A payment that its step-up confirms, or not."""
    transaction = bank.start(order)
    header = handset.header(transaction, factor, edits) if handset is not None else None
    body = bank.biometric() if factor == "biometric" else {"username": USER, "passcode": passcode}
    answer = bank.step_up(transaction, body, header)
    assert answer.status_code == expected, answer.text
    return transaction


def honest(profile: str, factor: str, order: Any = None, passcode: str = PASSCODE) -> Kind:
    def played(play: Play) -> str:
        bank, handset = play.bank(profile, passcode)
        return paid(play, bank, handset, factor=factor, order=order, passcode=passcode)

    return played


for _name, _profile, _factor, _play in (
    ("Android, passcode", "pixel-9", "possession", {}),
    ("Android, biometric", "pixel-9", "biometric", {}),
    ("StrongBox, biometric", "pixel-9-strongbox", "biometric", {}),
    ("iPhone, passcode", "iphone-17", "possession", {}),
    ("iPhone, biometric", "iphone-17", "biometric", {}),
    ("Android, passcode, TLS", "pixel-9", "possession", {"scheme": "https"}),
    ("Android, biometric, TLS", "pixel-9", "biometric", {"scheme": "https"}),
    ("Android, passcode, plain HTTP from elsewhere", "pixel-9", "possession", {"address": "192.0.2.7"}),
    ("Android, passcode, fixed activation code", "pixel-9", "possession", {"settings": {"fixed_otp": "123456"}}),
    ("emulator, passcode, lenient", "emulator", "possession", {"policy": "lenient"}),
    ("emulator, biometric, lenient", "emulator", "biometric", {"policy": "lenient"}),
    ("security key, passcode, lenient", "security-key", "possession", {"policy": "lenient"}),
):
    kind(_name, **_play)(honest(_profile, _factor))
kind("Android, batch")(honest("pixel-9", "possession", BATCH))
kind("Android, amount as a float")(honest("pixel-9", "possession", {**ORDER, "amount": 10.1}))
kind("Android, order of unknown shape")(honest("pixel-9", "possession", {"what": "a mandate", "to": "somebody"}))
kind("Android, passcode of one digit")(honest("pixel-9", "possession", passcode="1"))


@kind("Android, wrong passcode")
def wrong_passcode(play: Play) -> str:
    bank, handset = play.bank()
    return paid(play, bank, handset, passcode="000000", expected=403)


@kind("Android, another amount signed")
def altered_amount(play: Play) -> str:
    bank, handset = play.bank()

    def another(draft: Draft, _: Any) -> Draft:
        total = {"currency": "GBP", "value": "11.00"}
        return msgspec.structs.replace(draft, payment={**(draft.payment or {}), "total": total})

    return paid(play, bank, handset, edits=Edits(draft=another), expected=403)


@kind("Android, replayed")
def replayed(play: Play) -> str:
    bank, handset = play.bank()
    assert handset is not None
    transaction = bank.start()
    header = handset.header(transaction)
    assert bank.step_up(transaction, {"username": USER, "passcode": "000000"}, header).status_code == 403
    assert bank.step_up(transaction, None, header).status_code == 403
    return transaction


@kind("no phone took part")
def no_phone(play: Play) -> str:
    bank, _ = play.bank(None)
    return paid(play, bank, None, expected=403)


@kind("Android, declined")
def declined(play: Play) -> str:
    bank, handset = play.bank()
    assert handset is not None
    transaction = bank.start()
    handset.decline(transaction)
    assert bank.step_up(transaction).status_code == 403
    return transaction


def five_wrong(bank: Bank, handset: Handset) -> str:
    transaction = bank.start()
    for _ in range(5):
        header = handset.header(transaction)
        assert bank.step_up(transaction, {"username": USER, "passcode": "000000"}, header).status_code == 403
    return transaction


@kind("Android, refused in a block")
def in_a_block(play: Play) -> str:
    bank, handset = play.bank()
    assert handset is not None
    transaction = bank.start()
    other = bank.start()
    for _ in range(5):
        header = handset.header(transaction)
        assert bank.step_up(transaction, {"username": USER, "passcode": "000000"}, header).status_code == 403
    assert bank.step_up(other).status_code == 403
    return other


@kind("Android, after a block")
def after_a_block(play: Play) -> str:
    bank, handset = play.bank()
    assert handset is not None
    five_wrong(bank, handset)
    play.advance(1801)
    assert bank.login().status_code == 200
    return paid(play, bank, handset)


@kind("Android, phone replaced")
def replaced(play: Play) -> str:
    bank, _ = play.bank()
    handset = play.handset("pixel-9")
    return paid(play, bank, handset)


@kind("Android, by the phone that was replaced")
def by_the_old_phone(play: Play) -> str:
    bank, handset = play.bank()
    assert handset is not None
    transaction = bank.start()
    header = handset.header(transaction)
    play.handset("pixel-9")
    assert bank.step_up(transaction, None, header).status_code == 403
    return transaction


@kind("Android, enrolled after a refresh token")
def enrolled_by_refresh(play: Play) -> str:
    bank, _ = play.bank(None)
    play.advance(20 * 60)
    assert bank.keep(bank.call("/v1/oauth2/refresh", {"refreshToken": bank.refresh}, bearer=False)).status_code == 200
    token = bank.access

    class Resumed(InProcessClient):
        """The phone's calls; its login is answered with the session that the refresh token resumed."""

        def send(self, request: httpx2.Request, *arguments: Any, **named: Any) -> httpx2.Response:
            if request.url.path.endswith("/oauth2/login"):
                body = {"accessToken": token, "refreshToken": bank.refresh, "expiresIn": 300, "tokenType": "Bearer"}
                return httpx2.Response(200, json=body, request=request)
            return super().send(request, *arguments, **named)

    home = Path(play.stack.enter_context(tempfile.TemporaryDirectory()))
    phone = Phone(home / "phone", secret=b"s" * 32, http_factory=lambda url: Resumed(play.made["app"], base_url=url))
    play.stack.callback(phone.close)
    enrol(phone, Applicant(URL, "bank", USER, PASSCODE, "pixel-9", NUMBER, "demo-api-key"))
    assert bank.login().status_code == 200
    return paid(play, bank, Handset(phone))


# --- Weavr ---------------------------------------------------------------------------------------------------------------


def weavr_sms(play: Play) -> str:
    _, api = play.weavr()
    api.step_up()
    return play.newest()


kind("Weavr, code by SMS")(weavr_sms)
kind("Weavr, code by SMS, TLS", scheme="https")(weavr_sms)
kind("Weavr, fixed code", settings={"fixed_otp": "123456"})(weavr_sms)
kind("Weavr, code from a seed", settings={"seed": "a seed"})(weavr_sms)


@kind("Weavr, wrong code")
def weavr_wrong(play: Play) -> str:
    _, api = play.weavr()
    assert api.issue().status_code == 204
    assert api.verify(api.wrong()).status_code == 409
    return play.newest()


@kind("Weavr, right code after a wrong one")
def weavr_second(play: Play) -> str:
    _, api = play.weavr()
    assert api.issue().status_code == 204
    assert api.verify(api.wrong()).status_code == 409
    assert api.verify().status_code == 204
    return play.newest()


def confirm(api: Api, world: World, by: str) -> str:
    body = {"resourceType": "outgoing_wire_transfers", "resourceIds": [api.transfer()]}
    return str(api.post(f"/challenges/{by}", body).json()["scaChallengeId"])


def weavr_payment(play: Play) -> str:
    world, api = play.weavr()
    name = confirm(api, world, "otp/SMS")
    body = {"verificationCode": world.code(), "resourceType": "outgoing_wire_transfers"}
    assert api.post(f"/challenges/{name}/otp/SMS/verify", body).status_code == 204
    return name


kind("Weavr, payment by SMS")(weavr_payment)
kind("Weavr, payment by SMS, fixed code", settings={"fixed_otp": "123456"})(weavr_payment)


def with_phone(play: Play) -> tuple[World, Api, Phone]:
    world, api = play.weavr()
    phone = play.weavr_phone()
    assert api.login().status_code == 200
    return world, api, phone


@kind("Weavr, pushed biometric")
def weavr_push(play: Play) -> str:
    _, api, phone = with_phone(play)
    name = str(api.post("/stepup/challenges/push/BIOMETRIC").json()["id"])
    play.approve(phone, name, "biometric")
    return name


@kind("Weavr, payment by pushed biometric")
def weavr_push_payment(play: Play) -> str:
    world, api, phone = with_phone(play)
    name = confirm(api, world, "push/BIOMETRIC")
    play.approve(phone, name, "biometric")
    return name


@kind("Weavr, plain push")
def weavr_plain_push(play: Play) -> str:
    _, api, phone = with_phone(play)
    api.step_up()
    assert api.post("/authentication_factors/push/AUTHY").status_code == 204
    waiting = approving.pending(phone, URL)[0]["transactionId"]
    play.approve(phone, waiting, "possession")
    assert api.login().status_code == 200
    name = str(api.post("/stepup/challenges/push/AUTHY").json()["id"])
    play.approve(phone, name, "possession")
    return name


# --- LoginRadius ---------------------------------------------------------------------------------------------------------


def by_sms(play: Play) -> str:
    site = play.site()
    site.ok(site.get(f"{R}/2fa"))
    site.ok(site.put(f"{R}/2fa/otp", {"otp": site.code("sms")}))
    return play.newest()


kind("LoginRadius, code by SMS")(by_sms)
kind("LoginRadius, fixed code", settings={"fixed_otp": "123456"})(by_sms)


@kind("LoginRadius, wrong code")
def lr_wrong(play: Play) -> str:
    site = play.site()
    site.ok(site.get(f"{R}/2fa"))
    wrong = f"{(int(site.code('sms')) + 1) % 10**6:06d}"
    assert site.put(f"{R}/2fa/otp", {"otp": wrong}).status_code != 200
    return play.newest()


@kind("LoginRadius, authenticator app")
def lr_totp(play: Play) -> str:
    site = play.site()
    totp = pyotp.TOTP(site.ok(site.get(A))["ManualEntryCode"])
    now = datetime.fromisoformat(site.stub("GET", "/clock")["now"])
    site.ok(site.put(f"{A}/verification/authenticatorcode", {"authenticatorcode": totp.at(now)}))
    site.advance(60)
    site.ok(site.put(f"{R}/2fa/authenticatorcode", {"authenticatorcode": totp.at(int(now.timestamp()) + 60)}))
    return play.newest()


@kind("LoginRadius, code by e-mail")
def lr_email(play: Play) -> str:
    site = play.site()
    site.ok(site.get(f"{R}/2fa/otp/email", emailid=EMAIL))
    site.ok(site.put(f"{R}/2fa/otp/email/verify", {"emailid": EMAIL, "otp": site.code("email")}))
    return play.newest()


@kind("LoginRadius, backup code")
def lr_backup(play: Play) -> str:
    site = play.site()
    site.ok(site.put(f"{R}/2fa/backupcode", {"backupcode": site.ok(site.get(f"{A}/backupcode"))["BackUpCodes"][0]}))
    return play.newest()


@kind("LoginRadius, PIN")
def lr_pin(play: Play) -> str:
    site = play.site()
    site.ok(site.put(f"{R}/pin", {"pin": "1234"}))
    return play.newest()


@kind("LoginRadius, password")
def lr_password(play: Play) -> str:
    site = play.site()
    site.ok(site.put(f"{R}/password", {"password": PASSWORD}))
    return play.newest()


@kind("LoginRadius, push")
def lr_push(play: Play) -> str:
    site = play.site()
    phone = play.phone()
    app.register(phone, site.ok(site.get(A))["PushQRCode"], "pixel-9")
    site.mfa_login()
    app.answer(phone, app.pushes(phone, URL)[0], approved=True)
    transactions: list[dict[str, Any]] = play.stub("GET", "/transactions")
    return next(str(t["transactionId"]) for t in transactions if t["methods"] == ["PUSH"])
