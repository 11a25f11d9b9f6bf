"""Views that only say something: the help of a screen, and what is wrong when the phone cannot start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from authenticator.tui.views.base import Heading, View
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


class Help(View):
    """What a screen does, in words, and every key that it knows."""

    HELP = "Esc closes the help."

    def __init__(self, about: View) -> None:
        super().__init__(name="help")
        self._about = about

    def compose(self) -> ComposeResult:
        yield Heading("Help")
        with VerticalScroll():
            yield Text(_flowing(self._about.HELP), markup=False)
            yield Text(_keys(self._about), classes="help-keys", markup=False)

    def first_focus(self) -> Widget:
        return self.query_one(VerticalScroll)


def _flowing(text: str) -> str:
    """Paragraphs without the line breaks of the source."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _keys(view: View) -> Content:
    bindings = [binding for binding in _bindings(view) if binding.description]
    lines = [
        ((f"{binding.key_display or binding.key:>6} ", "$accent"), f"{binding.description}\n") for binding in bindings
    ]
    return Content.assemble(*(part for line in lines for part in line))


def _bindings(view: View) -> list[Binding]:
    own = [one for key in view._bindings.key_to_bindings for one in view._bindings.key_to_bindings[key]]
    common = [
        Binding("f2", "", "the reviewer's pane"),
        Binding("ctrl+l", "", "lock the phone", key_display="^l"),
        Binding("ctrl+r", "", "look for the server now", key_display="^r"),
        Binding("ctrl+p", "", "everything, by name", key_display="^p"),
        Binding("ctrl+q", "", "quit", key_display="^q"),
    ]
    return [*own, *common]


class Broken(View):
    """The phone's store cannot be opened."""

    HELP = "The phone cannot start. Ctrl+Q quits; another folder: stepup-phone --home DIR."

    def __init__(self, message: str) -> None:
        super().__init__(name="broken")
        self._message = message

    def body(self) -> ComposeResult:
        yield Text("This phone does not start", classes="lead bad", markup=False)
        yield Text(f"{self._message}\n\nCtrl+Q quits. Another phone: stepup-phone --home DIR", markup=False)
