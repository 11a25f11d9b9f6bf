"""How the screen looks and whether it moves: three themes and reduced motion, remembered beside the phone's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

from authenticator.tui.themes import THEMES

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp


class Looks:
    """The app's theme and motion. `still`: nothing moves, whatever is remembered."""

    def __init__(self, app: PhoneApp, *, still: bool) -> None:
        self.app = app
        self.still = still
        for theme in THEMES:
            app.register_theme(theme)
        # Before anything is painted: a theme that is set later has every style worked out twice.
        app.set_reactive(App.theme, THEMES[0].name)
        app.add_class(f"-theme-{THEMES[0].name}", "-dark-mode")
        app.stylesheet.set_variables(app.get_css_variables())

    @property
    def reduced(self) -> bool:
        """Nothing slides."""
        return self.app.animation_level == "none"

    async def recall(self) -> None:
        """As it looked last time."""
        from authenticator.tui.preferences import read

        kept = await self.app.do(lambda: read(self.app.handset.folder))
        self.app.theme = kept.theme
        if self.still or kept.still:
            self.app.animation_level = "none"

    def next_theme(self) -> None:
        """Dark, light, high contrast, and dark again."""
        names = [theme.name for theme in THEMES]
        here = names.index(self.app.theme) if self.app.theme in names else -1
        self.app.theme = names[(here + 1) % len(names)]
        self.app.say(f"Theme: {self.app.theme.removeprefix('phone-')}")
        self._keep()

    def next_motion(self) -> None:
        """Full, or reduced."""
        self.app.animation_level = "full" if self.reduced else "none"
        self.app.say("Nothing slides any more." if self.reduced else "Things slide again.")
        self._keep()

    def _keep(self) -> None:
        from authenticator.tui.preferences import Preferences, write

        kept, folder = Preferences(self.app.theme, self.reduced), self.app.handset.folder
        self.app.run_worker(self.app.do(lambda: write(folder, kept)))
