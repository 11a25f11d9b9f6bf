"""A view: one thing that the phone shows. It fills the stage, or lies over what is open (`SHEET`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches

from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from authenticator.tui.app import PhoneApp


class View(Vertical, can_focus=True):
    """Base of all views. `TITLE` stands at its head with the way back; `HELP` is what `?` says.

    A subclass overrides `body` (its widgets), `show` (state has changed) and `tick` (a second has passed).
    """

    TITLE: ClassVar[str] = ""
    HELP: ClassVar[str] = ""
    SHEET: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", key_display="esc")]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.answer: asyncio.Future[Any] | None = None
        self.add_class("view")

    @property
    def phone_app(self) -> PhoneApp:
        return cast("PhoneApp", self.app)

    def compose(self) -> ComposeResult:
        if self.TITLE:
            yield Heading(self.title_text())
        yield from self.body()

    def title_text(self) -> str:
        return self.TITLE

    def body(self) -> ComposeResult:
        """The view's widgets."""
        yield from ()

    def show(self) -> None:
        """The phone's state is another one."""

    def tick(self) -> None:
        """A second has passed on the phone."""

    def first_focus(self) -> Widget:
        """What has the focus when the view is opened."""
        return self

    def in_background(self, work: Coroutine[Any, Any, Any], group: str, *, queue: bool = False) -> None:
        """Run it as the app's worker: a view's own workers would end with it, in the midst of opening the next.

        While one of the same group runs, a second is dropped (Enter pressed twice pays once), or runs too where `queue` says so.
        """
        name = f"{type(self).__name__}.{group}"
        if not queue and any(worker.group == name and not worker.is_finished for worker in self.app.workers):
            work.close()
            return

        stage = self.phone_app.stage

        async def guarded() -> None:
            try:
                await work
            except NoMatches:
                if self in stage.stack:
                    raise  # else the view was closed meanwhile, and there is nothing to show it on

        self.app.run_worker(guarded(), group=name)

    async def action_back(self) -> None:
        """Close the view; an approval that waited because of it slides in."""
        await self.phone_app.stage.close(self)
        await self.phone_app.approvals.show_next()

    async def settle(self, answer: Any) -> None:
        """Close the view with an answer for whoever asked."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(answer)
        await self.phone_app.stage.close(self)


class Heading(Text):
    """The view's name, and the way back for the mouse."""

    def __init__(self, title: str) -> None:
        super().__init__(f"‹ {title}", classes="heading", markup=False)

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        view = self.parent
        if isinstance(view, View):
            await view.action_back()
