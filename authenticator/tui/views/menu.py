"""A list of things to do, each with a letter: for the keyboard the letter, for the mouse the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.tui.views.base import View

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


# Cells of a line in the narrowest phone.
LINE: Final = 35


@dataclass(frozen=True, slots=True)
class Item:
    """One line: the action's name, its key, what it is called, how it stands now."""

    action: str
    key: str
    label: str
    value: str = ""


class Menu(View):
    """A view that is such a list."""

    def items(self) -> list[Item]:
        """The lines as they stand now."""
        raise NotImplementedError

    def body(self) -> ComposeResult:
        yield OptionList(markup=False, compact=True)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    def show(self) -> None:
        listing, items = self.query_one(OptionList), self.items()
        if listing.option_count == len(items):
            for index, item in enumerate(items):
                listing.replace_option_prompt_at_index(index, _prompt(item))
            return
        listing.set_options([Option(_prompt(item)) for item in items])
        listing.highlighted = 0

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        item = self.items()[event.option_index]
        if item.action:
            await self.run_action(item.action)


def _prompt(item: Item) -> Content:
    gap = LINE - 2 - len(item.label) - len(item.value)
    value = " " * gap + item.value if gap > 0 else f"\n  {item.value}"
    return Content.assemble((f"{item.key} ", "$accent"), item.label, (value, "$muted"))
