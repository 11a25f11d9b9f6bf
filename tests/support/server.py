"""A server in this process as the tests of several folders use it, and what its operator sees and steers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from authenticator import approving
from authenticator.ceremonies import HONEST, Edits
from authenticator.enrolling import Applicant, enrol
from authenticator.phone import Phone
from device_keys.entropy import SeededEntropy, SystemEntropy
from server_stub.app import create_app
from server_stub.database import MEMORY, open_database
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust
from tests.in_process import InProcessClient

URL = "http://127.0.0.1:9"
NOON = "2026-03-02T12:00:00Z"


@contextmanager
def servers() -> Iterator[Callable[..., Server]]:
    """Makes servers with settings of the test's own and, unless another is named, a memory database; they are closed with the block.

    A `seed` steers all that they draw, as with `serve --seed`.
    """
    made: list[Server] = []

    def make(database: str = MEMORY, **settings: Any) -> Server:
        entropy = SeededEntropy(settings["seed"]) if "seed" in settings else SystemEntropy()
        server = Server(Store(open_database(database), entropy=entropy), load_trust(), settings=Settings(**settings))
        server.start()
        made.append(server)
        return server

    yield make
    for server in made:
        server.store.database.close()


def client_of(server: Server, url: str = URL) -> httpx2.Client:
    """A client that speaks to a server in this process."""
    return InProcessClient(create_app(server), base_url=url)


def beside(http: httpx2.Client) -> Callable[[str], httpx2.Client]:
    """Opens further clients of the server in this process that `http` speaks to: a phone has one of its own."""
    assert isinstance(http, InProcessClient)
    return lambda url: InProcessClient(http.app, base_url=url)


@dataclass
class Operator:
    """The routes under `/_stub`, as `server_stub.testing` has them for users, here as plain JSON; each call must succeed."""

    http: httpx2.Client = field(repr=False)

    def stub(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/_stub{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stand_still(self, instant: str = NOON) -> None:
        """The server's clock stands still at this instant."""
        self.stub("PUT", "/clock", {"now": instant, "frozen": True})

    def advance(self, seconds: float) -> None:
        self.stub("POST", "/clock/advance", {"seconds": seconds})

    def messages(self, channel: str = "sms") -> list[dict[str, Any]]:
        return list(self.stub("GET", f"/messages?channel={channel}"))

    def transactions(self, dialect: str = "") -> list[dict[str, Any]]:
        """Newest first; of one dialect, or of all."""
        return list(self.stub("GET", f"/transactions?dialect={dialect}" if dialect else "/transactions"))

    def verdict(self, transaction: str = "", attempt: int | str = "last") -> dict[str, Any]:
        """Of the newest transaction unless one is named, on its newest call of any kind unless another attempt is named."""
        name = transaction or self.transactions()[0]["transactionId"]
        return dict(self.stub("GET", f"/transactions/{name}/verdict?attempt={attempt}"))

    def failed(self, transaction: str = "") -> list[str]:
        """The checks that failed."""
        return [f["check"] for f in self.verdict(transaction)["findings"] if f["outcome"] == "fail"]


@dataclass
class Handset:
    """An enrolled phone."""

    phone: Phone
    url: str = URL

    def header(self, transaction: str, factor: str = "possession", edits: Edits = HONEST) -> str:
        """What the phone signs for this step-up, as the header that carries it."""
        return self.sign(transaction, factor, edits).assertion.to_header()

    def sign(self, transaction: str, factor: str = "possession", edits: Edits = HONEST) -> approving.Approval:
        enrolment, step_up = approving.fetch(self.phone, self.url, transaction)
        return approving.sign(self.phone, enrolment, step_up, factor, edits=edits)

    def deliver(self, transaction: str, factor: str = "possession", edits: Edits = HONEST) -> None:
        approving.deliver(self.phone, self.sign(transaction, factor, edits))

    def approve(self, transaction: str, factor: str = "biometric", edits: Edits = HONEST) -> None:
        """With a finger, where no other factor is named."""
        self.deliver(transaction, factor, edits)

    def pending(self) -> list[dict[str, Any]]:
        """The step-ups that the server shows this phone."""
        return approving.pending(self.phone, self.url)

    def decline(self, transaction: str) -> None:
        approving.decline(self.phone, self.url, transaction)


@contextmanager
def phones(folder: Path) -> Iterator[Callable[..., Phone]]:
    """Makes phones with homes of their own in this folder; they are closed with the block."""
    made: list[Phone] = []

    def make(http: httpx2.Client | None = None) -> Phone:
        """A phone that speaks to the server in this process that `http` speaks to, or over sockets."""
        options: dict[str, Any] = {} if http is None else {"http_factory": beside(http)}
        made.append(Phone(folder / f"phone{len(made)}", secret=b"s" * 32, **options))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


def enrolled(phone: Phone, applicant: Applicant, edits: Edits = HONEST) -> Handset:
    """The phone, enrolled for this applicant."""
    enrol(phone, applicant, edits=edits)
    return Handset(phone, applicant.server)
