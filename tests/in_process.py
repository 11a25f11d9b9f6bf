"""A client of a server in process that costs a quarter of Starlette's: no thread, no portal, one event loop for each call as there."""

from __future__ import annotations

import asyncio

import httpx2
from starlette.testclient import TestClient
from starlette.types import ASGIApp


class _EachInItsOwnLoop(httpx2.BaseTransport):
    """The application runs in the caller's thread; what it raises, the caller gets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._inner = httpx2.ASGITransport(app)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


class InProcessClient(TestClient):
    """As `TestClient`, for calls that end: no streams, no web sockets, no lifespan, and not from inside a running event loop."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        super().__init__(app, base_url=base_url)
        self._transport = _EachInItsOwnLoop(app)
