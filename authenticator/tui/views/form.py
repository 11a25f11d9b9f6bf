"""Forms: a few labelled fields and one button. A new payment; an enrolment with other details."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input

from authenticator.errors import PhoneError
from authenticator.tui.demo_details import DEMO, TEST_PAYMENT
from authenticator.tui.views.base import Heading, View
from authenticator.tui.widgets.choice import Choice
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form."""

    name: str
    label: str
    value: str
    secret: bool = False


Send = Callable[[dict[str, str]], Awaitable[None]]


class Form(View):
    """Enter in any field calls `send` with all values by name, whose `PhoneError` is shown on the form; Tab walks."""

    BUTTON: ClassVar[str] = "Send"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", key_display="⏎"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, name: str, fields: tuple[Field, ...], send: Send) -> None:
        super().__init__(name=name)
        self._fields, self._send_values = fields, send

    def compose(self) -> ComposeResult:
        yield Heading(self.title_text())
        with VerticalScroll(classes="form", can_focus=False):
            for field in self._fields:
                yield Text(field.label, classes="label", markup=False)
                box = Input(field.value, id=f"field-{field.name}", password=field.secret, compact=True)
                box.cursor_blink = self.app.animation_level != "none"
                yield box
        yield Text("", classes="form-says", markup=False)
        yield Choice("⏎", self.BUTTON, "send")

    def first_focus(self) -> Widget:
        return self.query(Input).first()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_send()

    def on_pressable_pressed(self, message: Choice.Pressed) -> None:
        message.stop()
        self.action_send()

    def action_send(self) -> None:
        self.in_background(self._send(), "form")

    async def _send(self) -> None:
        values = {field.name: self.query_one(f"#field-{field.name}", Input).value for field in self._fields}
        self.say("…")
        try:
            await self._send_values(values)
        except PhoneError as error:
            self.say(self.phone_app.in_words(error))

    def say(self, text: str) -> None:
        """A line above the button."""
        self.query_one(".form-says", Text).update(text)


class PaymentForm(Form):
    """A payment from the phone's own bank app."""

    TITLE = "New payment"
    BUTTON = "Ask the bank"
    HELP = """A payment from this phone's own bank app; the demo payee is filled in, so Enter is enough. The bank refuses it at first
and asks for a step-up: the approval slides in here.

Try a name with hidden characters: the approval shows them."""

    def __init__(self) -> None:
        labels = {
            "amount": "Amount",
            "currency": "Currency",
            "payee": "To",
            "sort_code": "Sort code",
            "account": "Account number",
        }
        fields = tuple(Field(name, label, TEST_PAYMENT[name]) for name, label in labels.items())
        super().__init__("payment-form", fields, self._pay)

    async def _pay(self, values: dict[str, str]) -> None:
        if await self.phone_app.approvals.pay(values, then_close=self):
            return
        self.say("No payment was begun.")


class EnrolForm(Form):
    """An enrolment with other details than the demo user's."""

    TITLE = "Enrol"
    BUTTON = "Enrol"
    HELP = """Enrolling again replaces the enrolment at the same server and dialect. The dialect is bank or weavr. The activation code is
read from this phone's own SMS. To be another phone, choose its profile in Setup first."""

    def __init__(self) -> None:
        demo = DEMO["bank"]
        fields = (
            Field("dialect", "Dialect (bank or weavr)", "bank"),
            Field("user", "User", demo.user),
            Field("secret", "Passcode, or password", demo.secret, secret=True),
            Field("number", "This phone's number", demo.number),
            Field("api_key", "The client's API key", demo.api_key),
        )
        super().__init__("enrol-form", fields, self._enrol)

    async def _enrol(self, values: dict[str, str]) -> None:
        demo = DEMO.get(values["dialect"])
        if values["dialect"] == "weavr" and demo is not None and values["user"] == DEMO["bank"].user:
            values = values | {"user": demo.user, "secret": demo.secret}
        await self.phone_app.owning.enrol(
            values["dialect"], values["user"], values["secret"], number=values["number"], api_key=values["api_key"]
        )
        await self.phone_app.stage.close(self)
