"""A client of a server in process that costs a fifth of Starlette's: no thread, no portal, and no event loop made for each call."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

import httpx2
from starlette.testclient import TestClient
from starlette.types import ASGIApp

_MAIN_THREADS = asyncio.Runner()
atexit.register(_MAIN_THREADS.close)


def _run(call: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
    """By the main thread's one loop; by a loop of its own in any other. What a call sets in its context ends with it either way."""
    if threading.current_thread() is threading.main_thread():
        return _MAIN_THREADS.run(call, context=copy_context())
    return asyncio.run(call)


class _InThisThread(httpx2.BaseTransport):
    """The application runs in the caller's thread; what it raises, the caller gets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._inner = httpx2.ASGITransport(app)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return _run(self._answer(request))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


class InProcessClient(TestClient):
    """As `TestClient`, for calls that end: no streams, no web sockets, no lifespan, and not from inside a running event loop."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        super().__init__(app, base_url=base_url)
        self._transport = _InThisThread(app)
