"""The line to the server: it listens to this phone's addresses, and tells the desk what arrived and whether anybody answers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from authenticator.errors import PhoneError

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp
    from authenticator.tui.live import Event


class Line:
    """One stream at a time, as the app's worker; `nudge` tries again at once."""

    def __init__(self, app: PhoneApp) -> None:
        self.app = app
        self._nudge = asyncio.Event()
        self._addresses: tuple[str, ...] = ()

    def nudge(self) -> None:
        """Look for the server now."""
        self._nudge.set()

    def listen(self) -> None:
        """Follow this phone's addresses; anew where they have changed."""
        snapshot = self.app.desk.snapshot
        if snapshot is not None:
            self._addresses = snapshot.addresses
            self.app.run_worker(self._follow(), exclusive=True, group="live", name="live")

    async def _follow(self) -> None:
        from authenticator.tui.live import follow, stream

        verify = await self.app.do(lambda: _verify(self.app.handset.url))
        source = stream(self.app.handset.url, self._addresses, token=self.app.handset.token, verify=verify)
        await follow(self._unless_flying(source), self._hear, self._nudge)

    def _unless_flying(self, source: Any) -> Any:
        async def guarded() -> Any:
            if self.app.handset.airplane.on:
                raise OSError("airplane mode is on")
            async for message in source():
                yield message

        return guarded

    def _hear(self, event: Event) -> None:
        from authenticator.tui.live import Arrived, Away

        line = self.app.desk.line
        if isinstance(event, Away):
            expected = self.app.handset.airplane.on or self.app.own_server.wanted or self.app.own_server.starting
            if (line.up or not line.reason) and not expected:
                self.app.say(f"No server at {self.app.handset.url}. Still trying.", "bad")
            line.up, line.reason = False, event.reason
        elif isinstance(event, Arrived):
            self._arrive(event.message)
        else:
            if line.reason:
                self.app.say("The server is back." if line.known else "The server answers.")
            line.up, line.known, line.reason = True, True, ""
            self.app.run_worker(self._catch_up(), exclusive=True, group="catch-up")
        self.app.show_status()

    def _arrive(self, message: dict[str, Any]) -> None:
        if message.get("channel") == "push":
            self.app.approvals.refresh()
        elif self.app.desk.keep(message):
            self.app.show_all()
        self.app.panes.touch()

    async def _catch_up(self) -> None:
        """Everything that may have come while the line was down."""
        try:
            self.app.desk.restart_messages(await self.app.do(self.app.handset.inbox))
        except PhoneError:
            return
        snapshot = self.app.desk.snapshot
        for channel in ("sms", "email"):
            name = await self.app.do(partial(self.app.handset.inbox_name, channel))
            self.app.desk.read[channel] = snapshot.read.get(name, 0) if snapshot is not None else 0
        self.app.show_all()
        self.app.approvals.refresh()


def _verify(url: str) -> Any:
    from authenticator.client import tls_context

    return tls_context() if url.startswith("https:") else False
