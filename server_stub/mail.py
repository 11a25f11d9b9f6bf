"""Real mail for `--smtp`: every e-mail of the simulated network goes out by SMTP too, again with back-off until the server takes it.

Real time, not the server's clock: it is a real network, and a frozen clock must not hold up a retry. A claim is a lease in the database:
several processes share the queue, and what a killed one had claimed is sent by another. A mail may so arrive twice, with one Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

from device_keys.clock import Clock, rfc3339, system_clock
from server_stub.database.protocol import DatabaseUnavailable
from server_stub.delivery import SENDERS
from server_stub.server import Server

LOG: Final = logging.getLogger("stepup.mail")
POLL_SECONDS: Final = 0.25
TIMEOUT_SECONDS: Final = 10.0
LEASE: Final = timedelta(seconds=60)
# Seconds after the first, second, … failure; the last one from then on.
BACK_OFF: Final = (1, 2, 4, 8, 15, 30, 60)
DOMAIN: Final = SENDERS["email"].rpartition("@")[2]
SUBJECT: Final = "Your code"
WAITING: Final = "waiting"
REFUSED: Final = "refused"
KIND: Final = "smtp"

Send = Callable[[str, EmailMessage], None]


class MailRefused(Exception):
    """The mail server will never take this mail."""


async def run(server: Server, *, clock: Clock = system_clock, back_off: Sequence[float] = BACK_OFF) -> None:
    """Send until cancelled."""
    while not server.stopping:
        try:
            await send_due(server, clock=clock, back_off=back_off)
        except DatabaseUnavailable as problem:
            LOG.warning("mail waits: %s", problem)
        await asyncio.sleep(POLL_SECONDS)


async def send_due(server: Server, *, clock: Clock = system_clock, back_off: Sequence[float] = BACK_OFF) -> int:
    """One round: send what is due, oldest first; how many were taken."""
    taken = 0
    for mail in _claim(server, clock()):
        try:
            await _beside(send_mail, mail["via"], message_of(mail))
        except MailRefused as problem:
            LOG.warning("mail %s refused for good: %s", mail["seq"], problem)
            _keep(server, REFUSED, {**mail, "error": str(problem)})
        except OSError as problem:
            wait = back_off[min(mail["attempts"], len(back_off)) - 1]
            LOG.warning("mail %s not taken, again in %s s: %s", mail["seq"], wait, problem)
            again = rfc3339(clock() + timedelta(seconds=wait))
            _keep(server, WAITING, {**mail, "nextAt": again, "error": str(problem)})
        else:
            taken += 1
            with server.store.begin() as unit:
                unit.delete_record(KIND, str(mail["seq"]))
    return taken


def _claim(server: Server, now: datetime) -> list[dict[str, Any]]:
    """What is due, leased to this process. A first attempt is due at once, whatever the server's clock says."""
    with server.store.reading() as unit:
        if not unit.records(KIND, WAITING):
            return []
    with server.store.begin() as unit:
        via = unit.setting("smtp")
        waiting = sorted(unit.records(KIND, WAITING), key=lambda mail: int(mail["seq"]))
        due = [
            mail for mail in waiting if via and (mail["attempts"] == 0 or now >= datetime.fromisoformat(mail["nextAt"]))
        ]
        for mail in due:
            mail.setdefault("sentAt", mail["nextAt"])
            mail |= {"via": via, "attempts": mail["attempts"] + 1, "nextAt": rfc3339(now + LEASE)}
            unit.put_record(KIND, str(mail["seq"]), WAITING, mail)
        return due


def _keep(server: Server, state: str, mail: dict[str, Any]) -> None:
    with server.store.begin() as unit:
        unit.put_record(KIND, str(mail["seq"]), state, mail)


def message_of(mail: dict[str, Any]) -> EmailMessage:
    """The mail as RFC 5322 has it, dated by the server's clock. Raises `MailRefused` for an address that no header can hold."""
    message = EmailMessage()
    try:
        message["From"] = SENDERS["email"]
        message["To"] = mail["to"]
    except ValueError as problem:
        raise MailRefused("to: expected a mail address") from problem
    sent_at = datetime.fromisoformat(mail["sentAt"])
    message["Subject"] = SUBJECT
    message["Date"] = format_datetime(sent_at)
    message["Message-ID"] = f"<{mail['seq']}.{int(sent_at.timestamp() * 1_000_000)}@{DOMAIN}>"
    message.set_content(mail["text"])
    return message


def send_mail(via: str, message: EmailMessage) -> None:
    """Hand a mail to the server HOST:PORT. Raises `OSError` for what may pass, `MailRefused` for what will not."""
    import smtplib

    host, _, port = via.rpartition(":")
    try:
        with smtplib.SMTP(host.strip("[]"), int(port), local_hostname=DOMAIN, timeout=TIMEOUT_SECONDS) as smtp:
            smtp.send_message(message)
    except smtplib.SMTPRecipientsRefused as problem:
        if all(code >= 500 for code, _ in problem.recipients.values()):
            raise MailRefused(str(problem)) from problem
        raise
    except smtplib.SMTPResponseException as problem:
        if problem.smtp_code >= 500:
            raise MailRefused(str(problem)) from problem
        raise


async def _beside(function: Send, via: str, message: EmailMessage) -> None:
    """Run in a daemon thread: a mail server that does not answer must hold up neither requests nor the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(problem: BaseException | None) -> None:
        if not done.done():
            done.set_result(None) if problem is None else done.set_exception(problem)

    def work() -> None:
        problem: BaseException | None = None
        try:
            function(via, message)
        except Exception as caught:
            problem = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, problem)

    threading.Thread(target=work, name="mail", daemon=True).start()
    await done
