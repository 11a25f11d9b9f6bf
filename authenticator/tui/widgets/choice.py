"""Something to click that also has a key: the key stands before its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from textual import events


class Choice(Static):
    """Posts `Pressed` for the mouse; the key itself is a binding of the view around it."""

    class Pressed(Message):
        """It was clicked."""

        def __init__(self, choice: str) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, key: str, label: str, choice: str) -> None:
        super().__init__(Content.assemble((key, "bold $accent"), f" {label}"), classes="choice", markup=False)
        self._choice = choice

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Pressed(self._choice))
