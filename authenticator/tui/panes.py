"""Where the reviewer's pane stands: beside the phone in a wide terminal, in its place in a narrow one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp
    from authenticator.tui.widgets.pane import Pane

WIDE: Final = 100


class Panes:
    """The pane is made when it is first wanted."""

    def __init__(self, app: PhoneApp) -> None:
        self.app = app

    async def add_if_wide(self) -> None:
        """There is room for it."""
        if self.app.size.width >= WIDE and self.app.has_started:
            await self._add()

    async def toggle(self) -> None:
        """Show it, or hide it; in a narrow terminal it takes the keys."""
        pane, base = await self._add(), self.app.screen_stack[0]
        base.toggle_class("-pane")
        top = self.app.stage.top
        if base.has_class("-narrow") and base.has_class("-pane"):
            pane.focus()
        elif top is not None:
            top.first_focus().focus()
        pane.touch()

    def touch(self) -> None:
        """Something has happened that the reviewer wants to see."""
        from authenticator.tui.widgets.pane import Pane

        for pane in self.app.screen_stack[0].query(Pane):
            pane.touch()

    async def _add(self) -> Pane:
        from authenticator.tui.widgets.pane import Pane

        base = self.app.screen_stack[0]
        if not base.query(Pane):
            await base.query_one("#desk").mount(Pane())
        return base.query_one(Pane)
