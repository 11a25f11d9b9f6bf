"""The approval sheet: the whole order, the time left, and the user's decision. It slides in over whatever is open.

Everything that is hashed is on the sheet. Where it does not fit, the keys that sign do nothing until its end has been on the screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from authenticator.errors import PhoneError
from authenticator.tui import words
from authenticator.tui.views.base import View
from authenticator.tui.widgets.choice import Choice, Pressable
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult

    from authenticator.display import Shown
    from authenticator.tui.till import Offer, Receipt

BAR, BORDER = 22, 2


class Approval(View):
    """One step-up. It closes when it is decided, expired, or put off with Esc (it then waits in Bank)."""

    SHEET = True
    HELP = """Somebody asks you to confirm this. What you see is all that will be signed: the phone hashes exactly these members.

B presents a finger or face that matches, X one that does not. P confirms with the passcode instead. D declines, Esc decides later.

Marks like ⟨U+202E⟩ stand for characters that cannot be seen or that look like others. A long order must be read to its end (↓)
before it can be signed."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "biometric('match')", "Fingerprint"),
        Binding("x", "biometric('no-match')", "Wrong finger"),
        Binding("p", "passcode", "Passcode"),
        Binding("d", "decline", "Decline"),
        Binding("escape", "back", "Later", key_display="esc"),
        Binding("u", "unlock_sensor", "PIN"),
        Binding("down,pagedown,space", "more", "Read on", show=False),
        Binding("up,pageup", "less", "Back up", show=False),
    ]

    def __init__(self, offer: Offer, expires_at: datetime) -> None:
        super().__init__(name="approval", classes="sheet")
        self.offer = offer
        self.expires_at = expires_at
        self.busy = False
        self.done = False
        self._whole = 1.0
        self.undecided = False
        self._ready = False
        self._seen = False

    def compose(self) -> ComposeResult:
        shown, biometric = self.offer.shown, self.phone_app.sensor_name()
        yield Text(shown.title, id="approval-title", markup=False)
        with VerticalScroll(id="order", can_focus=False):
            yield from _order(shown)
        yield Pressable("more", id="approval-more")
        yield Text("", id="approval-says", markup=False)
        with Vertical(id="approval-foot"):
            yield Text("", id="approval-bar", markup=False)
            with Horizontal(classes="choices"):
                if "biometric" in self.offer.factors():
                    yield Choice("B", biometric, "b")
                    yield Choice("U", "PIN", "u")
                yield Choice("P", "yes, it is me" if self.offer.push else "passcode", "p")
                yield Choice("D", "decline", "d")

    def on_mount(self) -> None:
        self._whole = max(1.0, self._left())
        self._show_sensor()
        self.tick()
        self.call_after_refresh(self._look)

    def on_resize(self) -> None:
        self.call_after_refresh(self._look)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "unlock_sensor":
            return self._sensor_is_off()
        if action == "biometric":
            return "biometric" in self.offer.factors()
        return "possession" in self.offer.factors() if action == "passcode" else True

    def _sensor_is_off(self) -> bool:
        snapshot = self.phone_app.desk.snapshot
        return snapshot is not None and (snapshot.sensor_locked or snapshot.needs_pin is not None)

    def _show_sensor(self) -> None:
        """The choice is the sensor, or the PIN that frees it."""
        for choice in self.query(Choice):
            if choice.name in ("b", "u"):
                choice.display = (choice.name == "u") is self._sensor_is_off()

    # --- reading ----------------------------------------------------------------------------------------------------------

    def arrived(self) -> None:
        """The sheet has stopped moving; keys pressed for something else before are not taken for a decision."""
        self._ready = True
        self._look()

    def _look(self) -> None:
        """Has the end of the order been on the screen?"""
        if self._is_leaving():
            return
        order = self.query_one("#order", VerticalScroll)
        self._fit(order)
        if order.size.height and order.scroll_target_y >= order.max_scroll_y:
            self._seen = True
        more = self.query_one("#approval-more", Pressable)
        more.display = order.max_scroll_y > 0
        more.update("↑ the end of the order" if self._seen else "↓ read to the end to sign")

    def _is_leaving(self) -> bool:
        """A sheet that is being closed has lost its parts already."""
        return not self.is_attached or not self.query("#approval-bar")

    def _fit(self, order: VerticalScroll) -> None:
        """The order gives way, never the keys: it scrolls in whatever room the rest of the sheet leaves."""
        rest = sum(
            child.outer_size.height + child.styles.margin.height
            for child in self.children
            if child is not order and child.display
        )
        room = max(3, self.phone_app.stage.size.height - rest - BORDER)
        if order.styles.max_height is None or order.styles.max_height.value != room:
            order.styles.max_height = room
            self.call_after_refresh(self._look)

    def action_more(self) -> None:
        order = self.query_one("#order", VerticalScroll)
        order.scroll_relative(y=max(1, order.size.height - 1), animate=False)
        self.call_after_refresh(self._look)

    def action_less(self) -> None:
        order = self.query_one("#order", VerticalScroll)
        order.scroll_relative(y=-max(1, order.size.height - 1), animate=False)

    def on_mouse_scroll_down(self) -> None:
        self.call_after_refresh(self._look)

    def tick(self) -> None:
        if self._is_leaving():
            return
        left = self._left()
        self.query_one("#approval-bar", Text).update(f"▕{words.bar(left / self._whole, BAR)}▏ {words.duration(left)}")
        self._look()
        if left <= 0 and not self.busy and not self.done:
            self._finish(f"The time is over. {self._what_was_signed()}", good=False, outcome="expired")

    def _left(self) -> float:
        now = self.phone_app.handset.now()
        return self._whole if now is None else (self.expires_at - now).total_seconds()

    # --- deciding ---------------------------------------------------------------------------------------------------------

    def _may_sign(self) -> bool:
        if self.busy or self.done or not self._ready:
            return False
        if not self._seen:
            self.say("Read to the end first: ↓")
            return False
        return True

    def on_pressable_pressed(self, message: Pressable.Pressed) -> None:
        message.stop()
        actions = {
            "b": lambda: self.action_biometric("match"),
            "u": self.action_unlock_sensor,
            "p": self.action_passcode,
            "d": self.action_decline,
            "more": self.action_more,
        }
        actions[message.choice]()

    def action_biometric(self, presented: str) -> None:
        if self._may_sign():
            self._run("biometric", presented, None)

    def action_passcode(self) -> None:
        if not self._may_sign():
            return
        if self.offer.own:
            self.in_background(self._with_passcode(), "ask")
        else:
            self._run("possession", "match", None)

    async def _with_passcode(self) -> None:
        passcode = await self.phone_app.owning.ask_passcode("The bank checks it together with this phone's key.")
        if passcode:
            self._run("possession", "match", passcode)

    def _run(self, factor: str, presented: str, passcode: str | None) -> None:
        self.busy = True
        self.say("…")
        self.in_background(self._approve(factor, presented, passcode), "approval")

    async def _approve(self, factor: str, presented: str, passcode: str | None) -> None:
        app = self.phone_app
        try:
            receipt: Receipt = await app.do(
                lambda: app.till.approve(self.offer, factor, outcome=presented, passcode=passcode)
            )
        except PhoneError as error:
            self.busy = False
            await app.refresh_snapshot()
            await self._refused(error)
            return
        self.busy = False
        self._finish(receipt.words, good=True, outcome="paid" if receipt.paid else "approved")

    async def _refused(self, error: PhoneError) -> None:
        gone = error.code in ("unknown_step_up", "order_changed", "not_enrolled_any_more")
        text = self.phone_app.in_words(error)
        if gone:
            signed = self.offer.transaction_id in self.phone_app.desk.signed_once
            self._finish(text, good=False, outcome="signed; not known what came of it" if signed else "not signed")
        else:
            self.say(text, "bad")
        await self.phone_app.heard(error)

    def action_decline(self) -> None:
        if self.busy or self.done or not self._ready:
            return
        self.busy = True
        self.say("…")
        self.in_background(self._decline(), "approval")

    async def _decline(self) -> None:
        app = self.phone_app
        try:
            await app.do(lambda: app.till.decline(self.offer))
        except PhoneError as error:
            self.busy = False
            await self._refused(error)
            return
        self.busy = False
        signed = "The No was signed." if self.offer.push else self._what_was_signed()
        self._finish(f"Declined. {signed}", good=False, outcome="declined")

    def action_unlock_sensor(self) -> None:
        self.in_background(self._unlock_sensor(), "ask")

    async def _unlock_sensor(self) -> None:
        from authenticator.tui.views.pin_pad import PinPad

        app = self.phone_app
        pin = await app.stage.ask(PinPad("PIN", "The screen lock's PIN frees the sensor.", digits_only=True))
        if pin:
            outcome = await app.do(lambda: app.handset.enter_pin(pin))
            await app.refresh_snapshot()
            self.say("The sensor is free again." if outcome.matched else words.outcome(outcome.result, pin=True))
            self.refresh_bindings()

    async def action_back(self) -> None:
        if not self.busy:
            self.phone_app.desk.later.append(self.offer.transaction_id)
            self.phone_app.desk.put_away()
            await self.phone_app.stage.close(self)
            self.phone_app.panes.touch()
            await self.phone_app.approvals.show_next()

    def withdrawn(self) -> None:
        """The server does not list it any more."""
        if not self.busy and not self.done:
            self._finish(f"It was withdrawn. {self._what_was_signed()}", good=False, outcome="withdrawn")

    def _what_was_signed(self) -> str:
        """A refused approval was signed all the same, also where its order is put away and shown again."""
        before = self.offer.transaction_id in self.phone_app.desk.signed_once
        return "It was signed before." if before else "Nothing was signed."

    def say(self, text: str, kind: str = "") -> None:
        """A line on the sheet."""
        says = self.query_one("#approval-says", Text)
        says.update(text)
        says.display = bool(text)
        says.set_class(kind == "bad", "-bad")
        self._show_sensor()
        self.call_after_refresh(self._look)
        self.refresh_bindings()

    def _finish(self, text: str, *, good: bool, outcome: str) -> None:
        self.done = True
        self.undecided = outcome not in ("paid", "approved", "declined")
        self.phone_app.run_worker(
            self.phone_app.approvals.decided(self, text, good=good, outcome=outcome), group="decided"
        )


def _order(shown: Shown) -> Any:
    if shown.amount is not None:
        yield Text(shown.amount, classes="amount", markup=False)
        for payee in shown.payees:
            several = f"{payee.amount} " if len(shown.payees) > 1 and payee.amount else ""
            yield Text(f"{several}to {payee.name}", classes="payee", markup=False)
            if payee.account:
                yield Text(payee.account, classes="account", markup=False)
    for note in shown.notes:
        yield Text(f"⚠ {note}", classes="note", markup=False)
    yield Text("All that will be signed", classes="rule", markup=False)
    for path, value in shown.details:
        yield Text(Content.assemble((f"{path} ", "$muted"), value), classes="detail", markup=False)
