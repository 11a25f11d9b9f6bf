"""What waits for the user: fetched, shown one after the other, decided, remembered; and payments begun in the phone's own bank app."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.geometry import Offset

from authenticator.errors import PhoneError, UsageError

if TYPE_CHECKING:
    from authenticator.approving import Approval as SignedApproval
    from authenticator.display import Shown
    from authenticator.tui.app import PhoneApp
    from authenticator.tui.views.approval import Approval
    from authenticator.tui.views.form import Form


class Approvals:
    """One sheet at a time. The list is fetched by one worker, never cancelled half-way."""

    def __init__(self, app: PhoneApp) -> None:
        self.app = app
        self._sheet_wanted = asyncio.Lock()
        self._pending_wanted = self._fetching = False

    def refresh(self) -> None:
        """Ask the server what waits, soon."""
        if self.app.is_enrolled() and not self.app.desk.line.forgotten and not self.app.handset.airplane.on:
            self._pending_wanted = True
            if not self._fetching:
                self.app.run_worker(self._while_wanted(), group="pending")

    async def _while_wanted(self) -> None:
        """One at a time, and never cancelled half-way: a push that comes meanwhile asks for one round more."""
        self._fetching = True
        try:
            while self._pending_wanted:
                self._pending_wanted = False
                await self.fetch()
        finally:
            self._fetching = False

    async def fetch(self) -> None:
        """Ask the server what waits, and show the next."""
        try:
            self.app.desk.list_pending(await self.app.do(self.app.till.waiting))
        except PhoneError as error:
            await self.app.heard(error)
            return
        from authenticator.tui.views.approval import Approval

        listed = {row.get("transactionId") for row in self.app.desk.pending}
        for view in self.app.stage.stack:
            if isinstance(view, Approval) and view.offer.transaction_id not in listed:
                view.withdrawn()
        self.app.show_all()
        await self.show_next()

    def open(self, transaction_id: str) -> None:
        """Show one that was put off."""
        if transaction_id in self.app.desk.later:
            self.app.desk.later.remove(transaction_id)
        self.app.run_worker(self._show_sheet(transaction_id), group="sheet")

    async def show_next(self) -> None:
        """Slide in the oldest approval that was not put off, unless the phone is locked, a sheet is open, or somebody is typing."""
        wanted = self.app.desk.next_to_show()
        if wanted is not None and self._may_interrupt():
            await self._show_sheet(wanted)

    def _may_interrupt(self) -> bool:
        from authenticator.tui.views.approval import Approval
        from authenticator.tui.views.form import Form
        from authenticator.tui.views.lock import Lock
        from authenticator.tui.views.pin_pad import PinPad

        blocking = (Approval, Lock, PinPad, Form)
        return not any(isinstance(view, blocking) for view in self.app.stage.stack)

    async def _show_sheet(self, transaction_id: str) -> None:
        from authenticator.tui.views.approval import Approval
        from device_keys.clock import parse_instant

        async with self._sheet_wanted:
            if any(isinstance(view, Approval) for view in self.app.stage.stack):
                return
            try:
                offer = await self.app.do(lambda: self.app.till.offer(transaction_id))
            except PhoneError as error:
                self.app.desk.later.append(transaction_id)
                self.app.say(self.app.in_words(error), "bad")
                await self.app.heard(error)
                return
            if not self._may_interrupt():
                return
            self.app.desk.shown, self.app.desk.signed = offer, None
            self.app.say("")  # old news beside a new order would be read as being about it
            sheet = await self.app.stage.open(Approval(offer, parse_instant(offer.expires_at, "expiresAt")))
            self._slide_in(sheet)
        self.app.panes.touch()

    def _slide_in(self, sheet: Approval) -> None:
        if self.app.animation_level == "none":
            self.app.call_after_refresh(sheet.arrived)
            return
        sheet.offset = Offset(0, self.app.stage.size.height)
        sheet.animate("offset", Offset(0, 0), duration=0.25, easing="out_cubic", on_complete=sheet.arrived)

    async def decided(self, sheet: Approval, text: str, *, good: bool, outcome: str) -> None:
        """An approval is over, one way or the other."""
        from authenticator.tui.views.welcome import Welcome

        order = _in_short(sheet.offer.shown)
        await self.app.do(lambda: self.app.handset.remember(order, outcome, good=good))
        done = sheet.offer.transaction_id
        if not sheet.undecided:
            self.app.desk.answered.append(done)
        self.app.desk.later.append(done)
        self.app.desk.put_away()
        await self.app.stage.close(sheet)
        self.app.say(f"{'✓' if good else '–'} {text}", "good" if good else "")
        lowest = self.app.stage.stack[0] if self.app.stage.stack else None
        if isinstance(lowest, Welcome):
            lowest.decided(good=good, text=text, transaction_id=done)
        await self.app.refresh_snapshot()
        self.app.panes.touch()
        self.refresh()

    def hear_signature(self, approval: SignedApproval) -> None:
        """From the signing thread."""
        self.app.call_from_thread(self._note_signature, approval)

    def _note_signature(self, approval: SignedApproval) -> None:
        self.app.desk.hear_signature(approval)
        self.app.panes.touch()

    async def pay(self, values: dict[str, str], *, then_close: Form | None = None) -> bool:
        """Begin a payment in the phone's own bank app; its approval slides in. The passcode is asked for where the session is over."""
        from authenticator.apps.bank import domestic_payment

        order = domestic_payment(
            values["amount"], values["currency"], values["payee"], values["sort_code"], values["account"]
        )
        try:
            transaction_id = await self._begin_payment(order)
        except PhoneError as error:
            self.app.say(self.app.in_words(error), "bad")
            await self.app.heard(error)
            return False
        if transaction_id is None:
            return False
        if then_close is not None:
            await self.app.stage.close(then_close)
        await self.fetch()
        return True

    async def _begin_payment(self, order: dict[str, Any]) -> str | None:
        try:
            return await self.app.do(lambda: self.app.till.begin(order))
        except UsageError as error:
            if error.code != "session_over":
                raise
        passcode = await self.app.owning.ask_passcode("The bank app's session is over: log in again.")
        return await self.app.do(lambda: self.app.till.begin(order, passcode)) if passcode else None


def _in_short(shown: Shown) -> str:
    """For the history: amount and payee, or whatever there is."""
    if shown.amount is None:
        return shown.title if shown.title.startswith("Confirm access") else shown.sentence()
    return f"{shown.amount} to {' and '.join(payee.name for payee in shown.payees)}"
