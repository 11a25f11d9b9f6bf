"""A server of the phone's own: started while the screen is there already, ended with the phone."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from authenticator.errors import PhoneError, Unreachable

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp


class OwnServer:
    """`wanted`: to be started, without asking, where none answers."""

    def __init__(self, app: PhoneApp, *, wanted: bool) -> None:
        self.app = app
        self.wanted = wanted
        self.starting = False
        self._children = ExitStack()
        self._changing = threading.Lock()

    async def start(self) -> None:
        """A server answers at the phone's address; `PhoneError` where it does not start."""
        self.wanted, self.starting = False, True
        try:
            await self.app.do(self._start)
        finally:
            self.starting = False

    async def bring(self) -> None:
        """For an enrolled phone, which is used meanwhile: start one if it is wanted and none answers, and say so."""
        if not self.wanted:
            return
        try:
            await self.app.do(self.app.handset.find_server)
            self.wanted = False
        except Unreachable:
            self.app.say("Starting a server …")
            try:
                await self.start()
            except PhoneError as error:
                self.app.say(error.message, "bad")
        except PhoneError as error:
            self.app.say(self.app.in_words(error), "bad")
        self.app.line.nudge()

    def _start(self) -> None:
        from authenticator.server_process import server_at

        with self._changing:
            self._children.enter_context(server_at(self.app.handset.url))

    def close(self) -> None:
        """End it. One that is just starting is waited for, so that none is left behind."""
        with self._changing:
            self._children.close()
