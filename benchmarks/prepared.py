"""A database with users, enrolled phones and open payments in it, and the step-up calls that a client would send for them.

Enrolment goes through the routes; the payments are opened by the server's own core, and signed by the phones' own hardware. The clock
stands still, so that what was prepared stays fresh however slow the machine is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from authenticator.approving import sign_draft
from authenticator.ceremonies import StepUp, draft_step_up
from authenticator.enrolling import Applicant, enrol
from authenticator.phone import Phone, find_profile
from authenticator.sensor import lockout_report
from authenticator.state import BIOMETRIC, Credential, Enrolment
from benchmarks.servers import post
from device_keys.defaults import DEFAULT_RP_ID
from device_keys.encoding import b64url_decode
from device_keys.messages import Kind
from device_keys.secure_hardware import AuthenticatorType, SecureHardware
from server_stub.accounts import open_session
from server_stub.database import open_database
from server_stub.policy import STRICT
from server_stub.relying_party import issue_nonce, open_step_up
from server_stub.server import Server, Settings
from server_stub.store import Store, UnitOfWork
from server_stub.testing import InProcessServer
from server_stub.trust import load_trust

NOON: Final = "2026-03-02T12:00:00Z"
PASSCODE: Final = "111234"
STEP_UP: Final = "/v1/oauth2/stepup"
ORDER: Final = {
    "amount": "10.00", "currency": "GBP", "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}  # fmt: skip


@dataclass(frozen=True)
class Handset:
    """An enrolled phone, its keys in memory."""

    user: str
    enrolment: Enrolment
    credential: Credential
    hardware: SecureHardware
    lockout: dict[str, Any]


class Prepared:
    """One database, prepared. `url` is what `serve --database` takes."""

    def __init__(self, url: str, phones: int) -> None:
        self.url = url
        self._server = Server(
            Store(open_database(url)), load_trust(), STRICT, Settings(dialects=("bank",), at_root=True)
        )
        self._server.start()
        live = InProcessServer(self._server).start()
        try:
            live.steer({"now": NOON, "frozen": True})
            with tempfile.TemporaryDirectory() as folder:
                self.handsets = [_enrolled(live, Path(folder), number) for number in range(phones)]
        finally:
            live.stop()

    def fill(self, work: Callable[[Any], None]) -> None:
        """Let `work` put further rows into the open database."""
        work(self._server.store.database)

    def requests(self, count: int) -> list[bytes]:
        """Step-up calls with a biometric, one for each of `count` new payments; number i is of phone i modulo their number."""
        made = []
        with self._server.store.begin() as unit:
            for number in range(count):
                made.append(self._request(unit, self.handsets[number % len(self.handsets)]))
        return made

    def _request(self, unit: UnitOfWork, handset: Handset) -> bytes:
        user = unit.user("bank", handset.user)
        assert user is not None
        session = open_session(
            unit, user, channel="api", transport="http-loopback", login={"method": "passcode", "at": unit.at}
        )
        access = unit.new_token("access", session.id)
        refresh = unit.new_token("refresh", session.id, timedelta(minutes=30))
        transaction = open_step_up(
            unit, session, kind=Kind.PAYMENT, payload=ORDER, methods=["PASSCODE", "BIOMETRIC"], life=timedelta(minutes=5), trigger="b",
            notify=False,
        )  # fmt: skip
        nonce, challenge = issue_nonce(unit, transaction)
        step_up = StepUp(
            transaction.id,
            "bank",
            Kind.PAYMENT,
            b64url_decode(nonce.value),
            ORDER,
            challenge,
            DEFAULT_RP_ID,
            (),
            "",
            (),
            None,
        )
        draft = draft_step_up(
            step_up, handset.credential, origin=handset.enrolment.origin, now=unit.now, lockout=handset.lockout,
            level=find_profile(handset.enrolment.profile).security_level,
        )  # fmt: skip
        hardware = handset.hardware
        operation = hardware.begin(draft.key_id)
        token = hardware.mint_token(challenge=operation, authenticator_type=AuthenticatorType.BIOMETRIC, timestamp_ms=1)
        assertion = sign_draft(hardware, draft, operation=operation, token=token)
        body = json.dumps({"refreshToken": refresh, "authenticationMethod": "BIOMETRIC"}).encode()
        headers = {
            "X-APIKEY": "demo-api-key", "Authorization": f"Bearer {access}", "X-TransactionId": transaction.id,
            "X-Device-Assertion": assertion.to_header(),
        }  # fmt: skip
        return post(STEP_UP, body, headers)

    def close(self) -> None:
        self._server.store.database.close()


def _enrolled(live: InProcessServer, folder: Path, number: int) -> Handset:
    user, mobile = f"00000000-0000-4000-8000-{number:012d}", f"+4477009{number:05d}"
    live.http.put(
        "/_stub/users", json={"id": user, "username": user, "passcode": PASSCODE, "mobile": mobile}
    ).raise_for_status()
    phone = Phone(folder / str(number), secret=b"b" * 32, http_factory=live.open_http)
    try:
        enrol(phone, Applicant(live.url, "bank", user, PASSCODE, "pixel-9", mobile, "demo-api-key"))
        (enrolment,) = phone.enrolments(live.url)
        credential = enrolment.credential(BIOMETRIC)
        assert credential is not None
        return Handset(user, enrolment, credential, phone.hardware, lockout_report(phone.state))
    finally:
        phone.close()
