"""What runs beside the requests, from start-up to shutdown: webhook and mail delivery, SQLite's checkpoints, and late imports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from starlette.types import Receive, Send

from server_stub.database.sqlite import SQLite
from server_stub.server import Server

CHECKPOINT_SECONDS: Final = 0.5
REST_SECONDS: Final = 0.25
Worker = Callable[[Server], Coroutine[Any, Any, None]]


async def lifespan(server: Server, receive: Receive, send: Send) -> None:
    """ASGI lifespan: start the workers, stop them."""
    await receive()
    tasks = [asyncio.create_task(worker(server)) for worker in _workers(server)]
    await send({"type": "lifespan.startup.complete"})
    await receive()
    server.stopping = True
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await send({"type": "lifespan.shutdown.complete"})


def _workers(server: Server) -> list[Worker]:
    workers: list[Worker] = [import_the_rest]
    if server.settings.webhook or server.settings.sms_webhook:
        from server_stub.webhooks import run as deliver_webhooks

        workers.append(deliver_webhooks)
    if server.settings.smtp:
        from server_stub.mail import run as deliver_mail

        workers.append(deliver_mail)
    if isinstance(server.store.database, SQLite) and not server.store.database.in_memory:
        workers.append(checkpoint)
    return workers


async def import_the_rest(server: Server) -> None:
    """What `serve` did not wait for, imported in a thread once the server answers, so that no first call waits for it either."""
    await asyncio.sleep(REST_SECONDS)
    await asyncio.to_thread(_import_the_rest, server)


def _import_the_rest(server: Server) -> None:
    import server_stub.device.routes
    import server_stub.verdicts  # noqa: F401

    for name in server.settings.dialects:
        if not server.stopping:
            server.dialect(name)


async def checkpoint(server: Server) -> None:
    """Keep SQLite's journal short from a thread: inside a commit the same work would hold up one call in forty for milliseconds."""
    database = server.store.database
    assert isinstance(database, SQLite)
    database.checkpoint_late()
    written = -1
    while True:
        await asyncio.sleep(CHECKPOINT_SECONDS)
        if database.commits != written:
            written = database.commits
            await asyncio.to_thread(database.checkpoint)
