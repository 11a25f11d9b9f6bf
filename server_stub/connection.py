"""One HTTP connection as uvicorn runs it, with what it leaves out: a client that sends its head slowly, or without end, is let go."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server_stub.http import TLS
from server_stub.shedding import ARRIVAL, Arrival, Load

TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def _tls(transport: Any) -> dict[str, str] | None:
    """What the handshake agreed on: version (`TLSv1.3`) and cipher, None without TLS."""
    connection = transport.get_extra_info("ssl_object")
    version, cipher = (None, None) if connection is None else (connection.version(), connection.cipher())
    return None if version is None else {"version": version, "cipher": cipher[0] if cipher else ""}


class Connection(HttpToolsProtocol):
    """Obeys the limits of `load`. It is in a head from the first byte that may belong to one until its empty line."""

    load: ClassVar[Load]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arrival = Arrival(self.load.timer())
        self._tls = _tls(transport)
        self._in_head, self._head_size = True, 0
        self._deadline: asyncio.TimerHandle | None = None
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_size += len(data)
            if self._deadline is None:
                self._wait_for_head()
        super().data_received(data)
        if self._in_head and self._head_size > self.load.limits.head_size:
            self._let_go(TOO_LONG)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.load.limits.head_size:
            self._let_go(TOO_LONG)
            raise ValueError("head too large")  # the parser stops
        self._arrival = Arrival(self.load.timer())
        self.scope[ARRIVAL] = self._arrival  # type: ignore[typeddict-unknown-key]
        if self._tls is not None:
            self.scope[TLS] = self._tls  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arrival.at = self.load.timer()
        super().on_message_complete()
        self._in_head, self._head_size = True, 0

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(self.load.limits.head, self._let_go, TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _let_go(self, answer: bytes) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # else it would stand within another answer
                self.transport.write(answer)
            self.transport.close()


def connection_class(load: Load) -> type[HttpToolsProtocol]:
    """The class of connections that obey the limits of `load`."""
    return type("LimitedConnection", (Connection,), {"load": load})
