"""The phone's inbox: SMS by number, mail by address, push by token, as the simulated networks hold them.

A phone reads its SMS before it is enrolled, so the inbox is addressed by number; what was read is remembered by the network's message ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from authenticator.errors import Refused, Unreadable
from device_keys.encoding import FormatError, member

if TYPE_CHECKING:
    from authenticator.phone import Phone

SMS, EMAIL, PUSH = "sms", "email", "push"
DEMO_NUMBER: Final = "+447700900123"
DEMO_ADDRESS: Final = "alice@example.com"
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `number` is its id in the network, rising."""

    number: int
    sender: str
    text: str
    code: str | None
    received_at: str

    def to_json(self) -> dict[str, Any]:
        """`{"from", "text", "code"?, "receivedAt"}`."""
        code = {} if self.code is None else {"code": self.code}
        return {"from": self.sender, "text": self.text, **code, "receivedAt": self.received_at}

    @classmethod
    def from_json(cls, record: Any) -> Message:
        number = member(record, "id", int, "message")
        sent_at = member(record, "sentAt", str, "message")
        code = member(record, "code", str, "message", required=False)
        sender = member(record, "from", str, "message", required=False) or "unknown"
        return cls(number, sender, member(record, "text", str, "message"), code, sent_at)


def inbox(phone: Phone, server: str, channel: str, to: str) -> list[Message]:
    """All messages of a channel to this address, oldest first."""
    client = phone.server(server)
    body = client.demand("GET", f"/device/v1/inbox?{urlencode({'to': to})}", None, client.guard())
    if not isinstance(body, list):
        raise Unreadable("unreadable_answer", "The inbox is not a list.")
    try:
        return [Message.from_json(row) for row in body if isinstance(row, dict) and row.get("channel") == channel]
    except FormatError as error:
        raise Unreadable("unreadable_answer", f"The inbox cannot be read: {error}") from error


def newest_id(messages: list[Message]) -> int:
    return max((message.number for message in messages), default=0)


def unread(phone: Phone, server: str, channel: str, to: str, messages: list[Message]) -> list[Message]:
    """Those that came after the last reading; all of them where the network has started anew."""
    seen = phone.state.read.get(_inbox_name(server, channel, to), 0)
    return [message for message in messages if message.number > seen or newest_id(messages) < seen]


def mark_read(phone: Phone, server: str, channel: str, to: str, messages: list[Message]) -> None:
    """The phone remembers how far it has read."""
    name, newest = _inbox_name(server, channel, to), newest_id(messages)
    if phone.state.read.get(name, 0) != newest:
        with phone.edit() as state:
            state.read[name] = newest


def _inbox_name(server: str, channel: str, to: str) -> str:
    return f"{server}|{channel}|{to}"


def poll(
    fetch: Callable[[], list[Message]], seconds: float, pause: Callable[[float], None] = time.sleep
) -> list[Message]:
    """What `fetch` finds, as soon as it finds anything; `[]` after about `seconds`. Counts its tries, so that a frozen clock ends too."""
    for attempt in range(int(seconds / _POLL_SECONDS) + 1):
        if attempt:
            pause(_POLL_SECONDS)
        found = fetch()
        if found:
            return found
    return []


def wait_for_unread(phone: Phone, server: str, channel: str, to: str, seconds: float) -> list[Message]:
    """Unread messages, waited for; `Refused` where none comes."""
    found = poll(lambda: unread(phone, server, channel, to, inbox(phone, server, channel, to)), seconds)
    if not found:
        raise Refused("no_message", f"No new {channel} message for {to} came within {seconds:g} s.")
    return found


def wait_for_code(phone: Phone, server: str, to: str, after: int, seconds: float) -> str:
    """The code of the newest SMS after message `after`, waited for; it counts as read."""

    def fresh() -> list[Message]:
        arrived = inbox(phone, server, SMS, to)
        return [message for message in arrived if message.number > after and message.code]

    found = poll(fresh, seconds)
    if not found or found[-1].code is None:
        raise Refused("no_code", f"No SMS with a code for {to} came within {seconds:g} s; give it with --code.")
    mark_read(phone, server, SMS, to, found)
    return found[-1].code


def sms_address(phone: Phone, server: str) -> str:
    """The number of this phone at a server: its enrolment's, else the demo users'."""
    numbers = [e.number for e in phone.state.enrolments.values() if e.server == server]
    return numbers[-1] if numbers else DEMO_NUMBER
