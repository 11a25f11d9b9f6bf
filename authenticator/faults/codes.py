"""Faults of one-time codes. They happen at a customer's app for LoginRadius (the phone only receives the codes), which stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from authenticator.apps.messages import DEMO_NUMBER, SMS, inbox
from authenticator.client import Answer, Call
from authenticator.errors import Unreadable
from authenticator.faults.fault import ANY_PHONE, CodeScript, Fault, Flow

if TYPE_CHECKING:
    from authenticator.phone import Phone

API_KEY: Final = "11111111-1111-4111-8111-111111111111"
EMAIL: Final = "alice@example.com"
PASSWORD: Final = "Passw0rd!"  # noqa: S105 (the demo user's, which guards nothing)
_ACCOUNT: Final = "/identity/v2/auth/account"


class CodeApp:
    """A customer's app that steps up with a code: logs in, asks for codes, reads the SMS on the phone, answers."""

    def __init__(self, phone: Phone, server: str, *, base: str = "/loginradius") -> None:
        self.phone = phone
        self.server = server
        self.base = base
        login = self._send("POST", "/identity/v2/auth/login", {"email": EMAIL, "password": PASSWORD}, {})
        self._token = {"Authorization": f"Bearer {_text(login, 'access_token')}"}

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        return self.phone.server(self.server).send(
            Call(method, f"{self.base}{path}?apikey={quote(API_KEY)}", headers, body)
        )

    def ask_for_sms(self) -> str:
        """The step-up trigger; the code that the phone received."""
        self._send("GET", f"{_ACCOUNT}/reauth/2fa", None, self._token)
        newest = inbox(self.phone, self.server, SMS, DEMO_NUMBER)[-1]
        return newest.code or ""

    def answer_sms(self, code: str) -> Answer:
        return self._send("PUT", f"{_ACCOUNT}/reauth/2fa/otp", {"otp": code}, self._token)

    def backup_codes(self) -> list[str]:
        """Ten codes, each good once."""
        codes = self._send("GET", f"{_ACCOUNT}/2fa/backupcode", None, self._token).object().get("BackUpCodes")
        if not isinstance(codes, list) or not codes:
            raise Unreadable("unreadable_answer", "The server gave no backup codes.")
        return [str(code) for code in codes]

    def answer_backup(self, code: str) -> Answer:
        return self._send("PUT", f"{_ACCOUNT}/reauth/2fa/backupcode", {"backupcode": code}, self._token)

    def advance_server(self, seconds: float) -> None:
        self.phone.server(self.server).stub("POST", "clock/advance", {"seconds": seconds})


def _text(answer: Answer, name: str) -> str:
    value = answer.object().get(name)
    if not isinstance(value, str):
        raise Unreadable("unreadable_answer", f"The server's answer has no {name}.")
    return value


def answer_sms_honestly(app: CodeApp) -> None:
    """Ask, read, answer."""
    app.answer_sms(app.ask_for_sms())


def answer_backup_honestly(app: CodeApp) -> None:
    """A fresh backup code."""
    app.answer_backup(app.backup_codes()[0])


def _late(app: CodeApp) -> None:
    code = app.ask_for_sms()
    app.advance_server(301)
    app.answer_sms(code)


def _superseded(app: CodeApp) -> None:
    first = app.ask_for_sms()
    app.ask_for_sms()
    app.answer_sms(first)


def _used(app: CodeApp) -> None:
    code = app.backup_codes()[0]
    app.answer_backup(code)
    app.answer_backup(code)


def code_fault(script: CodeScript, honest: CodeScript, **row: Any) -> Fault:
    """A fault of the flow `loginradius-code`, with the honest run that it is compared with."""
    return Fault(flow=Flow.LOGINRADIUS_CODE, profiles=ANY_PHONE, code_script=script, honest_code_script=honest, **row)


FAULTS: Final = (
    code_fault(
        _late,
        answer_sms_honestly,
        name="late-code",
        simulates="the code is sent back after its life",
        attack="a code that was seen over a shoulder is used later",
        check="secret.fresh",
    ),
    code_fault(
        _used,
        answer_backup_honestly,
        name="used-code",
        simulates="a backup code is used twice",
        attack="a code that was captured is used again",
        check="secret.unused",
    ),
    code_fault(
        _superseded,
        answer_sms_honestly,
        name="superseded-code",
        simulates="the first of two codes is sent back",
        attack="an attacker's earlier code is slipped to the user",
        check="secret.newest",
    ),
)
