"""The guided first run, and the way back in when the server has forgotten the phone: find or start a server, enrol, pay once."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Button

from authenticator.errors import PhoneError
from authenticator.tui.demo_details import DEMO, TEST_PAYMENT
from authenticator.tui.views.base import View
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Step(Enum):
    """Where the newcomer stands."""

    LOOKING = auto()
    NO_SERVER = auto()
    READY = auto()
    BUSY = auto()
    ENROLLED = auto()
    PAID = auto()


_BUTTONS = {
    Step.NO_SERVER: "Start a server here",
    Step.READY: "Enrol with the demo user",
    Step.ENROLLED: "Make a test payment",
    Step.PAID: "Go to Home",
}


class Welcome(View):
    """Enter always does the next thing."""

    HELP = """Three steps, each with Enter: find (or start) a server, enrol this phone with the demo user, make a test payment.

Enrolling logs in, reads the activation code from the phone's own SMS, makes two keys in the simulated secure hardware (one for use
with the passcode, one that only a fingerprint or face releases) and has them attested.

C enrols with another user, dialect or phone."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "nothing", show=False),
        Binding("enter", "next", "Next", key_display="⏎"),
        Binding("c", "change", "Other user"),
        Binding("r", "look", "Look again"),
        Binding("h", "home", "Home"),
    ]

    def __init__(self, *, lost: bool = False) -> None:
        super().__init__(name="welcome")
        self.step = Step.LOOKING
        self.lost = lost

    def compose(self) -> ComposeResult:
        yield Text("A phone for your bank's step-up", id="welcome-title", markup=False)
        yield Text("", id="welcome-steps", markup=False)
        yield Text("", id="welcome-says", markup=False)
        button = Button("", id="welcome-next")
        button.can_focus = False
        yield button

    def on_mount(self) -> None:
        self.set_step(Step.LOOKING, "Looking for a server …")
        self.action_look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next":
            return self.step in _BUTTONS
        if action == "change":
            return self.step in (Step.READY, Step.ENROLLED)
        if action == "look":
            return self.step is Step.NO_SERVER
        if action == "home":
            return self.phone_app.is_enrolled()
        return True

    def set_step(self, step: Step, says: str) -> None:
        """Show where the newcomer stands, and what Enter does."""
        self.step = step
        self.query_one("#welcome-steps", Text).update(self._list())
        self.query_one("#welcome-says", Text).update(says)
        button = self.query_one("#welcome-next", Button)
        button.display = step in _BUTTONS
        button.label = _BUTTONS.get(step, "")
        self.refresh_bindings()

    def _list(self) -> str:
        busy = 2 if self.phone_app.is_enrolled() and not self.lost else 1
        done = {Step.LOOKING: 0, Step.NO_SERVER: 0, Step.READY: 1, Step.BUSY: busy, Step.ENROLLED: 2, Step.PAID: 3}[
            self.step
        ]
        names = ("a server", "this phone enrolled", "a payment approved")
        return "\n".join(f"{'✓' if index < done else '–'} {name}" for index, name in enumerate(names))

    # --- steps ------------------------------------------------------------------------------------------------------------

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_next()

    def action_nothing(self) -> None:
        """There is nothing below."""

    async def action_home(self) -> None:
        """The six apps."""
        await self.phone_app.action_home()

    def action_next(self) -> None:
        steps = {
            Step.NO_SERVER: self._start_server,
            Step.READY: self._enrol,
            Step.ENROLLED: self._pay,
            Step.PAID: self.phone_app.action_home,
        }
        self.in_background(steps[self.step](), "step")

    def action_look(self) -> None:
        self.in_background(self._look(), "welcome")

    async def _look(self) -> None:
        app = self.phone_app
        try:
            await app.do(app.handset.find_server)
        except PhoneError as error:
            if app.own_server.wanted:
                await self._start_server()
            else:
                self.set_step(Step.NO_SERVER, app.in_words(error))
            return
        if app.is_enrolled() and not self.lost:
            self.set_step(Step.ENROLLED, "This phone is enrolled.")
            return
        lost = "The server does not know this phone any more: it was reset, or the device was revoked.\n\n"
        self.set_step(Step.READY, (lost if self.lost else "") + f"A server answers at {app.handset.url}.")

    async def _start_server(self) -> None:
        self.set_step(Step.LOOKING, "Starting a server …")
        try:
            await self.phone_app.own_server.start()
        except PhoneError as error:
            self.set_step(Step.NO_SERVER, error.message)
            return
        await self._look()

    async def _enrol(self) -> None:
        app, demo = self.phone_app, DEMO["bank"]
        self.set_step(Step.BUSY, "Enrolling: login, SMS code, two keys, their attestation …")
        try:
            await app.owning.enrol("bank", demo.user, demo.secret, number=demo.number, api_key=demo.api_key)
        except PhoneError as error:
            self.set_step(Step.READY, app.in_words(error))
            return
        self.enrolled()

    def enrolled(self) -> None:
        """The phone is enrolled (here, or by the form)."""
        self.lost = False
        order = TEST_PAYMENT
        self.set_step(
            Step.ENROLLED,
            f"Enrolled, with two keys in the secure hardware.\n\nNow pay {order['amount']} {order['currency']} to "
            f"{order['payee']}: the bank will ask this phone to confirm it.",
        )

    async def _pay(self) -> None:
        self.set_step(Step.BUSY, "Asking the bank …")
        if not await self.phone_app.approvals.pay(dict(TEST_PAYMENT)):
            self.set_step(Step.ENROLLED, "No payment was begun.")

    def decided(self, *, good: bool, text: str, transaction_id: str) -> None:
        """The first payment's sheet has closed."""
        if good:
            self.set_step(Step.PAID, text)
            self.in_background(self._say_verdict(text, transaction_id), "verdict")
        elif self.step is Step.BUSY:
            self.set_step(Step.ENROLLED, text)

    async def _say_verdict(self, text: str, transaction_id: str) -> None:
        """Whether that was strong customer authentication, the verdict on this very transaction says, and nobody else."""
        from authenticator.tui import reviewing

        handset = self.phone_app.handset

        def look() -> str:
            found = reviewing.find_transaction(handset, transaction_id)
            return reviewing.in_a_sentence(None if found is None else reviewing.verdict_of(handset, found))

        try:
            says = await self.phone_app.do(look)
        except PhoneError:
            says = "The server does not show its verdict here."
        if self.step is Step.PAID:
            self.set_step(Step.PAID, f"{text}\n\n{says}")

    def action_change(self) -> None:
        self.phone_app.open_view("enrol_form")

    def show(self) -> None:
        """A view above has closed."""
        if self.step in (Step.READY,) and self.phone_app.is_enrolled() and not self.lost:
            self.enrolled()
