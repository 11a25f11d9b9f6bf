"""A phone's inbox: SMS by number, mail by address, push by token; at once, or as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from device_keys.encoding import FormatError
from server_stub.delivery import inbox
from server_stub.guard import check_operator
from server_stub.http import Call, Reply
from server_stub.server import Server
from server_stub.store import UnitOfWork


def _addresses(call: Call) -> list[str]:
    to = [part for part in call.query.get("to", "").split(",") if part]
    if not to:
        raise FormatError("to", "a number, a mail address or a push token (several: separated by commas)")
    # An unescaped plus sign of a number arrives as a space.
    return [f"+{part[1:]}" if part.startswith(" ") else part for part in to]


def _mail_for(unit: UnitOfWork, addresses: list[str], after: int) -> list[dict[str, Any]]:
    found = [message for address in addresses for message in inbox(unit, to=address, after=after)]
    return sorted(found, key=lambda message: message["id"])


async def get_inbox(server: Server, call: Call) -> Reply:
    """`GET inbox?to=`: SMS, mail and push for these addresses, oldest first."""
    check_operator(server, call)
    with server.store.reading() as unit:
        return Reply(200, _mail_for(unit, _addresses(call), int(call.query.get("after", "0") or 0)))


async def get_events(server: Server, call: Call) -> Reply:
    """`GET events?to=`: the same as server-sent events, as they arrive; `Last-Event-ID` resumes."""
    check_operator(server, call)
    addresses = _addresses(call)
    given = call.headers.get("last-event-id", "")
    with server.store.reading() as unit:
        row = unit.sql.one("last_message_seq")
    start = int(given) if given.isdigit() else int((row and row[0]) or 0)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    return Reply(200, _events(server, addresses, start), headers)


async def _events(server: Server, addresses: list[str], after: int) -> AsyncIterator[bytes]:
    import asyncio

    yield b"retry: 1000\n: connected\n\n"
    quiet = 0.0
    while not server.stopping:
        with server.store.reading() as unit:
            messages = _mail_for(unit, addresses, after)
        for message in messages:
            after = message["id"]
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                after,
                message["channel"].encode(),
                msgspec.json.encode(message),
            )
        quiet = 0.0 if messages else quiet + POLL_SECONDS
        if quiet >= KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)


POLL_SECONDS: Final = 0.2
KEEP_ALIVE_SECONDS: Final = 15.0
