"""The line of key hints: at most six, those that work now. The view's own come first; help and pane where there is room.

Not Textual's Footer: that one makes new widgets at every change of focus and keeps the old ones bound to itself, so that memory grows with
each approval (Textual 8.2). Here six labels stay, and only their text changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual.containers import Horizontal
from textual.content import Content

from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import Binding

MOST: Final = 6
_COMMON: Final = ("question_mark", "f2")
_PALETTE: Final = "ctrl+p"


class Hint(Text):
    """One key and what it does; a click presses it."""

    def __init__(self) -> None:
        super().__init__("", classes="hint-key", markup=False)
        self.key = self.description = ""

    def tell(self, binding: Binding | None) -> None:
        """Show this binding, or nothing."""
        self.display = binding is not None
        if binding is not None:
            self.key, self.description = binding.key, binding.description
            shown = self.app.get_key_display(binding)
            self.update(Content.assemble((shown, "bold $accent"), f" {binding.description}"))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.app.simulate_key(self.key)


class Hints(Horizontal, can_focus=False):
    """Chooses among the bindings that are active."""

    def compose(self) -> ComposeResult:
        for _ in range(MOST):
            yield Hint()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._choose)
        self._choose()

    def _choose(self, _: Any = None) -> None:
        if not self.is_attached:
            return
        active = [
            entry.binding for entry in self.screen.active_bindings.values() if entry.enabled and entry.binding.show
        ]
        own = [one for one in active if one.key not in (*_COMMON, _PALETTE)]
        common = [one for name in _COMMON for one in active if one.key == name and not self._needless(name)]
        palette = [entry.binding for entry in self.screen.active_bindings.values() if entry.binding.key == _PALETTE]
        seen: dict[str, Binding] = {}
        for one in [*own, *common]:
            seen.setdefault(one.action, one)
        chosen = [*list(seen.values())[: MOST - len(palette)], *palette]
        for hint, binding in zip(self.query(Hint), [*chosen, *[None] * (MOST - len(chosen))], strict=True):
            hint.tell(binding)

    def _needless(self, name: str) -> bool:
        """The pane stands there already."""
        return name == "f2" and self.screen.has_class("-wide")

    def on_resize(self) -> None:
        self._choose()

    def shown(self) -> list[Hint]:
        """The hints on the screen now."""
        return [hint for hint in self.query(Hint) if hint.display]
