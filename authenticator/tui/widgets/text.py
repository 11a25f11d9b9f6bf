"""Text on the screen. Most of it is told anew whenever anything has changed; only what reads otherwise is drawn and laid out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.visual import VisualType


class Text(Static):
    """As `Static`; an update with the text that stands there already costs nothing."""

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show this.

        Args:
            content: The new text.
            layout: Lay the screen out too, since the text may have another size.
        """
        if not _same(content, self.content):
            super().update(content, layout=layout)


def _same(one: VisualType, other: VisualType) -> bool:
    """The same words in the same colours; of other things than text it is not known."""
    if isinstance(one, Content) and isinstance(other, Content):
        return one.is_same(other)  # `==` leaves the colours out
    return isinstance(one, str) and isinstance(other, str) and one == other
