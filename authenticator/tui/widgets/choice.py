"""Something to click: a choice, with its key before its name, or a line of text that leads on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.message import Message

from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual import events


class Pressable(Text):
    """Posts `Pressed` when it is clicked."""

    class Pressed(Message):
        """It was clicked."""

        def __init__(self, choice: str) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, choice: str, text: Content | str = "", **options: Any) -> None:
        super().__init__(text, name=choice, markup=False, **options)
        self._choice = choice

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Pressed(self._choice))


class Choice(Pressable):
    """For the mouse what a key of the view around it is for the keyboard."""

    def __init__(self, key: str, label: str, choice: str) -> None:
        super().__init__(choice, Content.assemble((key, "bold $accent"), f" {label}"), classes="choice")
