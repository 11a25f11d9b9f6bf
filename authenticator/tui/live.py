"""What arrives while the phone lies there: messages and pushes as server-sent events, with reconnecting and back-off. Without Textual.

Invariants: one stream at a time; after each connection everything is asked for once, so that nothing is missed that came while it was down;
an event only says that there is something to fetch, or brings a message whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

if TYPE_CHECKING:
    import httpx2

BACK_OFF: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# Longer than the server's keep-alive comments are apart, so that a silent line is a dead one.
SILENCE_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Connected:
    """The stream is open: fetch everything once."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message, as the inbox lists it: `id`, `channel`, `from`, `to`, `text`, `code`?, `sentAt`, `transactionId`?."""

    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Away:
    """No stream: why, and in how many seconds it is tried again."""

    reason: str
    retry_in: float


Event = Connected | Arrived | Away
Source = Callable[[], AsyncIterator[dict[str, Any] | None]]


async def follow(source: Source, hear: Callable[[Event], None], nudge: asyncio.Event) -> None:
    """Hear events for ever. `nudge` set: try again at once. `source` yields None once when its stream is open, then messages."""
    attempt = 0
    while True:
        reason = "the stream ended"
        try:
            async for message in source():
                attempt = 0
                hear(Connected() if message is None else Arrived(message))
        except (OSError, RuntimeError) as error:
            reason = str(error) or type(error).__name__
        except Exception as error:  # the HTTP library's own errors, which are not imported here
            if not _is_network_error(error):
                raise
            reason = str(error) or type(error).__name__
        pause = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
        attempt += 1
        hear(Away(reason, pause))
        await _wait(nudge, pause)


def _is_network_error(error: Exception) -> bool:
    import httpx2

    return isinstance(error, (httpx2.HTTPError, httpx2.InvalidURL))


async def _wait(nudge: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(nudge.wait(), seconds)
    except TimeoutError:
        return
    nudge.clear()


def stream(url: str, addresses: tuple[str, ...], *, token: str | None, verify: Any = False) -> Source:
    """The source over HTTP: `GET /device/v1/events` for these addresses."""

    async def events() -> AsyncIterator[dict[str, Any] | None]:
        import httpx2

        path = f"{url}/device/v1/events?{urlencode({'to': ','.join(addresses)})}"
        headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx2.Timeout(10.0, read=SILENCE_SECONDS)
        async with (
            httpx2.AsyncClient(verify=verify, timeout=timeout, trust_env=False) as client,
            client.stream("GET", path, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise OSError(f"the server answered {response.status_code}")
            yield None
            async for message in _messages(response):
                yield message

    return events


async def _messages(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    import httpx2

    from device_keys.encoding import FormatError, parse_json

    async for event in httpx2.EventSource(response):
        try:
            record = parse_json(event.data.encode(), "event")
        except FormatError:
            continue
        if isinstance(record, dict):
            yield record
