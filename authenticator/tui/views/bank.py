"""Bank: what waits, then the history, with each outcome as the bank told it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.tui.views.base import View
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from authenticator.state import Past


class Bank(View):
    """The bank's app."""

    TITLE = "Bank"
    HELP = """What waits for you stands first; Enter opens it. Below it the history, as the bank told it. N begins a payment.

The bank does not say which element of a refused step-up failed; the reviewer's pane (F2) does."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "app.open('payment_form')", "New payment")]

    def __init__(self) -> None:
        super().__init__(name="bank")

    def body(self) -> ComposeResult:
        yield Text("", id="bank-empty", markup=False)
        yield OptionList(id="bank-list", markup=False, compact=True)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    def show(self) -> None:
        desk, listing = self.phone_app.desk, self.query_one(OptionList)
        chosen = listing.highlighted
        waiting = [
            Option(_waiting(row, answered=row not in desk.waiting()), id=f"wait-{row.get('transactionId')}")
            for row in desk.pending
        ]
        past = [
            Option(_past(entry), disabled=True) for entry in reversed(desk.snapshot.history if desk.snapshot else ())
        ]
        listing.set_options([*waiting, *([None] if waiting and past else []), *past])
        if waiting:
            listing.highlighted = min(chosen or 0, len(waiting) - 1)
        empty = self.query_one("#bank-empty", Text)
        empty.display = not waiting and not past
        empty.update("Nothing waits, and nothing was paid yet.\nN makes a payment.")

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = event.option.id or ""
        if name.startswith("wait-"):
            self.phone_app.approvals.open(name.removeprefix("wait-"))


def _waiting(row: dict[str, object], *, answered: bool) -> Content:
    from authenticator.display import show

    shown = show(str(row.get("kind")), row.get("payload"))
    if answered:
        said = "declined" if row.get("outcome") == "declined" else "answered; its client's call is still to come"
        return Content.assemble("– ", shown.sentence(), (f"\n  {said}", "$muted"))
    return Content.assemble(("● ", "$accent"), (shown.sentence(), "bold"), "\n  waits for you")


def _past(entry: Past) -> Content:
    mark = ("✓ ", "$success") if entry.good else ("✗ ", "$muted")
    at = entry.at[:16].replace("T", " ")
    return Content.assemble(mark, entry.order, (f"\n  {at} {entry.outcome}", "$muted"))
