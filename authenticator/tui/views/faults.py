"""Faults: the phone lies on purpose. Each with what it simulates, the attack behind it, and the check that it trips."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from authenticator.tui.views.base import View

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from authenticator.faults import Fault

_GROUPS = {
    "binding": "The order",
    "challenge": "The challenge",
    "assertion": "The signature",
    "client_data": "The signature",
    "factor": "The factors",
    "secret": "The factors",
    "attestation": "The attestation",
    "credential": "The enrolment",
    "evidence": "The evidence",
    "transaction": "The transaction",
    "user": "The account",
}


class Faults(View):
    """Enter arms or disarms; at most one is armed."""

    TITLE = "Faults"
    HELP = """Choose how the phone lies; Enter arms it, Enter again (or N) makes the phone honest. It acts in the next enrolment, approval
or payment, where it belongs, until you disarm it. The status bar shows it all the time.

Under each stands the check that it must trip; look for ✗ in the reviewer's pane."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "none", "Honest")]

    def __init__(self) -> None:
        super().__init__(id="faults")
        self._table: dict[str, Fault] = {}

    def body(self) -> ComposeResult:
        yield OptionList(markup=False, compact=True)
        yield Static("", id="fault-says", markup=False)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    async def on_mount(self) -> None:
        from authenticator import faults

        self._table = await self.phone_app.do(lambda: dict(faults.FAULTS))
        self._fill()

    def show(self) -> None:
        self._fill()

    def _fill(self) -> None:
        listing = self.query_one(OptionList)
        chosen, armed = listing.highlighted, self.phone_app.handset.fault
        ordered = sorted(self._table.values(), key=lambda fault: (_group(fault), fault.name))
        listing.clear_options()
        for group, members in groupby(ordered, _group):
            listing.add_option(Option(Content.styled(group, "bold"), disabled=True))
            listing.add_options([Option(_prompt(fault, armed=fault.name == armed), id=fault.name) for fault in members])
        if ordered:
            listing.highlighted = chosen if chosen is not None else 1

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        fault = self._table.get(event.option.id or "")
        says = self.query_one("#fault-says", Static)
        says.update("" if fault is None else _about(fault))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = event.option.id
        handset = self.phone_app.handset
        handset.fault = None if handset.fault == name else name
        self._fill()
        self.phone_app.show_status()

    def action_none(self) -> None:
        self.phone_app.handset.fault = None
        self._fill()
        self.phone_app.show_status()


def _group(fault: Fault) -> str:
    return _GROUPS.get(fault.check.split(".")[0], "Other")


def _prompt(fault: Fault, *, armed: bool) -> Content:
    return Content.assemble(("⚠ " if armed else "  ", "$warning"), (fault.name, "bold $warning" if armed else ""))


def _about(fault: Fault) -> Content:
    return Content.assemble(
        f"{_sentence(fault.simulates)}\n",
        (f"Attack: {fault.attack}\n", "$text-muted"),
        ("trips ", "$text-muted"),
        ("✗ ", "$error"),
        (fault.check, "bold"),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
