"""The stage inside the phone's frame: views on a stack, the topmost has the keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from textual.containers import Container
from textual.css.query import NoMatches

from authenticator.tui.views.base import View

if TYPE_CHECKING:
    from textual.widget import Widget

AnyView = TypeVar("AnyView", bound=View)


class Stage(Container):
    """A stack of views. A full view hides the one below; a sheet lies over it and takes its keys away."""

    def __init__(self) -> None:
        super().__init__(id="stage")
        self.stack: list[View] = []
        self._focus_before: dict[View, Widget | None] = {}

    @property
    def top(self) -> View | None:
        """The view that has the keys."""
        return self.stack[-1] if self.stack else None

    async def open(self, view: AnyView) -> AnyView:
        """Put a view on top."""
        below = self.top
        if below is not None:
            self._focus_before[below] = self.screen.focused
            below.disabled = True
            if not view.SHEET:
                for hidden in self.stack:
                    hidden.display = False
        self.stack.append(view)
        await self.mount(view)
        view.show()
        view.first_focus().focus()
        self.call_after_refresh(self.keep_focus)
        return view

    def keep_focus(self) -> None:
        """The topmost view has the keys, whatever the removal of another one did to the focus. One that is just being mounted, and has
        no parts yet, is given them when it is open."""
        focused, top = self.screen.focused, self.top
        if (
            top is not None
            and top.children
            and (focused is None or (focused is not top and self in focused.ancestors and top not in focused.ancestors))
        ):
            with suppress(NoMatches):
                top.first_focus().focus()

    async def ask(self, view: View) -> Any:
        """Open a view and wait for its answer; None where it was closed without one. To be awaited in a worker."""
        view.answer = asyncio.get_running_loop().create_future()
        await self.open(view)
        return await view.answer

    async def close(self, view: View) -> None:
        """Take a view, and whatever lies over it, off the stack; the lowest one stays."""
        if view not in self.stack or view is self.stack[0]:
            return
        while view in self.stack:
            self._pop()
        self._reveal()

    async def home(self) -> None:
        """Only the lowest view is left."""
        while len(self.stack) > 1:
            self._pop()
        self._reveal()

    async def replace_all(self, view: View) -> None:
        """A new lowest view."""
        while self.stack:
            self._pop()
        await self.open(view)

    def _pop(self) -> None:
        # The removal is not awaited: it may be the view's own handler, or its worker, that closes it.
        gone = self.stack.pop()
        self._focus_before.pop(gone, None)
        if gone.answer is not None and not gone.answer.done():
            gone.answer.set_result(None)
        gone.remove()

    def _reveal(self) -> None:
        top = self.top
        if top is None:
            return
        top.disabled = False
        for view in reversed(self.stack):
            view.display = True
            if not view.SHEET:
                break
        top.show()
        before = self._focus_before.pop(top, None)
        target = before if before is not None and before.is_attached and before.focusable else top.first_focus()
        target.focus()
        self.call_after_refresh(self.keep_focus)
