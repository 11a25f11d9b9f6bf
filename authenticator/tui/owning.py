"""Whose phone this is: enrolled, enrolled again, wiped, another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp


class Owning:
    """What changes the phone's keys and enrolments, with the questions that it takes."""

    def __init__(self, app: PhoneApp) -> None:
        self.app = app

    async def ask_passcode(self, why: str) -> str | None:
        """The bank's passcode, or None. To be awaited in a worker."""
        from authenticator.tui.demo_details import DEMO
        from authenticator.tui.views.pin_pad import PinPad

        snapshot, hint = self.app.desk.snapshot, ""
        if snapshot is not None and any(one.user == DEMO["bank"].user for one in snapshot.enrolments):
            hint = f"The demo user's is {DEMO['bank'].secret}"
        answer: str | None = await self.app.stage.ask(PinPad("Bank passcode", why, hint=hint))
        return answer

    async def enrol(self, dialect: str, user: str, secret: str, *, number: str, api_key: str) -> None:
        """Enrol this phone, and listen to its new addresses."""
        app = self.app
        await app.do(lambda: app.handset.enrol(dialect, user, secret, number=number, api_key=api_key))
        app.desk.line.forgotten = False
        await app.refresh_snapshot()
        app.line.listen()
        app.panes.touch()

    async def enrol_again(self) -> None:
        """The same user with new keys; the passcode is asked for. To be awaited in a worker."""
        snapshot = self.app.desk.snapshot
        if snapshot is None or not snapshot.enrolments:
            self.app.open_view("enrol_form")
            return
        old = snapshot.enrolments[-1]
        secret = await self.ask_passcode("Enrolling begins with the bank's login.")
        if secret:
            await self.enrol(old.dialect, old.user, secret, number=old.number, api_key=old.api_key)
            self.app.say("Enrolled again, with new keys.")

    async def ask_wipe(self) -> None:
        """Wipe the phone, if the user says so. To be awaited in a worker."""
        from authenticator.tui.views.confirm import Confirm
        from authenticator.tui.words import plural

        keys = plural(len(self.app.desk.snapshot.keys) if self.app.desk.snapshot else 0, "key")
        question = f"Factory reset: {keys}, all enrolments, accounts and codes are gone. The profile stays."
        if await self.app.stage.ask(Confirm("Wipe", question, "Wipe this phone")):
            await self.app.do(self.app.handset.wipe)
            await self.start_over()

    async def start_over(self) -> None:
        """The phone was wiped, or is another one: as on the first day."""
        from authenticator.tui.desk import Desk

        self.app.workers.cancel_group(self.app, "live")
        self.app.desk = Desk(snapshot=await self.app.do(self.app.handset.snapshot))
        await self.app.welcome(lost=False)
        self.app.show_all()
