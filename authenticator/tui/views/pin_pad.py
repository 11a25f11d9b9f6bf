"""A keypad that asks for one secret: the bank's passcode, or the screen lock's PIN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authenticator.tui.views.base import Heading, View
from authenticator.tui.widgets.pin_entry import PinEntry
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


class PinPad(View):
    """Answers with what was typed."""

    HELP = "Type it, or click the keys. Enter sends it, Esc goes back without it. What you type is never shown."

    def __init__(self, title: str, why: str, *, hint: str = "", digits_only: bool = False) -> None:
        super().__init__(name="pin-pad")
        self._title, self._why, self._hint, self._digits_only = title, why, hint, digits_only

    def compose(self) -> ComposeResult:
        yield Heading(self._title)
        yield Text(self._why, classes="lead", markup=False)
        yield PinEntry(digits_only=self._digits_only)
        yield Text(self._hint, classes="hint", markup=False)

    def first_focus(self) -> Widget:
        return self.query_one(PinEntry)

    async def on_pin_entry_entered(self, message: PinEntry.Entered) -> None:
        message.stop()
        await self.settle(message.code)
