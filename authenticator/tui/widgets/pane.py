"""The reviewer's pane: what went over the wire, what is signed, and the verdict as it arrives. It reads `/_stub`; the phone never does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from authenticator.errors import PhoneError
from authenticator.tui import reviewing
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from authenticator.tui.app import PhoneApp

POLL_SECONDS = 1.0
TALL = 30


class Pane(VerticalScroll, can_focus=True):
    """Three parts, under each other: of the transaction on the phone's screen, or of the newest on this server where none is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pane", "Phone", key_display="esc"),
        Binding("a", "all", "All findings"),
    ]

    def __init__(self) -> None:
        super().__init__(id="pane")
        self.border_title = "What is happening"
        self._after = 0
        self._stale = True
        self._all = False
        self._facts = reviewing.Facts()

    def compose(self) -> ComposeResult:
        for name in ("traffic", "signed", "verdict"):
            yield Text("", id=f"pane-{name}-title", classes="pane-title", markup=False)
            yield Text("", id=f"pane-{name}", classes="pane-part", markup=False)

    def on_mount(self) -> None:
        for name, title in (("traffic", "On the wire"), ("signed", "Will be signed"), ("verdict", "Verdict")):
            self.query_one(f"#pane-{name}-title", Text).update(title)
        self.set_interval(POLL_SECONDS, self._poll)
        self._poll()

    @property
    def phone_app(self) -> PhoneApp:
        return cast("PhoneApp", self.app)

    def touch(self) -> None:
        """Something has happened: look now."""
        self._stale = True
        self._show_signed()
        self._show_verdict()
        self._poll()

    def action_all(self) -> None:
        """All findings, or only those that matter at a glance."""
        self._all = not self._all
        self._show()

    def _poll(self) -> None:
        if self.is_attached and self.region.area and not self.phone_app.handset.airplane.on:
            self.run_worker(self._look(), exclusive=False, group="pane", name="pane") if not self._looking() else None

    def _looking(self) -> bool:
        return any(w.group == "pane" and w.node is self and not w.is_finished for w in self.workers)

    async def _look(self) -> None:
        handset, after, stale, about = self.phone_app.handset, self._after, self._stale, self._about()
        self._stale = False
        try:
            facts = await self.phone_app.do(lambda: reviewing.look(handset, after, about, force=stale))
        except PhoneError as error:
            self._stale = True
            self.query_one("#pane-traffic", Text).update(Content(self.phone_app.in_words(error)))
            return
        if facts is not None:
            # A call is logged before it is answered, and recorded after: look once more for the newest.
            self._stale = self._stale or facts.last != after
            self._after, self._facts = facts.last, facts
            self._show()

    def _about(self) -> str | None:
        """The transaction on the phone's screen."""
        shown = self.phone_app.desk.shown
        return None if shown is None else shown.transaction_id

    def _show(self) -> None:
        most = reviewing.FEW_CALLS if self.size.height < TALL else reviewing.SHOWN_CALLS
        self.query_one("#pane-traffic", Text).update(reviewing.traffic(self._facts, most))
        self._show_verdict()
        self._show_signed()

    def _show_verdict(self) -> None:
        """Never one transaction's verdict beside another's bytes: what was looked up for another order is not shown."""
        current = self._facts.about == self._about()
        said = reviewing.verdict(self._facts, whole=self._all) if current else Content("Not looked up yet.")
        self.query_one("#pane-verdict-title", Text).update(reviewing.title(self._facts) if current else "Verdict")
        self.query_one("#pane-verdict", Text).update(said)

    def _show_signed(self) -> None:
        desk = self.phone_app.desk
        was = desk.signed is not None and desk.signed.step_up.transaction_id == self._about()
        title = f"Was signed · {self._about()}" if was else "Will be signed"
        self.query_one("#pane-signed-title", Text).update(title)
        self.query_one("#pane-signed", Text).update(reviewing.signing(desk.shown, desk.signed))
