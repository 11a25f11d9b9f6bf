"""A whole world in one process: a server, its operator, enrolled phones and clients of three APIs, put back to its first state at once.

Enrolling is the dear part of a step-up's story and the same for each; so a world is enrolled once, its database is kept as bytes,
and `restore` brings them back. The phones keep their counters, which only grow, as a real phone's do.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from authenticator import approving
from authenticator.apps import loginradius as pushed_logins
from authenticator.ceremonies import HONEST, Edits
from authenticator.phone import Phone
from authenticator.virtual import VirtualAuthenticator
from device_keys.encoding import b64url_decode
from device_keys.messages import parse_attestation_object
from server_stub.app import create_app
from server_stub.database import MEMORY, open_database
from server_stub.http import TLS
from server_stub.policy import POLICIES
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import Trust, load_trust

ENROLLED: Final = "2026-03-01T09:00:00Z"
NOON: Final = "2026-03-02T12:00:00Z"
URL: Final = "http://127.0.0.1:9"
USER: Final = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
STRANGER: Final = "0b9b2a5e-5d0b-4c8e-9d5c-0c3f7a1d2e4f"
PASSCODE: Final = "111234"
EMAIL: Final = "alice@example.com"
PASSWORD: Final = "Passw0rd!"
SITE: Final = "11111111-1111-4111-8111-111111111111"
NUMBER: Final = "+447700900123"


class _Wire(httpx2.BaseTransport):
    """Calls of whatever application the world runs now, in the world's own event loop, over loopback or (so marked) TLS."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._world.loop.run_until_complete(self._answer(request))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        answer = await httpx2.ASGITransport(self._world.marked).handle_async_request(request)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


class World:
    """A server with one person's phone of one profile, enrolled at the bank, at Weavr and for pushed logins.

    `tls`: whether calls arrive as if over TLS. `database`: a URL, or memory. A story changes `client`, `weavr` and `site`, which are
    what the person's clients hold.
    """

    def __init__(self, profile: str, *, tls: bool = False, database: str = MEMORY) -> None:
        self.profile, self.tls, self.database = profile, tls, database
        self.loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self._phones = 0
        self.http = self.open_http(URL)
        store = Store(open_database(database))
        store.clear()
        self._run(Server(store, load_trust()))
        self.server.start()
        self._enrol_all()
        self._kept = store.database._connection.serialize() if database == MEMORY else None  # type: ignore[attr-defined]

    def open_http(self, url: str) -> httpx2.Client:
        """A client, as a phone or a program opens it."""
        return httpx2.Client(transport=_Wire(self), base_url=url)

    async def marked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, with the calls marked as this world's are."""
        agreed = {TLS: {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"}} if self.tls else {}
        await self.app({**scope, "scheme": "https" if self.tls else "http", **agreed}, receive, send)

    def _run(self, server: Server) -> None:
        self.server = server
        self.app: ASGIApp = create_app(server)

    def _enrol_all(self) -> None:
        self.stub("PUT", "clock", {"now": ENROLLED, "frozen": True})
        self.stub(
            "PUT", "users", {"id": STRANGER, "username": STRANGER, "passcode": "222333", "mobile": "+447700900999"}
        )
        self.phone = self.new_phone(self.profile)
        self.phone.enrol("bank")
        self.phone.enrol("weavr")
        site = Site(self)
        site.login()
        code = site.get("/identity/v2/auth/account/2fa").json()["PushQRCode"].replace("https:", "http:", 1)
        pushed_logins.register(self.phone.phone, code, self.profile)
        self.first_phone = self.phone

    def new_phone(self, profile: str) -> VirtualAuthenticator:
        """A phone out of its box."""
        self._phones += 1
        home = Path(self._folder.name) / str(self._phones)
        return VirtualAuthenticator(
            home, URL, http_factory=self.open_http, profile=profile, secret=secrets.token_bytes(32)
        )

    def restore(self) -> World:
        """As just enrolled, at noon a day later, run by the options of the beginning."""
        store = Store(
            self.server.store.database
        )  # a new one, as in a new process: what the old one knows of the database is gone
        if self._kept is not None:
            store.database._connection.deserialize(self._kept)  # type: ignore[attr-defined]
            self._run(Server(store, load_trust()))
            self.phone = self.first_phone
            self.phone.unlock()
        else:
            self.phone.close()
            store.clear()
            self._run(Server(store, load_trust()))
            self.server.start()
            self._enrol_all()
        self.stub("PUT", "clock", {"now": NOON, "frozen": True})
        self.bank, self.weavr, self.site = Bank(self), Weavr(self), Site(self)
        return self

    def restart(self, policy: str, trust: str, **settings: Any) -> None:
        """The server ends and another run begins on the same database, with other options."""
        self._run(Server(Store(self.server.store.database), self.trust(trust), POLICIES[policy], Settings(**settings)))
        self.server.start()

    def trust(self, name: str) -> Trust:
        """`shipped`, `another-anchor` (one more root), or `revoking` (a list that holds this very phone's certificates)."""
        if name == "shipped":
            return load_trust()
        if name == "another-anchor":
            return load_trust([_another_root()])
        return load_trust(revocation_file=_revoking(self._certificates()))

    def _certificates(self) -> tuple[bytes, ...]:
        (credential, *_) = self.first_phone.phone.enrolment(URL, "bank").credentials
        statement = parse_attestation_object(b64url_decode(credential.attestation)).statement
        return tuple(statement.get("x5c", ()))[1:]

    def stub(self, method: str, path: str, body: Any = None) -> Any:
        """An operator's call, which must succeed."""
        answer = self.http.request(method, f"/_stub/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def advance(self, seconds: float) -> None:
        self.stub("POST", "clock/advance", {"seconds": seconds})

    def code(self, channel: str = "sms") -> str:
        """The newest code that was sent."""
        return str([m["code"] for m in self.stub("GET", f"messages?channel={channel}") if "code" in m][-1])

    def sign(
        self, transaction: str, factor: str, edits: Edits = HONEST, phone: Phone | None = None
    ) -> approving.Approval:
        """What the phone signs for a step-up, its user having looked at it."""
        phone = phone or self.phone.phone
        enrolment, step_up = approving.fetch(phone, URL, transaction)
        return approving.sign(phone, enrolment, step_up, factor, edits=edits)

    def close(self) -> None:
        """Phones hang up; the database and the loop are closed."""
        self.first_phone.close()
        self.server.store.database.close()
        self.loop.close()
        self._folder.cleanup()


class Client:
    """What the clients of the three APIs have in common."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.token = ""


class Bank(Client):
    """A client of the bank, by default the demo user's."""

    def __init__(self, world: World, user: str = USER, passcode: str = PASSCODE) -> None:
        super().__init__(world)
        self.user, self.passcode, self.refresh = user, passcode, ""

    def call(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        sent = {"X-APIKEY": "demo-api-key", "Authorization": f"Bearer {self.token}"}
        return self.world.http.post(
            f"/bank/v1{path}", json=body, headers=sent | {k.replace("_", "-"): v for k, v in headers.items()}
        )

    def keep(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.status_code == 200:
            self.token, self.refresh = answer.json()["accessToken"], answer.json()["refreshToken"]
        return answer

    def login(self) -> httpx2.Response:
        return self.keep(self.call("/oauth2/login", {"username": self.user, "passcode": self.passcode}))

    def ask(self, order: Any) -> str | None:
        """The identifier of the refused payment; None where the bank refuses the order or the caller altogether."""
        answer = self.call("/payments/domestic", order)
        found = answer.json().get("transactionId") if answer.status_code == 403 else None
        return str(found) if found else None

    def step_up(
        self, transaction: str, method: str = "PASSCODE", header: str | None = None, passcode: str | None = None
    ) -> httpx2.Response:
        body = {"username": self.user, "passcode": passcode or self.passcode}
        if method == "BIOMETRIC":
            body = {"refreshToken": self.refresh, "authenticationMethod": "BIOMETRIC"}
        extra = {} if header is None else {"X_Device_Assertion": header}
        return self.keep(self.call("/oauth2/stepup", body, X_TransactionId=transaction, **extra))

    def replay(self, order: Any, transaction: str) -> httpx2.Response:
        """The payment again, with the identifier."""
        return self.call("/payments/domestic", order, X_TransactionId=transaction)


class Weavr(Client):
    """A client of Weavr's Multi API."""

    def post(self, path: str, body: Any = None) -> httpx2.Response:
        headers = {"api-key": "demo-api-key"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        return self.world.http.post(f"/weavr/multi{path}", json=body, headers=headers)

    def login(self) -> httpx2.Response:
        self.token = ""
        answer = self.post("/login_with_password", {"email": EMAIL, "password": {"value": PASSWORD}})
        self.token = answer.json().get("token", "") if answer.status_code == 200 else ""
        return answer

    def transfer(self, minor: int, name: str) -> str | None:
        body = {
            "sourceInstrument": {"type": "managed_accounts", "id": "130000000000000001"},
            "transferAmount": {"currency": "GBP", "amount": minor},
            "destinationBeneficiary": {
                "name": name,
                "bankAccountDetails": {"sortCode": "112233", "accountNumber": "12345678"},
            },
        }
        answer = self.post("/outgoing_wire_transfers", body)
        return str(answer.json()["id"]) if answer.status_code == 200 else None


class Site(Client):
    """A site that uses LoginRadius."""

    mfa = ""

    def call(self, method: str, path: str, body: Any = None, **query: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        path = f"/loginradius{path}"
        return self.world.http.request(method, path, params={"apikey": SITE} | query, json=body, headers=headers)

    def get(self, path: str, **query: str) -> httpx2.Response:
        return self.call("GET", path, **query)

    def put(self, path: str, body: Any, **query: str) -> httpx2.Response:
        return self.call("PUT", path, body, **query)

    def login(self) -> httpx2.Response:
        self.token = ""
        answer = self.call("POST", "/identity/v2/auth/login", {"email": EMAIL, "password": PASSWORD})
        self.token = answer.json().get("access_token", "") if answer.status_code == 200 else ""
        return answer

    def begin_login(self) -> bool:
        """The first step of a login in two; the phone gets a push."""
        self.token = ""
        answer = self.call("POST", "/identity/v2/auth/login/2fa", {"email": EMAIL, "password": PASSWORD})
        return answer.status_code == 200


@cache
def _another_root() -> Path:
    """A folder with a root certificate of nobody's."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=Another root")
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + timedelta(days=36500))
    root = builder.add_extension(x509.BasicConstraints(True, None), critical=True).sign(key, hashes.SHA256())
    folder = Path(tempfile.mkdtemp())
    (folder / "another.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    return folder


@cache
def _revoking(certificates: tuple[bytes, ...]) -> Path:
    """A status list, of the form that Google publishes, that revokes these certificates."""
    import json

    from cryptography import x509

    serials = [f"{x509.load_der_x509_certificate(der).serial_number:x}" for der in certificates]
    path = Path(tempfile.mkdtemp()) / "status.json"
    path.write_text(json.dumps({"entries": {serial: {"status": "REVOKED"} for serial in serials}}))
    return path


@cache
def world_of(profile: str, tls: bool, database: str = MEMORY) -> World:
    """The world of this kind, made once in a process; `restore` it before use."""
    return World(profile, tls=tls, database=database)
