"""The phone's own status: its clock, which phone it is, airplane mode, the line to its server; below it what must not be overlooked."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from authenticator.tui.widgets.text import Text


class StatusBar(Vertical):
    """One line, and under it the armed fault and a notice, where there are any."""

    def __init__(self) -> None:
        super().__init__(id="status")

    def compose(self) -> ComposeResult:
        with Horizontal(id="status-line"):
            yield Text("--:--", id="clock", markup=False)
            yield Text("", id="model", markup=False)
            yield Text("", id="signs", markup=False)
        yield Text("", id="fault-mark", markup=False)
        yield Text("", id="notice", markup=False)

    def set_line(self, clock: str, model: str, signs: str) -> None:
        """Clock, model, and the signs at the right."""
        for name, text in (("#clock", clock), ("#model", model), ("#signs", signs)):
            self.query_one(name, Text).update(text)

    def set_fault(self, name: str | None) -> None:
        """Nobody should forget that the phone lies on purpose."""
        mark = self.query_one("#fault-mark", Text)
        mark.display = name is not None
        mark.update(f"⚠ {name}")

    def set_notice(self, text: str, kind: str = "") -> None:
        """A line of news; empty for none. `kind`: `good`, `bad` or nothing."""
        notice = self.query_one("#notice", Text)
        notice.display = bool(text)
        notice.set_class(kind == "good", "-good")
        notice.set_class(kind == "bad", "-bad")
        notice.update(text)
