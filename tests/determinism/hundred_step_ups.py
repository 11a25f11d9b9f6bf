"""A hundred step-ups under one seed and a clock that stands; prints the SHA-256 over every answer: status, headers, body.

A program of its own, so that several processes and versions of Python can be compared: `python hundred_step_ups.py SEED [COUNT]`.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import httpx2

from authenticator.virtual import VirtualAuthenticator
from server_stub.testing import InProcessServer, new_server

NOW = "2026-01-31T12:00:00Z"
USER, PASSCODE = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "111234"
PROFILES = ("pixel-9", "iphone-17", "pixel-5", "pixel-9-strongbox")
METHODS = ("PASSCODE", "BIOMETRIC")


class Hashing(httpx2.BaseTransport):
    """Every answer that passes goes into the digest, and its parts into the log."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self.inner = inner
        self.digest = hashlib.sha256()
        self.count = self.paid = 0
        self.log: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.inner.handle_request(request)
        body = answer.read()
        head = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
        entry = b"%d\n%s\n\n%s\n" % (answer.status_code, head, body)
        self.digest.update(entry)
        self.count += 1
        self.paid += answer.status_code == 201
        self.log.append(f"{request.method} {request.url.path} {hashlib.sha256(entry).hexdigest()}")
        return answer


def compare_secrets_once() -> None:
    """One hash and one passcode are compared by Argon2id once in this process: no answer depends on doing it two hundred times."""
    from nacl.pwhash import argon2id

    argon2id.verify = cache(argon2id.verify)


def run(seed: str, count: int) -> Hashing:
    """`count` step-ups: payments with passcode and biometric on several phones, some refused, each with its verdict and evidence read."""
    server = InProcessServer(new_server(seed=seed)).start()
    hashing = Hashing(server.http._transport)
    try:
        server.steer({"now": NOW, "frozen": True})
        with tempfile.TemporaryDirectory() as folder:
            _step_ups(server, hashing, Path(folder), seed, count)
    finally:
        server.stop()
    return hashing


def _step_ups(server: InProcessServer, hashing: Hashing, folder: Path, seed: str, count: int) -> None:
    def open_http(url: str) -> httpx2.Client:
        return httpx2.Client(transport=hashing, base_url=url)

    http = open_http(server.url)
    phone: VirtualAuthenticator | None = None
    for number in range(count):
        profile, method = PROFILES[number * len(PROFILES) // count], METHODS[number % len(METHODS)]
        if phone is None or phone.profile != profile:
            phone = VirtualAuthenticator(
                folder / f"{number}", server.url, http_factory=open_http, profile=profile, seed=f"{seed}/{number}"
            )
            phone.enrol()
        phone.fault = "altered-amount" if number % 10 == 9 else None
        _one(http, phone, method, number)
        http.post("/_stub/clock/advance", json={"seconds": 7.25})
    http.get("/_stub/log")


def _one(http: httpx2.Client, phone: VirtualAuthenticator, method: str, number: int) -> None:
    headers = {"X-APIKEY": "demo-api-key"}

    def post(path: str, body: Any, **more: str) -> Any:
        return http.post(f"/bank/v1{path}", json=body, headers=headers | more).json()

    tokens = post("/oauth2/login", {"username": USER, "passcode": PASSCODE})
    headers["Authorization"] = f"Bearer {tokens['accessToken']}"
    order = {
        "amount": f"{number}.50",
        "currency": "GBP",
        "payee": {"name": f"Payee {number}", "accountNumber": "12345678"},
    }
    transaction_id = post("/payments/domestic", order)["transactionId"]
    call = phone.sign_only(transaction_id, method=method, passcode=PASSCODE, refresh_token=tokens["refreshToken"])
    tokens = post("/oauth2/stepup", call.body, **call.headers)
    if "accessToken" in tokens:
        headers["Authorization"] = f"Bearer {tokens['accessToken']}"
        post("/payments/domestic", order, **{"X-TransactionId": transaction_id})
    if number % 5 == 4:
        http.get(f"/_stub/transactions/{transaction_id}/verdict")
        http.get(f"/_stub/transactions/{transaction_id}/evidence")


if __name__ == "__main__":
    compare_secrets_once()
    done = run(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_text("\n".join(done.log))
    sys.stdout.write(f"{done.digest.hexdigest()} {done.count} answers {done.paid} payments\n")
