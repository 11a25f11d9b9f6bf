"""When the lock screen comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from authenticator.tui.app import PhoneApp
    from authenticator.tui.views.lock import Lock


class LockScreen:
    """At most one, over whatever is open."""

    def __init__(self, app: PhoneApp) -> None:
        self.app = app

    async def lock(self) -> None:
        """Lock the phone and show it."""
        if self._shown() or not self.app.has_started:
            return
        await self.app.do(self.app.handset.lock)
        await self.app.refresh_snapshot()
        await self.show()

    async def show(self) -> None:
        """The phone is locked already: after a reboot, or since it was last used."""
        from authenticator.tui.views.lock import Lock

        await self.app.stage.open(Lock())

    async def leave(self) -> None:
        """The phone is unlocked; what waited may slide in."""
        for view in self._shown():
            await self.app.stage.close(view)
        await self.app.approvals.show_next()

    def _shown(self) -> list[Lock]:
        from authenticator.tui.views.lock import Lock

        return [view for view in self.app.stage.stack if isinstance(view, Lock)]
