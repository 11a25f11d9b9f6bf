"""Webhook delivery: what was queued is posted in order, and again with back-off until the receiver takes it.

Real time, not the server's clock: it is a real network, and a frozen clock must not hold up a retry. A claim is a lease in the database, so
that several processes share the queue, and what a killed one had claimed is sent by another: at least once, never lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from device_keys.clock import Clock, rfc3339, system_clock
from server_stub.database.protocol import DatabaseUnavailable
from server_stub.dialects import load_dialect
from server_stub.server import Server

if TYPE_CHECKING:
    import httpx2

LOG: Final = logging.getLogger("stepup.webhooks")
POLL_SECONDS: Final = 0.25
TIMEOUT_SECONDS: Final = 10.0
LEASE: Final = timedelta(seconds=30)
BATCH: Final = 50
HISTORY: Final = 20
# Seconds after the first, second, … failure; the last one from then on.
BACK_OFF: Final = (1, 2, 4, 8, 15, 30, 60)
# Members that are worth something to a thief: left out of what is kept once the receiver has them.
SECRETS: Final = ("authToken",)
HIDDEN: Final = "(delivered)"


@dataclass(frozen=True, slots=True)
class Post:
    """One call to make: where, with what, and how it went so far (`history`, newest last)."""

    seq: int
    url: str
    path: str
    headers: dict[str, str]
    body: str
    attempts: int
    next_at: datetime
    history: tuple[dict[str, Any], ...]

    @property
    def target(self) -> str:
        return self.url.rstrip("/") + self.path if self.path else self.url

    @property
    def unreachable(self) -> bool:
        """Whether the receiver did not answer at all the last time: then what follows waits behind this one, in order."""
        return bool(self.history) and "error" in self.history[-1]


async def run(server: Server, *, clock: Clock = system_clock, back_off: Sequence[float] = BACK_OFF) -> None:
    """Deliver until cancelled, and see to what dialects do by themselves as time goes by (their `chore`)."""
    import httpx2

    chores = _chores(server.settings.dialects)
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        while not server.stopping:
            try:
                for chore in chores:
                    chore(server)
                await deliver_due(server, client, clock=clock, back_off=back_off)
            except DatabaseUnavailable as problem:
                LOG.warning("webhooks wait: %s", problem)
            await asyncio.sleep(POLL_SECONDS)


def _chores(dialects: Sequence[str]) -> list[Callable[[Server], None]]:
    return [chore for name in dialects if (chore := load_dialect(name).chore) is not None]


async def deliver_due(
    server: Server, client: httpx2.AsyncClient, *, clock: Clock = system_clock, back_off: Sequence[float] = BACK_OFF
) -> int:
    """One round: post what is due, receivers side by side, each one's calls in order; how many were taken."""
    due = _claim(server, clock())
    receivers: dict[str, list[Post]] = {}
    for post in due:
        receivers.setdefault(post.url, []).append(post)
    taken = await asyncio.gather(*(_deliver(server, client, posts, clock, back_off) for posts in receivers.values()))
    return sum(taken)


def _claim(server: Server, now: datetime) -> list[Post]:
    """What is due, leased to this process."""
    with server.store.reading() as unit:
        receivers = [row[0] for row in unit.sql.all("waiting_receivers")]
    if not receivers:
        return []
    with server.store.begin() as unit:
        due = [post for url in receivers for post in _due(unit.sql.all("waiting_webhooks", url=url, most=BATCH), now)]
        for post in due:
            _write(unit, post, "waiting", now + LEASE, post.history, post.attempts + 1)
        return due


def _due(rows: Sequence[Sequence[Any]], now: datetime) -> Iterator[Post]:
    """Of one receiver's calls those that may go out: none behind one that got no answer, or whose answer another process awaits."""
    for post in map(_post, rows):
        if post.attempts == 0 or now >= post.next_at:
            yield post
        elif post.unreachable or not post.history:
            return


def _post(row: Sequence[Any]) -> Post:
    seq, url, path, headers, body, _, attempts, next_at, history = row
    return Post(
        seq, url, path, json.loads(headers), body, attempts, datetime.fromisoformat(next_at), tuple(json.loads(history))
    )


def _write(
    unit: Any,
    post: Post,
    state: str,
    next_at: datetime,
    history: Sequence[dict[str, Any]],
    attempts: int,
    body: str | None = None,
) -> None:
    unit.sql.run(
        "update_webhook", seq=post.seq, state=state, attempts=attempts, next_at=rfc3339(next_at),
        history=json.dumps(list(history)[-HISTORY:]), body=post.body if body is None else body,
    )  # fmt: skip


async def _deliver(
    server: Server, client: httpx2.AsyncClient, posts: Sequence[Post], clock: Clock, back_off: Sequence[float]
) -> int:
    """One receiver's calls in order; where it does not answer, the rest waits as long as the first."""
    taken = 0
    for index, post in enumerate(posts):
        outcome = await _send(client, post)
        _record(server, post, outcome, clock(), back_off)
        taken += _is_taken(outcome)
        if "error" in outcome:
            for waiting in posts[index + 1 :]:
                _release(server, waiting, clock())
            break
    return taken


async def _send(client: httpx2.AsyncClient, post: Post) -> dict[str, Any]:
    """What came of one call: `{"status"}` or `{"error"}`."""
    import httpx2

    headers = {"Content-Type": "application/json", **post.headers}
    try:
        answer = await client.post(post.target, content=post.body.encode(), headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
        return {"error": type(problem).__name__}
    return {"status": answer.status_code}


def _is_taken(outcome: dict[str, Any]) -> bool:
    return "status" in outcome and 200 <= int(outcome["status"]) < 300


def _record(server: Server, post: Post, outcome: dict[str, Any], now: datetime, back_off: Sequence[float]) -> None:
    history = (*post.history, {"at": rfc3339(now), **outcome})
    with server.store.begin() as unit:
        if _is_taken(outcome):
            _write(unit, post, "delivered", now, history, post.attempts + 1, _without_secrets(post.body))
            return
        wait = back_off[min(post.attempts, len(back_off) - 1)]
        _write(unit, post, "waiting", now + timedelta(seconds=wait), history, post.attempts + 1)


def _release(server: Server, post: Post, now: datetime) -> None:
    """Give an unsent call back: it is due again at once, behind the one that failed."""
    with server.store.begin() as unit:
        _write(unit, post, "waiting", now, post.history, post.attempts)


def _without_secrets(body: str) -> str:
    """What the delivery log keeps of a body."""
    try:
        record = json.loads(body)
    except ValueError:
        return body
    if not isinstance(record, dict) or not any(name in record for name in SECRETS):
        return body
    return json.dumps(record | {name: HIDDEN for name in SECRETS if name in record}, separators=(",", ":"))
