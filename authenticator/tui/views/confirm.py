"""One question before something that cannot be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from authenticator.tui.views.base import Heading, View
from authenticator.tui.widgets.choice import Choice
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Confirm(View):
    """Answers True, or None."""

    HELP = "Y does it, Esc leaves everything as it is."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "yes", "Do it")]

    def __init__(self, title: str, question: str, button: str) -> None:
        super().__init__(name="confirm")
        self._title, self._question, self._button = title, question, button

    def compose(self) -> ComposeResult:
        yield Heading(self._title)
        yield Text(self._question, classes="question", markup=False)
        with Horizontal(classes="choices"):
            yield Choice("Y", self._button, "yes")
            yield Choice("Esc", "leave it", "no")

    async def on_pressable_pressed(self, message: Choice.Pressed) -> None:
        message.stop()
        await (self.action_yes() if message.choice == "yes" else self.action_back())

    async def action_yes(self) -> None:
        await self.settle(True)
