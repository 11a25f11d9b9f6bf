"""A payment from login to evidence, by a phone and a server in this process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from authenticator import approving
from authenticator.enrolling import Applicant, enrol
from authenticator.phone import Phone
from server_stub.testing import InProcessServer, new_server

USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}


class Payer:
    """A client of the bank, and an enrolled phone."""

    def __init__(self, server: Any, folder: Path, profile: str = "pixel-9") -> None:
        self.server = server
        self.phone = Phone(folder, secret=b"s" * 32, http_factory=server.open_http)
        enrol(self.phone, Applicant(server.url, "bank", USER, "111234", profile, "+447700900123", "demo-api-key"))
        self.access = self.refresh = ""
        self.keep(self.post("/v1/oauth2/login", {"username": USER, "passcode": "111234"}))

    def post(self, path: str, body: Any, **headers: str) -> Any:
        sent = {"X-APIKEY": "demo-api-key", "Authorization": f"Bearer {self.access}"} | headers
        return self.server.http.post(f"/bank{path}", json=body, headers=sent)

    def keep(self, answer: Any) -> None:
        assert answer.status_code == 200, answer.text
        self.access, self.refresh = answer.json()["accessToken"], answer.json()["refreshToken"]

    def step_up(self) -> str:
        """An accepted step-up by biometric; its transaction."""
        transaction: str = self.post("/v1/payments/domestic", ORDER).json()["transactionId"]
        enrolment, pending = approving.fetch(self.phone, self.server.url, transaction)
        header = approving.sign(self.phone, enrolment, pending, "biometric").assertion.to_header()
        body = {"refreshToken": self.refresh, "authenticationMethod": "BIOMETRIC"}
        named = {"X-TransactionId": transaction, "X-Device-Assertion": header}
        self.keep(self.post("/v1/oauth2/stepup", body, **named))
        return transaction


def evidence_of_a_payment() -> bytes:
    """The evidence bundle of an honest step-up."""
    server = InProcessServer(new_server(seed="fuzz")).start()
    with tempfile.TemporaryDirectory() as folder:
        payer = Payer(server, Path(folder))
        transaction = payer.step_up()
        bundle: bytes = server.http.get(f"/_stub/transactions/{transaction}/evidence").content
        payer.phone.close()
    server.stop()
    server.server.store.database.close()
    return bundle
