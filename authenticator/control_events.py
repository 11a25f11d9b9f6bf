"""What happens on the phones, told to whoever listens: published from any thread, read as server-sent events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

KEEP_ALIVE_SECONDS: Final = 15.0


class Events:
    """A numbered stream; a listener hears what is published after it came."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._number = 0
        self._listeners: dict[asyncio.Queue[bytes], asyncio.AbstractEventLoop] = {}

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def publish(self, event: str, **data: Any) -> None:
        """Tell all listeners; no secret belongs into `data`."""
        with self._mutex:
            self._number += 1
            text = msgspec.json.encode(data).decode()
            message = f"id: {self._number}\nevent: {event}\ndata: {text}\n\n".encode()
            for queue, loop in self._listeners.items():
                loop.call_soon_threadsafe(queue.put_nowait, message)

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events until the listener goes."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        with self._mutex:
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield b"retry: 1000\n: connected\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._mutex:
                del self._listeners[queue]
