"""The limit of the phone's start: a Textual app that fills the screen with text and does nothing else."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class Bare(App[None]):
    def compose(self) -> ComposeResult:
        yield Static(("a bare Textual app " * 6 + "\n") * 40)


Bare().run()
