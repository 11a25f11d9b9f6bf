"""Security: a card for each key, its attestation in words, and the way to enrol again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.errors import PhoneError
from authenticator.tui.handset import LEVELS
from authenticator.tui.views.base import View
from authenticator.tui.views.confirm import Confirm
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

_GUARDS = {"none": "with the passcode; no user check", "biometric": "strong biometric, for every use"}


class Security(View):
    """Keys in the secure hardware."""

    TITLE = "Security"
    HELP = """A card for each key: what guards it, where it lives, how often it has signed. Enter opens its attestation: certificate by
certificate, and what the secure hardware says about the key, in words.

E enrols the phone again (new keys; the old ones are deleted), W wipes it."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "attestation", "Attestation", key_display="⏎"),
        Binding("e", "enrol", "Enrol again"),
        Binding("w", "wipe", "Wipe"),
    ]

    def __init__(self) -> None:
        super().__init__(name="security")

    def body(self) -> ComposeResult:
        yield Text("This phone has no keys. E enrols it.", classes="empty", markup=False)
        yield OptionList(markup=False, compact=True)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    def show(self) -> None:
        snapshot, listing = self.phone_app.desk.snapshot, self.query_one(OptionList)
        if snapshot is None:
            return
        chosen = listing.highlighted
        listing.set_options([Option(_card(row, self._since(row)), id=row["keyId"]) for row in snapshot.keys])
        listing.highlighted = min(chosen or 0, len(snapshot.keys) - 1) if snapshot.keys else None
        self.query_one(".empty", Text).display = not snapshot.keys

    def _since(self, row: dict[str, Any]) -> str:
        snapshot = self.phone_app.desk.snapshot
        found = [one for one in snapshot.enrolments if row["keyId"] in one.key_ids] if snapshot is not None else []
        return found[0].enrolled_at[:16].replace("T", " ") if found else ""

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_attestation()

    def action_attestation(self) -> None:
        listing = self.query_one(OptionList)
        if listing.highlighted is not None:
            key_id = str(listing.get_option_at_index(listing.highlighted).id)
            self.in_background(self.phone_app.stage.open(Attestation(key_id)), "open")

    def action_enrol(self) -> None:
        self.in_background(self._enrol(), "security")

    async def _enrol(self) -> None:
        app = self.phone_app
        question = "New keys are made and attested; the old ones are deleted. The bank replaces this phone's enrolment."
        if not await app.stage.ask(Confirm("Enrol again", question, "Enrol again")):
            return
        try:
            await app.owning.enrol_again()
        except PhoneError as error:
            app.say(app.in_words(error), "bad")

    def action_wipe(self) -> None:
        self.in_background(self.phone_app.owning.ask_wipe(), "security")


def _card(row: dict[str, Any], since: str) -> Content:
    dead = bool(row["invalidated"])
    factor = "Biometric key" if row["gate"] == "biometric" else "Possession key" if row["credentialId"] else "App key"
    guards = "vouches for the app itself" if factor == "App key" else _GUARDS[row["gate"]]
    level = LEVELS.get(row["securityLevel"], row["securityLevel"])
    lines = [
        "dead: the fingers changed. Enrol again" if dead else guards,
        f"{level} · {row['algorithm']} · counter {row['counter']}",
        f"{row['dialect']} since {since}" if since else f"id {row['keyId'][:16]}…",
    ]
    head = (f"{'✗' if dead else '✓'} {factor}", "bold $error" if dead else "bold")
    return Content.assemble(head, ("".join(f"\n  {line}" for line in lines) + "\n", "$muted"))


class Attestation(View):
    """What the maker said of a key, decoded."""

    TITLE = "Attestation"
    HELP = """What the phone's maker attested for this key when it was enrolled: the certificates from the key up to the root, the key's
description field by field, and what a verifier may conclude from it."""

    def __init__(self, key_id: str) -> None:
        super().__init__(name="attestation")
        self._key_id = key_id

    def body(self) -> ComposeResult:
        with VerticalScroll(id="attestation-scroll"):
            yield Text("…", id="attestation-words", markup=False)

    def first_focus(self) -> Widget:
        return self.query_one(VerticalScroll)

    async def on_mount(self) -> None:
        from authenticator.tui.attested import attested

        found = await self.phone_app.do(lambda: self.phone_app.handset.attestation(self._key_id))
        text = found if isinstance(found, str) else attested(found)
        self.query_one("#attestation-words", Text).update(text)
