"""Faults: the phone lies on purpose. Each with what it simulates, the attack behind it, and the check that it trips."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.tui.views.base import View
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from authenticator.faults import Fault

# What is attacked, in the order of the list, and the first parts of the checks that notice.
_GROUPS: Final = {
    "The order": ("binding",),
    "The signature": ("assertion", "client_data", "authenticator_data"),
    "The challenge": ("challenge", "transaction"),
    "The factors": ("secret", "evidence", "user"),
    "The enrolled key": ("credential",),
    "The attestation": ("attestation",),
    "The iPhone's app": ("app_attest",),
}


class Faults(View):
    """Enter arms or disarms; at most one is armed."""

    TITLE = "Faults"
    HELP = """Choose how the phone lies; Enter arms it, Enter again (or N) makes the phone honest. It acts in the next enrolment, approval
or payment, where it belongs, until you disarm it. The status bar shows it all the time.

Under each stands the check that it must trip; look for ✗ in the reviewer's pane."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "none", "Honest")]

    def __init__(self) -> None:
        super().__init__(name="faults")
        self._table: dict[str, Fault] = {}

    def body(self) -> ComposeResult:
        yield OptionList(markup=False, compact=True)
        yield Text("", id="fault-says", markup=False)

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
        ordered = sorted(self._table.values(), key=_place)
        listing.clear_options()
        for group, members in groupby(ordered, _group):
            listing.add_option(Option(Content.styled(group, "bold"), disabled=True))
            listing.add_options([Option(_prompt(fault, armed=fault.name == armed), id=fault.name) for fault in members])
        if ordered:
            listing.highlighted = chosen if chosen is not None else 1

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        fault = self._table.get(event.option.id or "")
        says = self.query_one("#fault-says", Text)
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
    attacked = fault.check.split(".")[0]
    return next((group for group, checks in _GROUPS.items() if attacked in checks), "Other")


def _place(fault: Fault) -> tuple[int, str]:
    group = _group(fault)
    return list(_GROUPS).index(group) if group in _GROUPS else len(_GROUPS), fault.name


def _prompt(fault: Fault, *, armed: bool) -> Content:
    return Content.assemble(("⚠ " if armed else "  ", "$warning"), (fault.name, "bold $warning" if armed else ""))


def _about(fault: Fault) -> Content:
    return Content.assemble(
        f"{_sentence(fault.simulates)}\n",
        (f"Attack: {fault.attack}\n", "$muted"),
        ("trips ", "$muted"),
        ("✗ ", "$error"),
        (fault.check, "bold"),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
