"""One question before something that cannot be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Button, Static

from authenticator.tui.views.base import Heading, View

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Confirm(View):
    """Answers True, or None."""

    HELP = "Y does it, Esc leaves everything as it is."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "yes", "Do it")]

    def __init__(self, title: str, question: str, button: str) -> None:
        super().__init__(id="confirm")
        self._title, self._question, self._button = title, question, button

    def compose(self) -> ComposeResult:
        yield Heading(self._title)
        yield Static(self._question, classes="question", markup=False)
        for label, name in ((f"Y  {self._button}", "yes"), ("Esc  Leave it", "no")):
            button = Button(label, name=name, compact=True, classes="answer")
            button.can_focus = False
            yield button

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await (self.action_yes() if event.button.name == "yes" else self.action_back())

    async def action_yes(self) -> None:
        await self.settle(True)
