"""A keypad with dots: for the screen lock's PIN and the bank's passcode, by digits or by mouse. What is typed is never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Center, Grid, Vertical
from textual.message import Message

from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

LONGEST: Final = 16
_KEYS: Final = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "⌫", "0", "✓")


class Key(Text):
    """One key of the pad, for the mouse."""

    class Pressed(Message):
        """It was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, key: str) -> None:
        super().__init__(key, classes="pin-key", markup=False)
        self._key = key

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Pressed(self._key))


class PinEntry(Vertical, can_focus=True):
    """Takes digits, posts `Entered` on Enter. `?`, Esc and the like go to the view around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Enter", key_display="⏎"),
        Binding("backspace", "erase", "Erase", show=False),
    ]

    class Entered(Message):
        """The user has given a code."""

        def __init__(self, code: str) -> None:
            super().__init__()
            self.code = code

    def __init__(self, *, digits_only: bool = False, name: str = "") -> None:
        super().__init__(id=name or None, classes="pin-entry")
        self._digits_only = digits_only
        self._digits = ""

    def compose(self) -> ComposeResult:
        yield Text("○ ○ ○ ○", classes="dots")
        with Center(), Grid(classes="keypad"):
            for key in _KEYS:
                yield Key(key)

    def on_key(self, event: events.Key) -> None:
        typed = event.character or ""
        if typed.isascii() and (typed.isdigit() or (typed.isalnum() and not self._digits_only)):
            event.stop()
            event.prevent_default()
            self._type(typed)

    def on_key_pressed(self, message: Key.Pressed) -> None:
        message.stop()
        key = message.key
        if key == "✓":
            self.action_enter()
        elif key == "⌫":
            self.action_erase()
        else:
            self._type(key)

    def _type(self, character: str) -> None:
        if len(self._digits) < LONGEST:
            self._digits += character
            self._show()

    def action_erase(self) -> None:
        self._digits = self._digits[:-1]
        self._show()

    def action_enter(self) -> None:
        if self._digits:
            code, self._digits = self._digits, ""
            self._show()
            self.post_message(self.Entered(code))

    def _show(self) -> None:
        typed = len(self._digits)
        dots = ["●"] * typed + ["○"] * max(0, 4 - typed)
        self.query_one(".dots", Text).update(" ".join(dots))
