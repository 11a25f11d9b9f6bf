"""`--smtp`: the mail really arrives at a mail server that we did not write (aiosmtpd), sooner or later, once or again."""

from __future__ import annotations

import asyncio
import email
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import httpx2
import pytest
from aiosmtpd.controller import Controller

from server_stub.mail import run, send_due
from server_stub.server import Server
from tests.support.server import Operator, client_of, servers
from tests.support.waiting import reserved_port

KEY = {"apikey": "11111111-1111-4111-8111-111111111111"}
LEASED_UNTIL = "2026-03-02T12:01:00.000000Z"
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Mailbox:
    """An SMTP server's handler: keeps what it takes; `answers` are given instead of taking, one a mail."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], Message]] = []
        self.answers: list[str] = []
        self.taken = threading.Event()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
        self.taken.set()
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Controller]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=reserved_port())
    controller.start()
    yield box, controller
    if controller.loop.is_running():
        controller.stop(no_assert=True)


@pytest.fixture
def make_site() -> Iterator[Callable[[int], tuple[Server, httpx2.Client]]]:
    with servers() as new:

        def make(port: int) -> tuple[Server, httpx2.Client]:
            server = new(dialects=("loginradius",), smtp=f"127.0.0.1:{port}")
            http = client_of(server)
            Operator(http).stand_still()
            return server, http

        yield make


def send_otp(http: httpx2.Client) -> str:
    """Log in and ask for an e-mail OTP; its code."""
    login = http.post(
        "/loginradius/identity/v2/auth/login", params=KEY, json={"email": "alice@example.com", "password": "Passw0rd!"}
    )
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    answer = http.get("/loginradius/identity/v2/auth/account/reauth/otp/email", params=KEY, headers=bearer)
    assert answer.json() == {"IsPosted": True}
    code: str = http.get("/_stub/messages", params={"channel": "email"}).json()[-1]["code"]
    return code


def test_the_code_arrives_by_smtp_as_it_does_in_the_inbox(mailbox: Any, make_site: Any) -> None:
    box, controller = mailbox
    server, http = make_site(controller.port)
    code = send_otp(http)
    assert asyncio.run(send_due(server)) == 1
    ((sender, to, mail),) = box.mails
    assert (sender, to) == ("no-reply@stepup-simulator.test", ["alice@example.com"])
    assert code in mail.get_payload()
    assert mail["To"] == "alice@example.com"
    assert mail["Date"] == "Mon, 02 Mar 2026 12:00:00 +0000"
    assert asyncio.run(send_due(server)) == 0
    assert len(box.mails) == 1


def test_a_server_that_is_away_for_a_while_misses_nothing(mailbox: Any, make_site: Any) -> None:
    box, controller = mailbox
    port = controller.port
    controller.stop()
    server, http = make_site(port)
    codes = [send_otp(http), send_otp(http)]
    for minute in range(3):
        assert asyncio.run(send_due(server, clock=lambda minute=minute: START + timedelta(minutes=minute))) == 0
    again = Controller(box, hostname="127.0.0.1", port=port)
    again.start()
    try:
        assert asyncio.run(send_due(server, clock=lambda: START + timedelta(minutes=3))) == 2
    finally:
        again.stop()
    assert [next(code for code in codes if code in mail.get_payload()) for _, _, mail in box.mails] == codes


def test_back_off_grows_and_a_frozen_server_clock_does_not_hold_it_up(mailbox: Any, make_site: Any) -> None:
    box, controller = mailbox
    server, http = make_site(controller.port)
    send_otp(http)
    box.answers = ["451 later", "451 later"]
    assert asyncio.run(send_due(server, clock=lambda: START, back_off=(1, 4))) == 0
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(seconds=0.9), back_off=(1, 4))) == 0
    assert len(box.answers) == 1  # not even tried
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(seconds=1), back_off=(1, 4))) == 0
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(seconds=4.9), back_off=(1, 4))) == 0
    assert box.answers == []
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(seconds=5), back_off=(1, 4))) == 1


def test_what_is_refused_for_good_is_not_sent_again(mailbox: Any, make_site: Any) -> None:
    box, controller = mailbox
    server, http = make_site(controller.port)
    send_otp(http)
    box.answers = ["550 no such mailbox"]
    assert asyncio.run(send_due(server, clock=lambda: START)) == 0
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(hours=1))) == 0
    assert box.mails == []
    with server.store.reading() as unit:
        (kept,) = unit.records("smtp", "refused")
    assert "550" in kept["error"]


def test_what_a_killed_process_had_claimed_is_sent_by_another_under_the_same_id(mailbox: Any, make_site: Any) -> None:
    box, controller = mailbox
    server, http = make_site(controller.port)
    send_otp(http)
    with server.store.begin() as unit:
        (mail,) = unit.records("smtp", "waiting")
        unit.put_record(
            "smtp",
            str(mail["seq"]),
            "waiting",
            {**mail, "sentAt": mail["nextAt"], "attempts": 1, "nextAt": LEASED_UNTIL},
        )
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(seconds=59))) == 0
    assert asyncio.run(send_due(server, clock=lambda: START + timedelta(seconds=60))) == 1
    assert box.mails[0][2]["Message-ID"] == f"<{mail['seq']}.1772452800000000@stepup-simulator.test>"


def test_the_worker_runs_with_the_server_and_ends_with_it(mailbox: Any, make_site: Any) -> None:
    box, controller = mailbox
    server, http = make_site(controller.port)
    send_otp(http)

    async def until_taken() -> None:
        worker = asyncio.create_task(run(server))
        assert await asyncio.to_thread(box.taken.wait, 10)
        server.stopping = True
        async with asyncio.timeout(5):
            await worker

    asyncio.run(until_taken())
    assert len(box.mails) == 1
