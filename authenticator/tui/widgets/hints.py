"""The line of key hints: at most six, those that work now. The view's own come first; help and pane where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.widgets import Footer
from textual.widgets._footer import FooterKey

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

MOST: Final = 6
_COMMON: Final = ("question_mark", "f2")


class Hints(Footer):
    """A footer that chooses."""

    def compose(self) -> ComposeResult:
        found = [key for key in super().compose() if isinstance(key, FooterKey)]
        palette = [key for key in found if key.has_class("-command-palette")]
        own = [key for key in found if key not in palette and key.key not in _COMMON]
        common = [key for name in _COMMON for key in found if key.key == name and not self._needless(key)]
        yield from [*own, *common][: MOST - len(palette)]
        yield from palette

    def _needless(self, key: FooterKey) -> bool:
        """The pane stands there already."""
        return key.key == "f2" and self.screen.has_class("-wide")

    def shown(self) -> list[Widget]:
        """The hints on the screen now."""
        return list(self.query(FooterKey))
