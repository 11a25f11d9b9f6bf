"""A list of things to do, each with a letter: for the keyboard the letter, for the mouse the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

# Cells of a line in the narrowest phone.
LINE: Final = 35


@dataclass(frozen=True, slots=True)
class Item:
    """One line: the action's name, its key, what it is called, how it stands now."""

    action: str
    key: str
    label: str
    value: str = ""


class Menu(OptionList):
    """Posts `OptionSelected` with the line's index."""

    def __init__(self) -> None:
        super().__init__(markup=False, compact=True)

    def show_items(self, items: Sequence[Item]) -> None:
        """The lines as they stand now; the highlighted one stays."""
        if self.option_count == len(items):
            for index, item in enumerate(items):
                self.replace_option_prompt_at_index(index, _prompt(item))
            return
        self.set_options([Option(_prompt(item)) for item in items])
        self.highlighted = 0


def _prompt(item: Item) -> Content:
    gap = LINE - 2 - len(item.label) - len(item.value)
    value = " " * gap + item.value if gap > 0 else f"\n  {item.value}"
    return Content.assemble((f"{item.key} ", "$accent"), item.label, (value, "$muted"))
